"""Attacks on a channel, one function each: what somebody does to it after a device has followed it.

Three kinds of attackers: who can write the channel's files or answer in its place, who holds the
channel's keys but no key that receipts are trusted by, and who has a model signed that does not
hold.
"""

import json
import shutil
import socket
import threading
import zlib
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tuf.api.metadata import Metadata, Root, Targets

from deployments.targets.errors import ChannelCorrupt
from deployments.targets.follow import fetch
from deployments.targets.publish import channel as channel_module
from deployments.targets.publish import history, repository
from deployments.targets.publish.channel import Channel, open_channel, publish, refresh
from deployments.targets.trust.card import Card
from deployments.targets.trust.clearance import Clearance
from deployments.targets.trust.golden import ArrayText
from deployments.targets.trust.keys import KeyRing
from deployments.targets.trust.offers import NOTHING, Content, read_content
from deployments.targets.trust.rollout import Rollout
from deployments.targets.trust.roots import build_root
from storage.base.store import sha256_bytes
from tests.deployments.targets.follow.test_fetch import HEAD, read_path, serving
from tests.deployments.targets.hostile_onnx import FILES as HOSTILE
from tests.deployments.targets.material import (
    make_body,
    make_card,
    make_channel,
    make_golden,
    make_onnx,
    make_run,
    publish_model,
    sign_body,
)

Act = Callable[["Scene"], object]
ATTACKS: dict[str, tuple[Act, str]] = {}
"""Name -> what is done, and what the refusal says."""


@dataclass
class Scene:
    """A channel with one release, whose model a device has verified.

    Attributes:
        workspace: The publisher's workspace.
        channel: The channel.
        follow: Has the device ask the channel.
        patch: Undone after the test.
        stack: Closed after the test.
    """

    workspace: Path
    channel: Channel
    follow: Callable[[], object]
    patch: pytest.MonkeyPatch
    stack: ExitStack

    @property
    def folder(self) -> Path:
        """The channel's files."""
        return self.workspace / "channels" / "edge"

    @property
    def metadata(self) -> Path:
        """The channel's metadata."""
        return self.folder / "metadata"

    def newest(self, role: str) -> Path:
        """The newest document of a role."""
        files = self.metadata.glob(f"*{role}.json")
        return max(files, key=lambda file: int(file.name.split(".")[0]) if "." in file.stem else 0)

    def edit(self, file: Path, change: Callable[[dict[str, Any]], object]) -> None:
        """Changes a document, and leaves its signatures as they are."""
        document = json.loads(file.read_bytes())
        change(document)
        file.write_text(json.dumps(document))


def attack(refusal: str) -> Callable[[Act], Act]:
    """Files an attack under its name, with a pattern of what the refusal says."""

    def file(act: Act) -> Act:
        ATTACKS[act.__name__] = (act, refusal)
        return act

    return file


# Who can write the channel's files, or answer in its place.


@attack("tampered with")
def arbitrary_file(scene: Scene) -> None:
    release = publish_model(scene.channel, 2, 1)
    (scene.folder / f"targets/{release.sha256}.int8.onnx").write_bytes(make_onnx(3))


def _flip(scene: Scene, pattern: str) -> None:
    publish_model(scene.channel, 2, 1)
    for file in scene.folder.glob(pattern):
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(bytes(data))


@attack("tampered with")
def tampered_artifact(scene: Scene) -> None:
    _flip(scene, "targets/*.onnx")


@attack("tampered with")
def tampered_card(scene: Scene) -> None:
    _flip(scene, "targets/*.card.json")


@attack("tampered with")
def tampered_receipt(scene: Scene) -> None:
    _flip(scene, "targets/*.receipt.json")


@attack("tampered with")
def tampered_targets(scene: Scene) -> None:
    publish_model(scene.channel, 2, 1)
    scene.edit(
        scene.newest("targets"),
        lambda found: found["signed"]["targets"]["int8.onnx"].update(length=1),
    )


@attack("tampered with")
def tampered_snapshot(scene: Scene) -> None:
    publish_model(scene.channel, 2, 1)
    scene.edit(scene.newest("snapshot"), lambda found: found["signed"].update(version=9))


@attack("tampered with")
def tampered_timestamp(scene: Scene) -> None:
    publish_model(scene.channel, 2, 1)
    scene.edit(
        scene.newest("timestamp"),
        lambda found: found["signed"].update(expires="2099-01-01T00:00:00Z"),
    )


@attack("tampered with")
def unsigned(scene: Scene) -> None:
    publish_model(scene.channel, 2, 1)
    scene.edit(scene.newest("timestamp"), lambda found: found.update(signatures=[]))


@attack("tampered with")
def oversize_artifact(scene: Scene) -> None:
    release = publish_model(scene.channel, 2, 1)
    file = scene.folder / f"targets/{release.sha256}.int8.onnx"
    file.write_bytes(file.read_bytes() + bytes(10_000_000))


@attack("tampered with.*length")
def oversize_metadata(scene: Scene) -> None:
    publish_model(scene.channel, 2, 1)
    scene.newest("timestamp").write_bytes(
        scene.newest("timestamp").read_bytes() + b" " * 10_000_000
    )


@attack("incomplete")
def missing_artifact(scene: Scene) -> None:
    release = publish_model(scene.channel, 2, 1)
    (scene.folder / f"targets/{release.sha256}.int8.onnx").unlink()


@attack("rolled back")
def rollback(scene: Scene) -> None:
    for _ in range(2):
        refresh(scene.channel)
    kept = scene.workspace / "kept"
    shutil.copytree(scene.folder, kept)
    publish_model(scene.channel, 2, 1)
    scene.follow()
    shutil.rmtree(scene.folder)
    shutil.copytree(kept, scene.folder)


@attack("expired or frozen")
def freeze(scene: Scene) -> None:
    past = datetime.now(UTC) - timedelta(days=20)
    refresh(open_channel(str(scene.workspace), "edge", clock=lambda: past))


@attack("tampered with")
def mix_and_match(scene: Scene) -> None:
    old = scene.newest("targets").read_bytes()
    publish_model(scene.channel, 2, 1)
    scene.newest("targets").write_bytes(old)


@attack("tampered with")
def fast_forward(scene: Scene) -> None:
    publish_model(scene.channel, 2, 1)
    scene.edit(scene.newest("timestamp"), lambda found: found["signed"].update(version=10**9))


@attack("got the files of channel 'cloud'")
def swapped_channel(scene: Scene) -> None:
    publish_model(make_channel(scene.workspace, "cloud"), 2, None)
    shutil.rmtree(scene.folder)
    shutil.copytree(scene.workspace / "channels/cloud", scene.folder)


@attack("must be pinned")
def channel_of_a_stranger(scene: Scene) -> None:
    theirs = make_channel(scene.workspace.parent / "theirs", keys=_stranger(scene))
    publish_model(theirs, 2, None)
    shutil.rmtree(scene.folder)
    shutil.copytree(scene.workspace.parent / "theirs/channels/edge", scene.folder)


@attack("tampered with")
def root_of_a_stranger(scene: Scene) -> None:
    theirs = _stranger(scene)
    made = make_channel(scene.workspace.parent / "theirs", keys=theirs)
    signers = theirs.channel_signers(theirs.channel_ids()[0])
    root = build_root("edge", 2, signers, made.clock())
    (scene.metadata / "2.root.json").write_bytes(root)


def _stranger(scene: Scene) -> KeyRing:
    return KeyRing(scene.workspace.parent / "stranger")


def _put_root(scene: Scene, change: Callable[[Root], object]) -> None:
    """Publishes a following root, signed as it must be."""
    ring = scene.channel.keys
    signers = ring.channel_signers(ring.channel_ids()[0])
    root = Metadata[Root].from_bytes(build_root("edge", 2, signers, scene.channel.clock()))
    change(root.signed)
    root.sign(signers["root"][0])
    (scene.metadata / "2.root.json").write_bytes(root.to_bytes())


@attack("tampered with.*1/2 keys")
def threshold_unmet(scene: Scene) -> None:
    theirs = _stranger(scene)
    make_channel(scene.workspace.parent / "theirs", keys=theirs)
    second = theirs.channel_signers(theirs.channel_ids()[0])["targets"][0].public_key

    def ask_for_two(root: Root) -> None:
        root.add_key(second, "targets")
        root.roles["targets"].threshold = 2

    publish_model(scene.channel, 2, 1)
    _put_root(scene, ask_for_two)


@attack("tampered with.*0/1 keys")
def revoked_key(scene: Scene) -> None:
    theirs = _stranger(scene)
    make_channel(scene.workspace.parent / "theirs", keys=theirs)
    new = theirs.channel_signers(theirs.channel_ids()[0])["timestamp"][0].public_key

    def replace(root: Root) -> None:
        root.revoke_key(root.roles["timestamp"].keyids[0], "timestamp")
        root.add_key(new, "timestamp")

    publish_model(scene.channel, 2, 1)
    _put_root(scene, replace)


def _serve(scene: Scene, send: Callable[[socket.socket, threading.Event], None]) -> None:
    """Answers in the channel's place from now on, whatever is asked for."""
    base = scene.stack.enter_context(serving(send))
    opened = fetch.HttpFetcher(base, fetch.Deadline(first_s=0.3, least_rate=1e6, most_s=20.0))
    scene.patch.setattr("deployments.targets.follow.updater.open_fetcher", lambda _: opened)


@attack("tampered with.*length")
def endless_data(scene: Scene) -> None:
    def send(asked: socket.socket, over: threading.Event) -> None:
        read_path(asked)
        asked.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        while not over.is_set():
            asked.sendall(b"100000\r\n" + bytes(0x100000) + b"\r\n")

    _serve(scene, send)


@attack("bytes a second")
def slow_data(scene: Scene) -> None:
    def send(asked: socket.socket, over: threading.Event) -> None:
        read_path(asked)
        asked.sendall(HEAD + b"Content-Length: 100000\r\n\r\n")
        while not over.wait(0.05):
            asked.sendall(b"x")

    _serve(scene, send)


@attack("tampered with.*length")
def data_that_unpacks_without_end(scene: Scene) -> None:
    packed = zlib.compress(bytes(20 * 2**20))

    def send(asked: socket.socket, over: threading.Event) -> None:
        read_path(asked)
        head = f"Content-Encoding: deflate\r\nContent-Length: {len(packed)}\r\n\r\n"
        asked.sendall(HEAD + head.encode() + packed)

    _serve(scene, send)


# Who holds the channel's keys, but no key that receipts are trusted by.


def _force(
    scene: Scene, receipt: bytes, files: dict[str, bytes], card: Card, **changes: Any
) -> None:
    """Publishes what no receipt clears, or as another release than it clears."""
    data = files["int8.onnx"]
    cleared = Clearance(
        channel="edge",
        model_id=card.model_id,
        card=card,
        sha256=sha256_bytes(data),
        size_bytes=len(data),
        receipt=sha256_bytes(receipt),
        expected=1,
    )
    real = channel_module.make_release
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(channel_module, "check_clearance", lambda *_, **__: cleared)
        patch.setattr(repository, "read_content", _read_anything)
        patch.setattr(history, "read_content", _read_anything)
        patch.setattr(
            channel_module,
            "make_release",
            lambda *given: real(*given).model_copy(update=changes),
        )
        publish(scene.channel, receipt=receipt, files=files, artifact="int8", expected=1)


def _read_anything(targets: Targets, where: str) -> Content:
    """Reads what a channel says as a publisher does who does not look."""
    try:
        return read_content(targets, where)
    except ChannelCorrupt:
        return NOTHING


def _make(
    scene: Scene, seed: int = 2, ring: KeyRing | None = None, **body: Any
) -> tuple[bytes, dict[str, bytes], Card]:
    """A receipt whose body was changed, and the files that go with it."""
    data = make_onnx(seed)
    told = {**make_body(data, {"edge": 1}), **body}
    receipt = sign_body(told, ring or scene.channel.keys)
    card = make_card(told, receipt)
    return receipt, {"int8.onnx": data, "card.json": card.to_bytes()}, card


@attack("must be what its receipt clears")
def release_that_states_another_model(scene: Scene) -> None:
    _force(scene, *_make(scene), model_id="0" * 64)


@attack("sha256 in the receipt must be")
def receipt_for_other_bytes(scene: Scene) -> None:
    receipt, files, card = _make(scene)
    _force(scene, receipt, files | {"int8.onnx": make_onnx(3)}, card)


@attack("card's artifact sha256 must be")
def card_for_other_bytes(scene: Scene) -> None:
    receipt, files, card = _make(scene)
    artifact = card.artifact.model_copy(update={"sha256": "0" * 64})
    other = card.model_copy(update={"artifact": artifact})
    _force(scene, receipt, files | {"card.json": other.to_bytes()}, other)


@attack("card's labels|card's outputs|labels")
def card_with_other_labels(scene: Scene) -> None:
    receipt, files, card = _make(scene)
    turned = [
        output.model_copy(update={"labels": tuple(reversed(output.labels))})
        for output in card.outputs
    ]
    other = card.model_copy(update={"outputs": tuple(turned)})
    _force(scene, receipt, files | {"card.json": other.to_bytes()}, other)


@attack("must clear channel 'edge'")
def receipt_for_another_channel(scene: Scene) -> None:
    _force(scene, *_make(scene, channels={"cloud": {"artifact": "int8", "expected": 1}}))


@attack("status must be 'promoted'")
def receipt_of_a_stopped_run(scene: Scene) -> None:
    _force(scene, *_make(scene, status="stopped"))


@attack("gates must")
def receipt_of_a_red_gate(scene: Scene) -> None:
    gates = [
        {"stage": name, "passed": name != "model"}
        for name in ("raw", "prepared", "model", "artifact")
    ]
    _force(scene, *_make(scene, gates=gates))


@attack("required_gates must be")
def receipt_that_asks_for_fewer_gates(scene: Scene) -> None:
    _force(scene, *_make(scene, required_gates=["raw"]))


@attack("signed by one of")
def receipt_by_a_stranger(scene: Scene) -> None:
    _force(scene, *_make(scene, ring=_stranger(scene)))


@attack("must not go back")
def older_number(scene: Scene) -> None:
    publish_model(scene.channel, 2, 1)
    scene.follow()
    real = channel_module.make_release
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            channel_module,
            "make_release",
            lambda *given: real(*given).model_copy(update={"number": 1}),
        )
        publish_model(scene.channel, 3, 2)


@attack("must follow its format")
def path_traversal(scene: Scene) -> None:
    _force(scene, *_make(scene), file="../../../was-written")


@attack("release must be for channel 'edge'")
def release_of_another_channel(scene: Scene) -> None:
    _force(scene, *_make(scene), channel="cloud")


@attack("is not for this device: .*class camera")
def wrong_device_class(scene: Scene) -> None:
    """A release for others is offered alone."""
    scene.patch.setattr("deployments.targets.publish.change.stack_offers", lambda new, *_: (new,))
    receipt, files = make_run(make_onnx(2), {"edge": 1}, scene.channel.keys)
    others = Rollout(device_classes=("camera",))
    publish(
        scene.channel, receipt=receipt, files=files, artifact="int8", expected=1, rollout=others
    )


# Who has a model signed that does not hold.


@attack("did not hold.*self-test")
def golden_samples_that_lie(scene: Scene) -> None:
    publish_model(scene.channel, 2, 1, make_golden(make_onnx(9)))


@attack("finite answers")
def golden_samples_that_are_no_numbers(scene: Scene) -> None:
    honest = make_golden(make_onnx(2))
    nothing = ArrayText.of(np.full((2, 10), np.nan, np.float32))
    lies = honest.model_copy(update={"outputs": {**honest.outputs, "probabilities": nothing}})
    receipt, files, card = _make(scene)
    other = card.model_copy(update={"golden": lies})
    _force(scene, receipt, files | {"card.json": other.to_bytes()}, other)


def _sign_hostile(scene: Scene, name: str) -> None:
    data = HOSTILE[name]
    receipt, files = make_run(
        data, {"edge": 1}, scene.channel.keys, golden=make_golden(make_onnx(1))
    )
    publish(scene.channel, receipt=receipt, files=files, artifact="int8", expected=1)


@attack("did not hold.*lie in another file")
def artifact_with_weights_elsewhere(scene: Scene) -> None:
    _sign_hostile(scene, "external_data.onnx")


@attack("did not hold.*graph")
def artifact_that_loops(scene: Scene) -> None:
    _sign_hostile(scene, "loop_without_end.onnx")


@attack("did not hold.*of more")
def artifact_that_makes_a_giant(scene: Scene) -> None:
    _sign_hostile(scene, "giant_made_by_expand.onnx")
