"""The device's side of a channel: what it takes, what it refuses, and that the last verified model
goes on.
"""

import http.server
import logging
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.targets.errors import BadInput, ChannelAbsent, ChannelRefused
from deployments.targets.follow.client import Update, update_model
from deployments.targets.publish import channel as channel_module
from deployments.targets.publish.channel import Channel, create_channel, open_channel, refresh
from deployments.targets.run.predict import predict
from deployments.targets.trust.key_bundles import export_keys, import_keys
from deployments.targets.trust.keys import KeyRing
from storage.base.store import sha256_bytes
from tests.deployments.targets.material import make_channel, make_onnx, publish_model


@pytest.fixture
def channel(workspace: Path) -> Channel:
    made = make_channel(workspace)
    publish_model(made, 1, None)
    return made


def follow(workspace: Path, name: str = "edge") -> Update:
    return update_model(name, str(workspace))


def folder_of(workspace: Path, name: str = "edge") -> Path:
    return workspace / "channels" / name


def flip(path: Path, at: float = 0.5) -> None:
    data = bytearray(path.read_bytes())
    data[int(len(data) * at)] ^= 1
    path.write_bytes(bytes(data))


def copy_channel(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)


def test_updated_then_current_then_updated(workspace: Path, channel: Channel) -> None:
    first = follow(workspace)
    assert (first.status, first.reason, first.model.release.number) == ("updated", None, 1)
    assert first.model.data == make_onnx(1)
    assert follow(workspace).status == "current"
    publish_model(channel, 2, 1)
    second = follow(workspace)
    assert (second.status, second.model.data) == ("updated", make_onnx(2))


def test_the_last_two_models_are_kept(workspace: Path, channel: Channel, tmp_path: Path) -> None:
    slots = [follow(workspace).slot]
    for seed in (2, 3, 4):
        publish_model(channel, seed, seed - 1)
        slots.append(follow(workspace).slot)
        assert len(list((tmp_path / "cache").glob("channels/*/models/*"))) == 2
    assert slots == ["a", "b", "a", "b"]


def test_a_device_follows_with_public_keys_only(
    workspace: Path, channel: Channel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_keys(tmp_path / "device.json")
    monkeypatch.setenv("LEPTON_CONFIG_DIR", str(tmp_path / "device"))
    with pytest.raises(ChannelRefused, match=r"pinned.*lepton keys import"):
        follow(workspace)
    import_keys(tmp_path / "device.json")
    assert follow(workspace).model.data == make_onnx(1)
    assert create_channel(channel) == KeyRing().channel_ids()[0]


TAMPER: dict[str, str] = {
    "root": "metadata/1.root.json",
    "timestamp": "metadata/timestamp.json",
    "snapshot": "metadata/3.snapshot.json",
    "targets": "metadata/3.targets.json",
    "artifact": "targets/*.int8.onnx",
    "card": "targets/*.card.json",
    "receipt": "targets/*.receipt.json",
}


@pytest.mark.parametrize("fault", ["flip", "junk", "gone", "long"])
@pytest.mark.parametrize("kind", TAMPER)
def test_tampering_is_refused_and_the_last_model_answers(
    workspace: Path, channel: Channel, kind: str, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    # Commands that other tests of this process called may have asked for less.
    caplog.set_level(logging.WARNING, logger="deployments")
    follow(workspace)
    before = set(folder_of(workspace).glob("*/*"))
    publish_model(channel, 2, 1)
    newest = set(folder_of(workspace).glob("*/*")) - before
    found = [
        path
        for path in folder_of(workspace).glob(TAMPER[kind])
        if path in newest or "/targets/" not in str(path)
    ]
    assert len(found) == 1
    match fault:
        case "flip":
            flip(found[0])
        case "junk":
            found[0].write_bytes(b"junk")
        case "gone":
            found[0].unlink()
        case "long":
            found[0].write_bytes(found[0].read_bytes() + b" " * 10_000_000)
    update = follow(workspace)
    assert update.status == "refused"
    assert update.reason
    assert update.reason in caplog.text
    assert (update.model.data, update.model.release.number) == (make_onnx(1), 1)
    with pytest.raises(ChannelRefused, match="no model was verified"):
        update_model("edge", str(workspace), cache=workspace / "fresh")


def test_a_refused_channel_that_is_mended_is_followed_again(
    workspace: Path, channel: Channel
) -> None:
    follow(workspace)
    release = publish_model(channel, 2, 1)
    path = folder_of(workspace) / f"targets/{release.sha256}.int8.onnx"
    flip(path)
    assert follow(workspace).status == "refused"
    flip(path)
    assert (follow(workspace).status, follow(workspace).model.data) == ("updated", make_onnx(2))


def test_rollback_of_the_whole_channel_is_refused(
    workspace: Path, channel: Channel, tmp_path: Path
) -> None:
    copy_channel(folder_of(workspace), tmp_path / "old")
    publish_model(channel, 2, 1)
    follow(workspace)
    copy_channel(tmp_path / "old", folder_of(workspace))
    update = follow(workspace)
    assert (update.status, update.model.data) == ("refused", make_onnx(2))
    assert "rolled back" in str(update.reason)


def test_rollback_is_refused_even_when_tuf_s_own_cache_is_lost(
    workspace: Path, channel: Channel, tmp_path: Path
) -> None:
    copy_channel(folder_of(workspace), tmp_path / "old")
    publish_model(channel, 2, 1)
    follow(workspace)
    copy_channel(tmp_path / "old", folder_of(workspace))
    for path in (tmp_path / "cache").glob("channels/*/metadata/*.json"):
        path.unlink()
    update = follow(workspace)
    assert (update.status, update.model.data) == ("refused", make_onnx(2))
    assert "must not go back" in str(update.reason)


def test_older_metadata_of_the_same_release_is_refused_without_tuf_s_cache(
    workspace: Path, channel: Channel, tmp_path: Path
) -> None:
    copy_channel(folder_of(workspace), tmp_path / "old")
    refresh(channel)
    follow(workspace)
    copy_channel(tmp_path / "old", folder_of(workspace))
    for path in (tmp_path / "cache").glob("channels/*/metadata/*.json"):
        path.unlink()
    update = follow(workspace)
    assert (update.status, update.model.data) == ("refused", make_onnx(1))


def test_newer_metadata_of_an_older_release_is_refused(
    workspace: Path, channel: Channel, tmp_path: Path
) -> None:
    copy_channel(folder_of(workspace), tmp_path / "old")
    publish_model(channel, 2, 1)
    follow(workspace)
    copy_channel(tmp_path / "old", folder_of(workspace))
    (channel.keys.directory / "channels" / channel.keys.channel_ids()[0] / "highest").unlink()
    for _ in range(4):
        refresh(channel)
    for path in (tmp_path / "cache").glob("channels/*/metadata/*.json"):
        path.unlink()
    update = follow(workspace)
    assert (update.status, update.model.data) == ("refused", make_onnx(2))
    assert "must not go back" in str(update.reason)


def test_a_signed_release_that_its_receipt_does_not_clear(
    workspace: Path, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow(workspace)
    real = channel_module.make_release
    monkeypatch.setattr(
        channel_module,
        "make_release",
        lambda *given: real(*given).model_copy(update={"model_id": "0" * 64}),
    )
    publish_model(channel, 2, 1)
    update = follow(workspace)
    assert (update.status, update.model.data) == ("refused", make_onnx(1))
    assert "what its receipt clears" in str(update.reason)


def publish_at(workspace: Path, now: datetime, act: Callable[[Channel], Any]) -> None:
    act(open_channel(str(workspace), "edge", clock=lambda: now))


@pytest.mark.parametrize(("days", "role"), [(15, "timestamp"), (400, "root")])
def test_a_frozen_channel_is_refused_once_it_has_expired(
    workspace: Path, days: int, role: str
) -> None:
    start = datetime.now(UTC) - timedelta(days=days)
    channel = make_channel(workspace, clock=lambda: start)
    publish_model(channel, 1, None)
    with pytest.raises(ChannelRefused, match=f"(?i)expired or frozen.*{role}"):
        follow(workspace)
    publish_at(workspace, datetime.now(UTC), refresh)
    assert follow(workspace).status == "updated"


def test_a_channel_that_expires_after_it_was_followed(workspace: Path, channel: Channel) -> None:
    follow(workspace)
    publish_at(workspace, datetime.now(UTC) - timedelta(days=20), refresh)
    update = follow(workspace)
    assert (update.status, update.model.data) == ("refused", make_onnx(1))
    assert "expired or frozen" in str(update.reason)


def test_another_channel_s_files_at_this_address(workspace: Path, channel: Channel) -> None:
    cloud = make_channel(workspace, "cloud")
    publish_model(cloud, 2, None)
    copy_channel(folder_of(workspace, "cloud"), folder_of(workspace))
    with pytest.raises(ChannelRefused, match="got the files of channel 'cloud'"):
        follow(workspace)


def test_a_pinned_channel_of_the_same_name_at_a_bound_address(
    workspace: Path, channel: Channel
) -> None:
    follow(workspace)
    other = workspace.parent / "other"
    publish_model(make_channel(other), 2, None)
    copy_channel(folder_of(other), folder_of(workspace))
    update = follow(workspace)
    assert (update.status, update.model.data) == ("refused", make_onnx(1))
    assert "must stay the one it was" in str(update.reason)


@pytest.mark.parametrize("part", ["3.targets.json", "3.snapshot.json", "timestamp.json", "targets"])
def test_parts_of_another_channel_are_refused(workspace: Path, channel: Channel, part: str) -> None:
    other = workspace.parent / "other"
    theirs = make_channel(other)
    publish_model(theirs, 3, None)
    publish_model(theirs, 4, 1)
    follow(workspace)
    publish_model(channel, 2, 1)
    if part == "targets":
        release = publish_model(channel, 2, 1)
        stolen = next(folder_of(other).glob("targets/*.int8.onnx"))
        shutil.copy(stolen, folder_of(workspace) / f"targets/{release.sha256}.int8.onnx")
    else:
        shutil.copy(folder_of(other) / "metadata" / part, folder_of(workspace) / "metadata" / part)
    update = follow(workspace)
    assert (update.status, update.model.data) == ("refused", make_onnx(1))


def test_a_channel_made_anew_by_this_machine_is_followed(workspace: Path, channel: Channel) -> None:
    follow(workspace)
    shutil.rmtree(workspace)
    publish_model(make_channel(workspace), 5, None)
    assert (follow(workspace).status, follow(workspace).model.data) == ("updated", make_onnx(5))


def test_unknown_receipt_key_is_refused(workspace: Path, channel: Channel, tmp_path: Path) -> None:
    device = KeyRing(tmp_path / "device")
    export_keys(tmp_path / "device.json")
    import_keys(tmp_path / "device.json", device)
    shutil.rmtree(device.directory / "trusted")
    with pytest.raises(ChannelRefused, match="signed by one of 0 trusted keys"):
        update_model("edge", str(workspace), keys=device)


@pytest.mark.parametrize("name", ["int8.onnx", "card.json", "receipt.json"])
def test_a_damaged_cached_model_is_fetched_again(
    workspace: Path, channel: Channel, tmp_path: Path, name: str
) -> None:
    follow(workspace)
    flip(next((tmp_path / "cache").glob(f"channels/*/models/*/{name}")))
    update = follow(workspace)
    assert (update.status, update.model.data) == ("updated", make_onnx(1))
    assert follow(workspace).status == "current"


def test_a_damaged_cached_model_never_answers(
    workspace: Path, channel: Channel, tmp_path: Path
) -> None:
    follow(workspace)
    flip(next((tmp_path / "cache").glob("channels/*/models/*/int8.onnx")))
    shutil.rmtree(workspace)
    with pytest.raises(ChannelRefused, match="the one kept here is damaged"):
        follow(workspace)


def test_no_channel_no_model(workspace: Path) -> None:
    with pytest.raises(ChannelAbsent, match="got a workspace without channels"):
        follow(workspace)


def test_a_channel_without_a_release(workspace: Path) -> None:
    make_channel(workspace)
    with pytest.raises(ChannelRefused, match="must hold a release"):
        follow(workspace)


def test_a_cache_that_cannot_be_written_names_the_remedy(
    workspace: Path, channel: Channel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("LEPTON_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(ChannelRefused, match="LEPTON_CACHE_DIR"):
        follow(workspace)


def test_followers_at_once_share_the_state(workspace: Path, channel: Channel) -> None:
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: found.append(follow(workspace).model.data))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [make_onnx(1)] * 4


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(workspace: Path) -> Iterator[http.server.ThreadingHTTPServer]:
    workspace.mkdir(exist_ok=True)
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(_Quiet, directory=str(workspace))
    ) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def test_http_channel_by_address_and_by_workspace(
    channel: Channel, server: http.server.ThreadingHTTPServer
) -> None:
    base = f"http://127.0.0.1:{server.server_port}"
    assert update_model(f"{base}/channels/edge/").model.data == make_onnx(1)
    publish_model(channel, 2, 1)
    assert update_model("edge", base).status == "updated"


def test_input_by_http(
    workspace: Path, channel: Channel, server: http.server.ThreadingHTTPServer, tmp_path: Path
) -> None:
    np.save(workspace / "x.npy", np.zeros((8, 8), np.uint8))
    base = f"http://127.0.0.1:{server.server_port}"
    assert [answer.file for answer in predict("edge", [f"{base}/x.npy"], base)] == [f"{base}/x.npy"]
    with pytest.raises(BadInput, match="404"):
        list(predict("edge", [f"{base}/none.npy"], base))


def test_unreachable_host_keeps_the_last_model(
    channel: Channel, server: http.server.ThreadingHTTPServer
) -> None:
    url = f"http://127.0.0.1:{server.server_port}/channels/edge"
    update_model(url)
    server.shutdown()
    server.server_close()
    update = update_model(url)
    assert (update.status, update.model.data) == ("refused", make_onnx(1))
    assert "unreachable" in str(update.reason)


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ChannelRefused, match="unreachable"):
        update_model(f"http://127.0.0.1:{port}/channels/edge")


def test_address_as_a_path(workspace: Path, channel: Channel) -> None:
    update = update_model(str(folder_of(workspace)))
    assert sha256_bytes(update.model.data) == update.model.card.artifact.sha256
