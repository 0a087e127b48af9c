"""A channel's files: its newest committed state, the next commit, completing one cut short.

    <workspace>/channels/<channel>/metadata/<n>.root.json  <n>.targets.json  <n>.snapshot.json
                                            timestamp.json
    <workspace>/channels/<channel>/targets/<sha256>.<file>

`<n>.snapshot.json`, written if absent, is the commit: whoever writes it has published. All that it
needs is written before it, under names that nobody reads yet. The timestamp after it is a pure
function of it, so that anyone can complete the commit of a publisher that was killed in between.
"""

import re
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from securesystemslib.signer import Signer
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from deployments.targets.errors import ChannelAbsent, ChannelCorrupt, KeyAbsent
from deployments.targets.trust.address import METADATA, TARGETS
from deployments.targets.trust.decision import Decision
from deployments.targets.trust.keys import ROOT_FILE, KeyRing
from deployments.targets.trust.metadata import (
    TARGETS_META,
    SignerMap,
    build_snapshot,
    build_targets,
    build_timestamp,
    check_meta,
    is_ageing,
    name_channel,
    read_metadata,
    read_next_root,
    read_pinned_root,
)
from deployments.targets.trust.offers import NOTHING, Content, read_content
from deployments.targets.trust.release import Release
from deployments.targets.trust.roots import read_rotation
from storage.base.errors import NotFound
from storage.base.store import Store, sha256_bytes

TIMESTAMP_FILE = "timestamp.json"
_NUMBERED = re.compile(r"^([1-9][0-9]*)\.(root|targets|snapshot)\.json$")


def utc_now() -> datetime:
    """Return the time now, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Channel:
    """A channel as its publisher holds it.

    Attributes:
        store: Where its files lie.
        name: Its name, which its root states.
        keys: The keys of this machine.
        clock: Gives the time now, in UTC.
        workspace: The workspace that it lies in, where its decisions are logged; None: none.
    """

    store: Store
    name: str
    keys: KeyRing
    clock: Callable[[], datetime] = utc_now
    workspace: Store | None = None

    def where(self, file: str) -> str:
        """Name a metadata file for messages."""
        return f"{self.store.display}/{METADATA}/{file}"


@dataclass(frozen=True)
class ChannelState:
    """A channel's newest committed state, verified. Version 0: nothing was committed yet.

    Attributes:
        channel_id: Digest of its first root.
        roots: All of its roots, oldest first.
        version: Number of its snapshot.
        snapshot: The snapshot, and its bytes.
        targets: The targets, and their bytes.
        content: What they say.
    """

    channel_id: str
    roots: tuple[Root, ...]
    version: int = 0
    snapshot: tuple[Snapshot, bytes] | None = None
    targets: tuple[Targets, bytes] | None = None
    content: Content = NOTHING

    @property
    def root(self) -> Root:
        """The newest root."""
        return self.roots[-1]

    @property
    def release(self) -> Release | None:
        """The newest release."""
        return self.content.release


def load_state(channel: Channel) -> ChannelState:
    """Reads and verifies the newest committed state.

    Expiry is not judged, for an expired channel can be refreshed.

    Raises:
        ChannelAbsent: There is no channel.
        ChannelCorrupt: It does not verify, is another channel's, or was rolled back.
        KeyAbsent: Its root is not pinned on this machine.
    """
    first = _read_optional(channel, ROOT_FILE)
    if first is None:
        raise ChannelAbsent(
            f"channel ({channel.store.display}) must exist; got no {METADATA}/{ROOT_FILE}; run a "
            "recipe that promotes to it"
        )
    channel_id = sha256_bytes(first)
    if channel.keys.pinned_root(channel_id) is None:
        raise KeyAbsent(
            f"channel ({channel.store.display}) must be pinned in {channel.keys.directory}; got id "
            f"{channel_id[:12]}, which is not; run `lepton keys import` with its publisher's bundle"
        )
    # Before the listing: what another publisher commits in between is no rollback.
    seen = channel.keys.read_highest(channel_id)
    names = channel.store.listdir(METADATA)
    roots = _read_roots(channel, first, names)
    if name_channel(roots[-1]) != channel.name:
        raise ChannelCorrupt(
            f"channel ({channel.store.display}) must be {channel.name!r}; got the files of "
            f"{name_channel(roots[-1])!r}; restore it from a copy"
        )
    version = max(list_numbers(names, "snapshot"), default=0)
    _refuse_rollback(channel, seen, version)
    if version == 0:
        return ChannelState(channel_id=channel_id, roots=roots)
    return _read_version(channel, channel_id, roots, version)


def _read_roots(channel: Channel, first: bytes, names: Iterable[str]) -> tuple[Root, ...]:
    """Reads the roots in turn, each signed by the one before it."""
    roots = [read_pinned_root(first, channel.where(ROOT_FILE))]
    while (following := f"{roots[-1].version + 1}.root.json") in names:
        data = channel.store.read(f"{METADATA}/{following}")
        roots.append(read_next_root(data, roots[-1], channel.where(following)))
    return tuple(roots)


def _read_version(
    channel: Channel, channel_id: str, roots: tuple[Root, ...], version: int
) -> ChannelState:
    root = roots[-1]
    data = channel.store.read(f"{METADATA}/{version}.snapshot.json")
    where = channel.where(f"{version}.snapshot.json")
    snapshot = read_metadata(Snapshot, data, root, where)
    meta = snapshot.meta[TARGETS_META]
    targets_data = channel.store.read(f"{METADATA}/{meta.version}.targets.json")
    targets_where = channel.where(f"{meta.version}.targets.json")
    check_meta(meta, targets_data, targets_where)
    targets = read_metadata(Targets, targets_data, root, targets_where)
    if (snapshot.version, targets.version) != (version, meta.version):
        raise ChannelCorrupt(
            f"channel metadata ({where}) must have the version of its name; got "
            f"{snapshot.version}; restore it from a copy"
        )
    return ChannelState(
        channel_id=channel_id,
        roots=roots,
        version=version,
        snapshot=(snapshot, data),
        targets=(targets, targets_data),
        content=read_content(targets, targets_where),
    )


def commit(
    channel: Channel,
    state: ChannelState,
    signers: SignerMap,
    content: Content,
    decision: Decision | None,
) -> bool:
    """Writes the next snapshot, and the targets that it names.

    Args:
        channel: The channel.
        state: The state that it follows.
        signers: Those of every role but the root.
        content: What the channel says from now on.
        decision: What it carries out; None: it only signs anew.

    Returns:
        False if another commit or root was first; its own targets are taken away again then.
    """
    now, version = channel.clock(), state.version + 1
    same = content == state.content and read_rotation(state.root) is None
    unchanged = state.targets is not None and same
    if unchanged and state.targets and not is_ageing(state.targets[0], "targets", now):
        targets, mine = (state.targets[0].version, state.targets[1]), False
    else:
        targets, mine = _put_targets(channel, content, signers["targets"], now), True
    nonce = secrets.token_hex(8)
    data = build_snapshot(version, targets, content, decision, nonce, signers["snapshot"], now)
    # Under another root another key may have to sign.
    stale = channel.store.exists(f"{METADATA}/{state.root.version + 1}.root.json")
    if not stale and channel.store.put_if_absent(f"{METADATA}/{version}.snapshot.json", data):
        channel.keys.record_highest(state.channel_id, version)
        return True
    if mine:
        channel.store.delete(f"{METADATA}/{targets[0]}.targets.json")
    return False


def _put_targets(
    channel: Channel, content: Content, signers: Sequence[Signer], now: datetime
) -> tuple[int, bytes]:
    """Writes targets under the next free number.

    Numbers of killed or beaten publishers stay unused: TUF allows gaps.
    """
    version = max(list_numbers(channel.store.listdir(METADATA), "targets"), default=0) + 1
    while True:
        data = build_targets(version, content, signers, now)
        if channel.store.put_if_absent(f"{METADATA}/{version}.targets.json", data):
            return version, data
        version += 1


def complete(channel: Channel, signers: SignerMap) -> ChannelState:
    """Brings the timestamp up to the newest snapshot, and looks again until nothing was left to do.

    A publisher that was slow may have put an older timestamp over a newer one; its own second look
    mends that.
    """
    while True:
        state = load_state(channel)
        if state.snapshot is None:
            return state
        wanted = build_timestamp(*state.snapshot, signers["timestamp"])
        found = _read_optional(channel, TIMESTAMP_FILE)
        if found == wanted or (found is not None and _says_same(channel, state, found, wanted)):
            return state
        if found is not None and _timestamp_version(channel, state.root, found) > state.version:
            newest = max(list_numbers(channel.store.listdir(METADATA), "snapshot"), default=0)
            _refuse_rollback(channel, _timestamp_version(channel, state.root, found), newest)
            continue
        channel.store.write(f"{METADATA}/{TIMESTAMP_FILE}", wanted)


def _says_same(channel: Channel, state: ChannelState, found: bytes, wanted: bytes) -> bool:
    """Tells whether another key of the role has signed the same timestamp."""
    try:
        there = read_metadata(Timestamp, found, state.root, channel.where(TIMESTAMP_FILE))
    except ChannelCorrupt:
        return False
    return there == Metadata[Timestamp].from_bytes(wanted).signed


def _timestamp_version(channel: Channel, root: Root, data: bytes) -> int:
    try:
        return read_metadata(Timestamp, data, root, channel.where(TIMESTAMP_FILE)).version
    except ChannelCorrupt:
        return 0  # Whatever it is, the true one can be made again from the snapshot.


def _refuse_rollback(channel: Channel, seen: int, version: int) -> None:
    if version < seen:
        raise ChannelCorrupt(
            f"channel ({channel.store.display}) must not go back; got snapshot {version} after "
            f"{seen} was published; restore its newest metadata from a copy, devices refuse older "
            "ones"
        )


def put_target(store: Store, name: str, data: bytes) -> None:
    """Writes a release's file under the digest of its bytes; nothing names it before the commit.

    One that is there is written anew: mended, and too young for any clean-up.
    """
    path = f"{TARGETS}/{sha256_bytes(data)}.{name}"
    if not store.put_if_absent(path, data):
        store.write(path, data)


def _read_optional(channel: Channel, name: str) -> bytes | None:
    try:
        return channel.store.read(f"{METADATA}/{name}")
    except NotFound:
        return None


def list_numbers(names: Iterable[str], role: str) -> list[int]:
    """List the versions of a role's documents among the names of files."""
    matches = (_NUMBERED.match(name) for name in names)
    return [int(match[1]) for match in matches if match and match[2] == role]
