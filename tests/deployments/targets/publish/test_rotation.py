"""Keys of a channel: thresholds, an offline root, rotation and revocation, signing by a command."""

import shlex
import shutil
import stat
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from tuf.api.metadata import Metadata, Root

from deployments.targets.errors import (
    ChannelCorrupt,
    ChannelError,
    KeyAbsent,
    KeyConflict,
    KeyStoreError,
)
from deployments.targets.follow.client import update_model
from deployments.targets.publish import rotation
from deployments.targets.publish.change import change, open_signers
from deployments.targets.publish.channel import create_channel, open_channel, refresh
from deployments.targets.publish.history import read_log
from deployments.targets.publish.repository import Channel, ChannelState, commit, load_state
from deployments.targets.publish.rotation import rotate_key, set_threshold
from deployments.targets.publish.status import describe_channel, list_history
from deployments.targets.publish.steering import roll_back
from deployments.targets.trust.channel_keys import make_command_key, make_key
from deployments.targets.trust.decision import Decision
from deployments.targets.trust.key_records import ROLES, Role
from deployments.targets.trust.keys import KeyRing
from deployments.targets.trust.metadata import build_snapshot
from deployments.targets.trust.offers import Content
from tests.deployments.targets.kills import count_kills, every_step
from tests.deployments.targets.material import make_channel, make_onnx, publish_model
from tests.flows.material import call

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
WHY = {"author": "ada", "reason": "a laptop was lost"}
SIGN = """import sys
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
key = load_pem_private_key(open(sys.argv[1], "rb").read(), None)
print(key.sign(sys.stdin.buffer.read(), ec.ECDSA(hashes.SHA256())).hex())
"""


def key_files(channel: Channel, role: str) -> list[Path]:
    folder = Path(channel.keys.locate_channel(channel.keys.channel_ids()[0]))
    return sorted(path for path in folder.glob(f"{role}*") if path.suffix in (".pem", ".json"))


def follow(workspace: Path, cache: Path) -> bytes:
    update = update_model("edge", str(workspace), cache=cache)
    assert update.status != "refused", update.reason
    return update.model.data


@pytest.fixture
def channel(workspace: Path) -> Channel:
    made = make_channel(workspace)
    publish_model(made, 1, None)
    return made


@pytest.mark.parametrize("role", ROLES)
def test_a_key_is_replaced_and_the_old_one_is_worth_nothing(
    channel: Channel, workspace: Path, tmp_path: Path, role: Role
) -> None:
    cache, old = tmp_path / "device", key_files(channel, role)[0].read_bytes()
    assert follow(workspace, cache) == make_onnx(1)
    before = load_state(channel)
    rotate_key(channel, role, **WHY)
    state = load_state(channel)
    assert state.root.version == 3
    assert set(before.root.roles[role].keyids) & set(state.root.keys) == set()
    (path,) = key_files(channel, role)
    assert path.read_bytes() != old
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    # Those who were there before follow, as do new ones, and whoever publishes.
    assert follow(workspace, cache) == follow(workspace, tmp_path / "new") == make_onnx(1)
    publish_model(channel, 2, 1)
    assert follow(workspace, cache) == make_onnx(2)
    assert roll_back(channel, **WHY).release is not None
    line = next(line for line in read_log(channel) if line["action"] == "rotate-key")
    assert (line["evidence"]["role"], line["reason"]) == (role, WHY["reason"])
    path.unlink()
    path.with_name(f"{role}.pem").write_bytes(old)
    path.with_name(f"{role}.pem").chmod(0o600)
    with pytest.raises(KeyConflict if role != "root" else KeyAbsent, match=role):
        rotate_key(channel, "root", **WHY) if role == "root" else publish_model(channel, 4, 3)


@pytest.mark.parametrize("role", ["root", "targets", "timestamp"])
def test_another_number_of_keys_must_sign(
    channel: Channel, workspace: Path, tmp_path: Path, role: Role
) -> None:
    """Raised, then lowered: those who were there follow at each step."""
    cache, number = tmp_path / "device", 1
    assert follow(workspace, cache) == make_onnx(1)
    for threshold, count in ((3, 3), (1, 2)):
        done = call(
            *("channel", "set-threshold", "edge", f"{role}={threshold}/{count}"),
            *("--reason", "a second person", "--workspace", str(workspace)),
        )
        assert done.status == 0, done.messages
        state = load_state(channel)
        asked = state.root.roles[role]
        assert (asked.threshold, len(asked.keyids)) == (threshold, count)
        assert len(key_files(channel, role)) == count
        assert follow(workspace, cache) == make_onnx(number)
        publish_model(channel, number + 1, number)
        number += 1
        assert follow(workspace, cache) == make_onnx(number)
    assert follow(workspace, tmp_path / "new") == make_onnx(number)
    made = [entry.decision for entry in list_history(channel) if entry.decision is not None]
    told = [each.evidence["threshold"] for each in made if each.action == "set-threshold"]
    assert told == ["3 of 3", "1 of 2"]


def test_as_many_as_shall_sign_must_be_here(channel: Channel, tmp_path: Path) -> None:
    set_threshold(channel, "targets", 2, 3, **WHY)
    version = load_state(channel).root.version
    set_threshold(channel, "targets", 2, 3, **WHY)
    assert load_state(channel).root.version == version
    away = [shutil.move(path, tmp_path) for path in key_files(channel, "targets")[1:]]
    with pytest.raises(KeyAbsent, match="1 of the 2 targets keys"):
        publish_model(channel, 2, 1)
    with pytest.raises(KeyAbsent):
        set_threshold(channel, "targets", 1, 1, **WHY)
    shutil.move(away[0], key_files(channel, "targets")[0].parent)
    set_threshold(channel, "targets", 1, 1, **WHY)
    assert len(key_files(channel, "targets")) == 1
    publish_model(channel, 2, 1)


def test_what_a_revoked_key_signs_stops_everybody(channel: Channel, workspace: Path) -> None:
    stolen = channel.keys.channel_signers(channel.keys.channel_ids()[0])
    rotate_key(channel, "snapshot", **WHY)
    state = load_state(channel)
    assert state.targets is not None
    forged = build_snapshot(
        state.version + 1,
        (state.targets[0].version, state.targets[1]),
        state.content,
        None,
        "0",
        stolen["snapshot"],
        channel.clock(),
    )
    name = f"metadata/{state.version + 1}.snapshot.json"
    channel.store.write(name, forged)
    with pytest.raises(ChannelCorrupt):
        load_state(channel)
    channel.store.delete(name)
    assert len(list_history(channel)) == 3


def test_so_many_keys_must_sign_and_no_fewer(workspace: Path, tmp_path: Path) -> None:
    channel = open_channel(str(workspace), "edge")
    create_channel(channel, shape={"root": (2, 3), "targets": (2, 2)})
    publish_model(channel, 1, None)
    status = describe_channel(channel)
    assert {r: (s.threshold, len(s.keyids)) for r, s in status.roles.items()} == {
        "root": (2, 3),
        "targets": (2, 2),
        "snapshot": (1, 1),
        "timestamp": (1, 1),
    }
    assert follow(workspace, tmp_path / "device") == make_onnx(1)
    key_files(channel, "root")[0].unlink()
    rotate_key(channel, "timestamp", **WHY)
    assert follow(workspace, tmp_path / "device") == make_onnx(1)
    for path in key_files(channel, "root")[:1]:
        path.unlink()
    before = load_state(channel).version
    with pytest.raises(KeyAbsent, match=r"signed by 2 of its root keys; got 1"):
        rotate_key(channel, "timestamp", **WHY)
    key_files(channel, "targets")[0].unlink()
    with pytest.raises(KeyAbsent, match=r"got 1 of the 2 targets keys"):
        publish_model(channel, 2, 1)
    assert load_state(channel).version == before


def test_a_key_among_several_is_named(workspace: Path) -> None:
    channel = open_channel(str(workspace), "edge")
    create_channel(channel, shape={"targets": (1, 2)})
    first, second = describe_channel(channel).roles["targets"].keyids
    with pytest.raises(ChannelError, match=f"--old: {first[:12]}, {second[:12]}"):
        rotate_key(channel, "targets", **WHY)
    rotate_key(channel, "targets", old=second[:12], **WHY)
    kept = describe_channel(channel).roles["targets"].keyids
    assert first in kept
    assert second not in kept


def test_a_key_that_signs_already_is_no_new_one(channel: Channel) -> None:
    text = make_key().private_bytes
    rotate_key(channel, "targets", key=text, **WHY)
    before = load_state(channel).root.version
    with pytest.raises(ChannelError, match="signs already"):
        rotate_key(channel, "targets", key=text, **WHY)
    assert load_state(channel).root.version == before
    assert publish_model(channel, 2, 1).number == 2


def test_one_key_of_two_roles_is_replaced_in_one_of_them(channel: Channel) -> None:
    """As a token has it that signs for all of them."""
    text = make_key().private_bytes
    roles: list[Role] = ["snapshot", "targets"]
    for role in roles:
        rotate_key(channel, role, key=text, **WHY)
    shared = load_state(channel).root.roles["snapshot"].keyids
    rotate_key(channel, "targets", **WHY)
    root = load_state(channel).root
    assert root.roles["snapshot"].keyids == shared
    assert set(root.roles["targets"].keyids).isdisjoint(shared)
    assert publish_model(channel, 2, 1).number == 2


def test_a_replacement_by_another_key_is_finished_and_then_the_one_given_comes(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(rotation, "_record", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            rotate_key(channel, "targets", **WHY)
    given = make_key()
    state = rotate_key(channel, "targets", key=given.private_bytes, **WHY)
    assert state.root.roles["targets"].keyids == [given.public_key.keyid]


def test_who_began_before_a_replacement_signs_by_the_new_key(
    channel: Channel, workspace: Path, tmp_path: Path
) -> None:
    asked: list[int] = []

    def rotate_meanwhile(state: ChannelState) -> tuple[Content, Decision | None]:
        asked.append(state.version)
        if len(asked) == 1:
            rotate_key(channel, "snapshot", **WHY)
        return state.content, None

    change(channel, rotate_meanwhile)
    assert len(asked) == 2
    assert load_state(channel).version > asked[1]
    assert follow(workspace, tmp_path / "device") == make_onnx(1)


def test_what_was_read_under_an_earlier_root_is_not_committed(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = load_state(channel)
    signers = open_signers(channel, before)
    with monkeypatch.context() as patch:
        patch.setattr(rotation, "_record", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            rotate_key(channel, "targets", **WHY)
    assert not commit(channel, before, signers, before.content, None)
    after = load_state(channel)
    assert (after.version, after.root.version) == (before.version, before.root.version + 1)
    assert commit(channel, after, open_signers(channel, after), after.content, None)


def test_an_offline_root_is_not_needed_to_publish(
    channel: Channel, workspace: Path, tmp_path: Path
) -> None:
    (root,) = key_files(channel, "root")
    away = Path(shutil.move(root, tmp_path / "stick.pem"))
    publish_model(channel, 2, 1)
    refresh(channel)
    with pytest.raises(KeyAbsent, match="offline ones with --keys"):
        rotate_key(channel, "targets", **WHY)
    assert load_state(channel).root.version == 1
    shutil.move(away, root)
    rotate_key(channel, "targets", **WHY)
    assert follow(workspace, tmp_path / "device") == make_onnx(2)


def make_token(tmp_path: Path) -> tuple[Path, bytes]:
    """A program that signs by a P-256 key of its own, and its public key."""
    private = ec.generate_private_key(ec.SECP256R1())
    secret = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "token.pem").write_bytes(secret)
    (tmp_path / "sign.py").write_text(SIGN)
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return tmp_path / "sign.py", public


def test_a_command_signs_in_place_of_a_file(
    channel: Channel, workspace: Path, tmp_path: Path
) -> None:
    program, public = make_token(tmp_path)
    line = shlex.join([sys.executable, str(program), str(tmp_path / "token.pem")])
    text, _ = make_command_key(line, public)
    rotate_key(channel, "targets", key=text, **WHY)
    assert [path.suffix for path in key_files(channel, "targets")] == [".json"]
    publish_model(channel, 2, 1)
    assert follow(workspace, tmp_path / "device") == make_onnx(2)
    program.write_text("print('00' * 64)")
    with pytest.raises(KeyStoreError, match="must sign with key"):
        publish_model(channel, 3, 2)
    program.write_text("raise SystemExit(3)")
    with pytest.raises(KeyStoreError, match="status 0; got 3"):
        publish_model(channel, 3, 2)
    assert follow(workspace, tmp_path / "device") == make_onnx(2)


def test_a_command_that_is_none_is_refused() -> None:
    for command, public in (("", b"x"), ("'", b"x"), ("sign", b"no key")):
        with pytest.raises(KeyStoreError):
            make_command_key(command, public)


@every_step
def test_kill_at_every_step_of_rotation(
    channel: Channel, workspace: Path, tmp_path: Path, stride: int
) -> None:
    cache, ring = tmp_path / "device", KeyRing()
    roles: list[Role] = ["targets", "root", "timestamp", "snapshot"]
    begun: list[tuple[Role, str]] = []

    def prepare() -> None:
        role = roles[len(begun) % 4]
        begun.append((role, load_state(channel).root.roles[role].keyids[0]))

    def act() -> None:
        role, old = begun[-1]
        if old in load_state(channel).root.roles[role].keyids:
            rotate_key(channel, role, old=old, **WHY)

    def check(step: int) -> None:
        role, old = begun[-1]
        # In between the channel verifies, for old devices and for new ones.
        assert follow(workspace, cache) == follow(workspace, tmp_path / "new") == make_onnx(1)
        act()
        assert follow(workspace, cache) == make_onnx(1)
        root = load_state(channel).root
        assert old not in root.roles[role].keyids
        assert len(root.roles[role].keyids) == 1
        assert len([x for x in read_log(channel) if x["action"] == "rotate-key"]) == len(begun)
        assert len(ring.channel_key_texts(ring.channel_ids()[0])) in (4, 5)

    assert count_kills(stride, act, check, prepare) >= 20
    assert Metadata[Root].from_bytes(channel.store.read("metadata/1.root.json")).signed.version == 1
