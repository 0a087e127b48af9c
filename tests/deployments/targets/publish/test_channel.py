"""The publisher's side of a channel."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from deployments.targets.errors import (
    ChannelAbsent,
    ChannelConflict,
    ChannelCorrupt,
    ChannelError,
    KeyAbsent,
    KeyConflict,
    NotCleared,
)
from deployments.targets.publish.channel import (
    create_channel,
    open_channel,
    publish,
    read_champion,
    refresh,
)
from deployments.targets.trust.keys import KeyRing
from deployments.targets.trust.metadata import build_targets
from deployments.targets.trust.offers import Content
from storage.base.store import sha256_bytes
from tests.deployments.targets.material import (
    make_body,
    make_card,
    make_channel,
    make_onnx,
    make_run,
    publish_model,
    sign_body,
)


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_new_channel_is_a_valid_repository_without_a_release(workspace: Path) -> None:
    channel = make_channel(workspace)
    metadata = workspace / "channels/edge/metadata"
    first = {f"1.{role}.json" for role in ("root", "snapshot", "targets")}
    assert {path.name for path in metadata.iterdir()} == {*first, "timestamp.json"}
    assert read_champion(channel) is None


def test_lifetimes(workspace: Path) -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    make_channel(workspace, clock=lambda: now)
    metadata = workspace / "channels/edge/metadata"
    kinds = {"1.root": Root, "1.targets": Targets, "1.snapshot": Snapshot, "timestamp": Timestamp}
    days = {
        name: (Metadata[kind].from_file(str(metadata / f"{name}.json")).signed.expires - now).days
        for name, kind in kinds.items()
    }
    assert days == {"1.root": 365, "1.targets": 90, "1.snapshot": 14, "timestamp": 14}


def test_creating_again_changes_nothing(workspace: Path) -> None:
    channel = make_channel(workspace)
    before = files_of(workspace)
    assert create_channel(channel) == create_channel(channel) == channel.keys.channel_ids()[0]
    assert files_of(workspace) == before


def test_no_key_lies_in_the_workspace(workspace: Path) -> None:
    publish_model(make_channel(workspace), 1, None)
    assert not [name for name, data in files_of(workspace).items() if b"PRIVATE" in data]


def test_a_release_is_published_under_its_hash_and_read_back(workspace: Path) -> None:
    channel = make_channel(workspace)
    release = publish_model(channel, 1, None)
    assert (release.number, release.expected, release.sha256) == (
        1,
        None,
        sha256_bytes(make_onnx(1)),
    )
    assert read_champion(channel) == release
    assert (
        workspace / f"channels/edge/targets/{release.sha256}.int8.onnx"
    ).read_bytes() == make_onnx(1)
    snapshot = json.loads((workspace / "channels/edge/metadata/2.snapshot.json").read_text())[
        "signed"
    ]
    assert (snapshot["x-lepton"]["expected"], snapshot["x-lepton"]["release"]) == (None, 1)


def test_releases_follow_each_other(workspace: Path) -> None:
    channel = make_channel(workspace)
    numbers = [publish_model(channel, seed, seed - 1 or None).number for seed in (1, 2, 3)]
    assert numbers == [1, 2, 3]


def test_publishing_the_champion_again_is_no_operation(workspace: Path) -> None:
    channel = make_channel(workspace)
    release = publish_model(channel, 1, None)
    before = files_of(workspace)
    assert publish_model(channel, 1, 1) == publish_model(channel, 1, None) == release
    assert files_of(workspace) == before


@pytest.mark.parametrize(("published", "expected"), [(1, None), (2, 1), (1, 2)])
def test_another_champion_than_expected_names_both(
    workspace: Path, published: int, expected: int | None
) -> None:
    channel = make_channel(workspace)
    for seed in range(1, published + 1):
        champion = publish_model(channel, seed, seed - 1 or None)
    before = files_of(workspace)
    with pytest.raises(ChannelConflict) as caught:
        publish_model(channel, 9, expected)
    offered = sha256_bytes(b"model of " + make_onnx(9))[:12]
    assert (caught.value.expected, caught.value.found) == (expected, published)
    for part in (offered, f"release {published}", champion.model_id[:12], "run the recipe again"):
        assert part in str(caught.value)
    assert files_of(workspace) == before


def test_expectation_must_be_the_receipt_s(workspace: Path) -> None:
    channel = make_channel(workspace)
    receipt, files = make_run(make_onnx(1), {"edge": None}, channel.keys)
    with pytest.raises(ChannelConflict):
        publish(channel, receipt=receipt, files=files, artifact="int8", expected=4)
    publish_model(channel, 2, None)
    with pytest.raises(ChannelConflict):
        publish(channel, receipt=receipt, files=files, artifact="int8", expected=1)


def test_nothing_is_published_without_clearance(workspace: Path) -> None:
    channel = make_channel(workspace)
    before = files_of(workspace)
    body = make_body(make_onnx(1), {"edge": None})
    body["gates"][0]["passed"] = False
    receipt = sign_body(body, channel.keys)
    files = {"int8.onnx": make_onnx(1), "card.json": make_card(body, receipt).to_bytes()}
    with pytest.raises(NotCleared, match="raw"):
        publish(channel, receipt=receipt, files=files, artifact="int8", expected=None)
    assert files_of(workspace) == before


def test_a_channel_must_exist_to_publish(workspace: Path, keys: KeyRing) -> None:
    channel = open_channel(str(workspace), "edge")
    assert read_champion(channel) is None
    with pytest.raises(ChannelAbsent):
        publish_model(channel, 1, None)
    assert not workspace.exists()


@pytest.mark.parametrize("name", ["Edge", "", "..", "a b", "-x", "x" * 64])
def test_names_that_no_channel_may_have(workspace: Path, name: str) -> None:
    with pytest.raises(ChannelError, match="must have a name"):
        open_channel(str(workspace), name)


def test_http_is_read_only() -> None:
    with pytest.raises(ChannelError, match="read only"):
        open_channel("https://host/ws", "edge")


def test_a_machine_without_the_keys_is_told(workspace: Path, tmp_path: Path) -> None:
    make_channel(workspace)
    stranger = KeyRing(tmp_path / "stranger")
    with pytest.raises(KeyAbsent, match="pinned"):
        make_channel(workspace, keys=stranger)


def test_a_key_that_is_gone_is_named_before_anything_is_written(workspace: Path) -> None:
    channel = make_channel(workspace)
    (channel.keys.directory / "channels" / channel.keys.channel_ids()[0] / "snapshot.pem").unlink()
    before = files_of(workspace)
    with pytest.raises(KeyAbsent, match=r"snapshot\.pem"):
        publish_model(channel, 1, None)
    assert files_of(workspace) == before


def test_keys_of_another_channel_are_refused(workspace: Path) -> None:
    edge, cloud = make_channel(workspace, "edge"), make_channel(workspace, "cloud")
    folders = [
        edge.keys.directory / "channels" / create_channel(channel) for channel in (edge, cloud)
    ]
    (folders[0] / "targets.pem").write_bytes((folders[1] / "targets.pem").read_bytes())
    with pytest.raises(KeyConflict, match="targets key"):
        publish_model(edge, 1, None)


def test_refresh_signs_anew_and_keeps_the_release(workspace: Path) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    channel = make_channel(workspace, clock=lambda: start)
    release = publish_model(channel, 1, None)
    for days, root, targets in ((10, 1, 2), (60, 1, 3), (200, 2, 4)):
        later = open_channel(
            str(workspace), "edge", clock=lambda days=days: start + timedelta(days=days)
        )
        version = refresh(later)
        metadata = workspace / "channels/edge/metadata"
        timestamp = Metadata[Timestamp].from_file(str(metadata / "timestamp.json")).signed
        snapshot = Metadata[Snapshot].from_file(str(metadata / f"{version}.snapshot.json")).signed
        assert timestamp.version == version
        assert (timestamp.expires - later.clock()).days == 14
        assert snapshot.meta["targets.json"].version == targets
        assert len(list(metadata.glob("*.root.json"))) == root
        assert read_champion(later) == release


def test_publishing_after_a_refresh_needs_no_new_receipt(workspace: Path) -> None:
    channel = make_channel(workspace)
    publish_model(channel, 1, None)
    refresh(channel)
    assert publish_model(channel, 2, 1).number == 2


@pytest.mark.parametrize("name", ["1.root.json", "2.snapshot.json", "2.targets.json"])
@pytest.mark.parametrize("damage", ["flip", "junk", "empty"])
def test_damaged_metadata_is_named_by_publisher_and_reader(
    workspace: Path, name: str, damage: str
) -> None:
    channel = make_channel(workspace)
    publish_model(channel, 1, None)
    path = workspace / "channels/edge/metadata" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes({"flip": bytes(data), "junk": b"junk", "empty": b""}[damage])
    with pytest.raises((ChannelCorrupt, KeyAbsent), match=r"edge"):
        read_champion(channel)
    with pytest.raises((ChannelCorrupt, KeyAbsent)):
        publish_model(channel, 2, 1)


def test_signed_targets_that_were_not_committed_are_refused(workspace: Path) -> None:
    channel = make_channel(workspace)
    publish_model(channel, 1, None)
    signers = channel.keys.channel_signers(create_channel(channel))["targets"]
    (workspace / "channels/edge/metadata/2.targets.json").write_bytes(
        build_targets(2, Content(), signers, channel.clock())
    )
    with pytest.raises(ChannelCorrupt, match=r"2\.targets\.json"):
        read_champion(channel)


def test_a_lost_or_damaged_timestamp_is_made_again_to_the_byte(workspace: Path) -> None:
    channel = make_channel(workspace)
    publish_model(channel, 1, None)
    path = workspace / "channels/edge/metadata/timestamp.json"
    good = path.read_bytes()
    for bad in (b"junk", good[:-3], None):
        path.unlink() if bad is None else path.write_bytes(bad)
        publish_model(channel, 1, None)
        assert path.read_bytes() == good


def test_a_damaged_target_is_put_right_by_the_next_release_that_holds_it(workspace: Path) -> None:
    channel = make_channel(workspace)
    publish_model(channel, 1, None)
    path = workspace / f"channels/edge/targets/{sha256_bytes(make_onnx(1))}.int8.onnx"
    path.write_bytes(b"junk")
    publish_model(channel, 2, 1)
    publish_model(channel, 1, 2)
    assert path.read_bytes() == make_onnx(1)


def test_a_rolled_back_channel_is_not_built_upon(workspace: Path) -> None:
    channel = make_channel(workspace)
    publish_model(channel, 1, None)
    old = files_of(workspace)
    publish_model(channel, 2, 1)
    for name in files_of(workspace):
        (workspace / name).unlink() if name not in old else (workspace / name).write_bytes(
            old[name]
        )
    with pytest.raises(ChannelCorrupt, match="must not go back"):
        publish_model(channel, 3, 1)


def test_another_channel_s_files_are_refused(workspace: Path) -> None:
    edge, cloud = make_channel(workspace, "edge"), make_channel(workspace, "cloud")
    publish_model(cloud, 1, None)
    for name, data in files_of(workspace / "channels/cloud").items():
        path = workspace / "channels/edge" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    with pytest.raises(ChannelCorrupt, match="got the files of 'cloud'"):
        publish_model(edge, 2, None)
