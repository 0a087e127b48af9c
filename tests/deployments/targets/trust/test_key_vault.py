"""Keys that are backed up, restored, and kept apart."""

import stat
from pathlib import Path

import pytest

from deployments.targets.errors import KeyAbsent, KeyConflict, KeyStoreError
from deployments.targets.publish.channel import create_channel, open_channel
from deployments.targets.publish.repository import Channel, load_state
from deployments.targets.publish.rotation import rotate_key
from deployments.targets.trust.key_vault import (
    back_up_keys,
    read_bundle,
    restore_keys,
    split_keys,
)
from deployments.targets.trust.keys import KeyRing
from tests.deployments.targets.material import make_channel, publish_model

WORDS = "correct horse"
WHY = {"author": "ada", "reason": "yearly"}


def ask() -> str:
    return WORDS


@pytest.fixture
def channel(workspace: Path) -> Channel:
    made = make_channel(workspace)
    publish_model(made, 1, None)
    return made


def test_a_machine_that_is_lost_is_restored_and_publishes(
    channel: Channel, workspace: Path, tmp_path: Path
) -> None:
    file = tmp_path / "keys.backup"
    back_up_keys(file, WORDS)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert b"PRIVATE" not in file.read_bytes()
    other = KeyRing(tmp_path / "other")
    restore_keys(file, ask, other, dry_run=True)
    assert not other.directory.exists()
    restore_keys(file, ask, other)
    assert other.receipt_signer(create=False).keyid == channel.keys.receipt_signer().keyid
    assert other.read_highest(load_state(channel).channel_id) == load_state(channel).version
    theirs = open_channel(str(workspace), "edge", keys=other)
    assert publish_model(theirs, 2, 1).number == 2
    rotate_key(theirs, "targets", **WHY)
    restore_keys(file, ask, other)
    stranger = KeyRing(tmp_path / "stranger")
    stranger.receipt_signer()
    with pytest.raises(KeyConflict):
        restore_keys(file, ask, stranger)


@pytest.mark.parametrize("damage", ["passphrase", "letter", "cost", "cut", "json", "gone"])
def test_a_backup_that_cannot_be_opened_says_so_and_repeats_nothing(
    channel: Channel, tmp_path: Path, damage: str
) -> None:
    file = tmp_path / "keys.backup"
    back_up_keys(file, WORDS)
    data = file.read_bytes()
    at = data.index(b'"sealed": "') + 40
    changed = {
        "letter": data[:at] + (b"A" if data[at : at + 1] != b"A" else b"B") + data[at + 1 :],
        "cost": data.replace(b"32768", b"65536"),
        "cut": data[: at - 20],
        "json": b"[]",
    }
    file.write_bytes(changed.get(damage, data))
    if damage == "gone":
        file.unlink()
    words = "another one" if damage == "passphrase" else WORDS
    with pytest.raises(KeyAbsent if damage == "gone" else KeyStoreError, match="key file") as told:
        restore_keys(file, lambda: words, KeyRing(tmp_path / "other"))
    assert WORDS not in str(told.value)
    assert not (tmp_path / "other").exists()


def test_a_backup_takes_no_weak_passphrase_and_no_file_that_is_there(
    channel: Channel, tmp_path: Path
) -> None:
    with pytest.raises(KeyStoreError, match="at least 8 letters; got 5"):
        back_up_keys(tmp_path / "b", "short")
    back_up_keys(tmp_path / "b", WORDS)
    with pytest.raises(KeyStoreError, match="must be a new file"):
        back_up_keys(tmp_path / "b", WORDS)


def test_split_keys_leave_the_machine_and_sign_when_they_are_given(
    workspace: Path, tmp_path: Path
) -> None:
    channel = open_channel(str(workspace), "edge")
    channel_id = create_channel(channel, shape={"root": (2, 3)})
    files = split_keys(channel_id, "root", tmp_path / "stick", WORDS)
    assert len(files) == 3
    assert sorted(channel.keys.channel_key_texts(channel_id)) == [
        "snapshot",
        "targets",
        "timestamp",
    ]
    with pytest.raises(KeyAbsent, match="split already"):
        split_keys(channel_id, "root", tmp_path / "stick", WORDS)
    assert publish_model(channel, 1, None).number == 1
    for count, enough in ((1, False), (2, True)):
        bundles = [read_bundle(path, ask) for path in files[:count]]
        given = open_channel(str(workspace), "edge", keys=KeyRing().with_bundles(bundles))
        if not enough:
            with pytest.raises(KeyAbsent, match="signed by 2"):
                rotate_key(given, "targets", **WHY)
            continue
        assert rotate_key(given, "targets", **WHY).root.version == 3
    assert publish_model(channel, 2, 1).number == 2
    assert not [name for name in channel.keys.channel_key_texts(channel_id) if "root" in name]


def test_a_split_that_was_killed_before_the_key_was_removed_is_finished(
    channel: Channel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel_id = load_state(channel).channel_id
    with monkeypatch.context() as patch:
        patch.setattr(KeyRing, "drop_channel_key", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            split_keys(channel_id, "root", tmp_path / "stick", WORDS)
    (file,) = split_keys(channel_id, "root", tmp_path / "stick", WORDS)
    assert read_bundle(file, ask).private is not None
    assert "root" not in channel.keys.channel_key_texts(channel_id)


def test_a_key_stays_where_another_file_is_in_the_place_of_its_own(
    channel: Channel, tmp_path: Path
) -> None:
    state = load_state(channel)
    (keyid,) = state.root.roles["root"].keyids
    back_up_keys(tmp_path / f"{state.channel_id[:12]}-root-{keyid[:12]}.keys", WORDS)
    with pytest.raises(KeyStoreError, match="one that exists"):
        split_keys(state.channel_id, "root", tmp_path, WORDS)
    assert "root" in channel.keys.channel_signers(state.channel_id)


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_backup_with_a_key_that_is_none_is_refused_as_a_whole(
    channel: Channel, tmp_path: Path, dry_run: bool
) -> None:
    folder = channel.keys.locate_channel(load_state(channel).channel_id)
    junk = Path(folder) / f"snapshot-{'a' * 12}.pem"
    junk.write_text("junk")
    junk.chmod(0o600)
    back_up_keys(tmp_path / "keys.backup", WORDS)
    with pytest.raises(KeyStoreError, match="snapshot-aaa"):
        restore_keys(tmp_path / "keys.backup", ask, KeyRing(tmp_path / "other"), dry_run=dry_run)
    assert not (tmp_path / "other").exists()
