"""Other keys for a role of a channel: added, used for everything, the old ones dropped.

Two roots and a commit; at each step between them the channel verifies. A call that was killed is
finished by the next, or by the next refresh where the root's keys are at hand.
"""

from collections.abc import Sequence
from typing import Literal

from securesystemslib.signer import Signer
from tuf.api.metadata import Root, Snapshot, Targets, Timestamp

from deployments.targets.errors import ChannelCorrupt, ChannelError
from deployments.targets.publish.change import MAX_ATTEMPTS, change, format_now, open_signers
from deployments.targets.publish.history import walk_commits, write_log
from deployments.targets.publish.repository import (
    TIMESTAMP_FILE,
    Channel,
    ChannelState,
    complete,
    load_state,
)
from deployments.targets.trust.address import METADATA
from deployments.targets.trust.channel_keys import load_channel_key, make_key, name_key, name_role
from deployments.targets.trust.decision import Decision
from deployments.targets.trust.key_records import Role
from deployments.targets.trust.metadata import read_metadata
from deployments.targets.trust.offers import Content
from deployments.targets.trust.roots import (
    Rotation,
    begin_rotation,
    end_rotation,
    read_rotation,
    sign_root,
)
from storage.base.errors import NotFound
from storage.base.store import redact


def rotate_key(
    channel: Channel,
    role: Role,
    *,
    author: str,
    reason: str,
    old: str | None = None,
    key: bytes | None = None,
) -> ChannelState:
    """Replaces a key of a role: nothing that the old one signs is accepted any more.

    Args:
        channel: The channel.
        role: The role.
        author: Who decides.
        reason: Why.
        old: The beginning of the id of the key that goes; None: the only one of the role.
        key: The new key's text: a PEM, or the record of a signing command; None: a new one.

    Raises:
        KeyAbsent: Too few of the root's keys, or of another role's, are on this machine.
        ChannelError: The role has no such key, or has the new one already.
        ChannelAbsent, ChannelCorrupt: There is no channel, or it does not verify.
    """
    begun = read_rotation(load_state(channel).root)
    done = finish_rotation(channel)
    if not _is_meant(begun, role, old, key):
        _begin(channel, done, role, _find_key(channel, done, role, old), key, (author, reason))
        done = finish_rotation(channel)
    _forget_dropped(channel, done)
    return done


def set_threshold(
    channel: Channel, role: Role, threshold: int, count: int, *, author: str, reason: str
) -> ChannelState:
    """Lets another number of a role's keys sign; new ones are made here, keys too many go.

    Those that are not on this machine go first. A call that was killed is finished by the next one.

    Args:
        channel: The channel.
        role: The role.
        threshold: How many keys must sign.
        count: How many there are, at least as many.
        author: Who decides.
        reason: Why.

    Raises:
        KeyAbsent: Too few of the root's keys, or of another role's, are on this machine.
        ChannelAbsent, ChannelCorrupt: There is no channel, or it does not verify.
    """
    done = finish_rotation(channel)
    asked = done.root.roles[role]
    if (asked.threshold, len(asked.keyids)) != (threshold, count):
        held = channel.keys.channel_signers(done.channel_id).get(role, ())
        here = {signer.public_key.keyid for signer in held}
        kept = sorted(asked.keyids, key=lambda keyid: keyid not in here)[:count]
        evidence: dict[str, int | str] = {
            "role": role,
            "before": f"{asked.threshold} of {len(asked.keyids)}",
            "threshold": f"{threshold} of {count}",
        }
        rotation = Rotation(
            role=role,
            dropped=tuple(keyid for keyid in asked.keyids if keyid not in kept),
            threshold=threshold,
            after=done.version,
            decision=_decide(channel, done, "set-threshold", (author, reason), evidence),
        )
        _write_first(channel, done, rotation, _take_keys(channel, done, role, count - len(kept)))
        done = finish_rotation(channel)
    _forget_dropped(channel, done)
    return done


def _forget_dropped(channel: Channel, done: ChannelState) -> None:
    """Removes the keys that a channel had, and has no more, from this machine."""
    for keyid in {keyid for root in done.roots for keyid in root.keys} - set(done.root.keys):
        channel.keys.drop_channel_key(done.channel_id, keyid)


def finish_rotation(channel: Channel) -> ChannelState:
    """Carries the replacement of a key to its end, if one was begun.

    Raises:
        KeyAbsent: Too few keys for it are on this machine.
        ChannelAbsent, ChannelCorrupt: There is no channel, or it does not verify.
    """
    for _ in range(MAX_ATTEMPTS):
        state = load_state(channel)
        rotation = read_rotation(state.root)
        if rotation is None:
            return state
        # A timestamp of before would lead clients to what only the old key has signed.
        state = complete(channel, open_signers(channel, state))
        last = end_rotation(state.root, rotation, channel.clock())
        if not _is_recorded(channel, state, rotation) or not _verifies(channel, state, last):
            _record(channel, rotation)
            continue
        write_log(channel, state)
        held = channel.keys.channel_signers(state.channel_id)
        data = sign_root(last, state.root, held, f"channel {channel.name!r}")
        channel.store.put_if_absent(f"{METADATA}/{last.version}.root.json", data)
    raise ChannelError(
        f"channel ({channel.store.display}) must hold still for a key to be replaced; got "
        f"{MAX_ATTEMPTS} other writes; try again"
    )


def _is_meant(begun: Rotation | None, role: Role, old: str | None, key: bytes | None) -> bool:
    """Tells whether a replacement that was under way is the one that is asked for."""
    if begun is None or begun.role != role or not begun.old.startswith(old or ""):
        return False
    return key is None or load_channel_key(key, "the new key").public_key.keyid == begun.new


def _begin(
    channel: Channel,
    state: ChannelState,
    role: Role,
    old: str,
    key: bytes | None,
    why: tuple[str, str],
) -> None:
    """Makes the new key durable here, then writes the root that names it beside the old one."""
    if key is None:
        text, signer = _take_keys(channel, state, role, 1)[0]
    else:
        text, signer = key, load_channel_key(key, "the new key")
    new = signer.public_key.keyid
    if new in state.root.roles[role].keyids:
        raise ChannelError(
            f"new {role} key ({new[:12]}) must be another than those of channel {channel.name}; "
            "got one that signs already; leave it at that, or give another"
        )
    made = _decide(channel, state, "rotate-key", why, {"role": role, "old": old, "new": new})
    rotation = Rotation(role=role, old=old, new=new, after=state.version, decision=made)
    _write_first(channel, state, rotation, [(text, signer)])


def _decide(
    channel: Channel,
    state: ChannelState,
    action: Literal["rotate-key", "set-threshold"],
    why: tuple[str, str],
    evidence: dict[str, int | str],
) -> Decision:
    return Decision(
        action=action,
        author=why[0],
        at=format_now(channel),
        reason=why[1],
        release=state.release.number if state.release else None,
        evidence=evidence,
    )


def _write_first(
    channel: Channel, state: ChannelState, rotation: Rotation, keys: Sequence[tuple[bytes, Signer]]
) -> None:
    """Makes new keys durable here, then writes the root that names them beside the old ones."""
    for text, signer in keys:
        name = name_key(rotation.role, signer)
        channel.keys.put_channel_key(state.channel_id, name, text)
    public = [signer.public_key for _, signer in keys]
    root = begin_rotation(state.root, rotation, public, channel.clock())
    held = channel.keys.channel_signers(state.channel_id)
    data = sign_root(root, state.root, held, f"channel {channel.name!r}")
    if not channel.store.put_if_absent(f"{METADATA}/{root.version}.root.json", data):
        raise ChannelError(
            f"channel ({channel.store.display}) must hold still for a key to be replaced; got "
            "another root meanwhile; try again"
        )


def _take_keys(
    channel: Channel, state: ChannelState, role: Role, count: int
) -> list[tuple[bytes, Signer]]:
    """Returns new keys: those that a killed call left here, then others."""
    known = {keyid for root in state.roots for keyid in root.keys}
    found: list[tuple[bytes, Signer]] = []
    for name, text in channel.keys.channel_key_texts(state.channel_id).items():
        signer = load_channel_key(text, name)
        if name_role(name) == role and signer.public_key.keyid not in known:
            found.append((text, signer))
    made = [make_key() for _ in range(count - len(found))]
    return [*found, *((key.private_bytes, key) for key in made)][:count]


def _find_key(channel: Channel, state: ChannelState, role: Role, old: str | None) -> str:
    """Returns the id of the key that goes.

    Raises:
        ChannelError: It is none of the role, or none is named of several.
    """
    keyids = state.root.roles[role].keyids
    found = [keyid for keyid in keyids if old is None or keyid.startswith(old)]
    if len(found) == 1:
        return found[0]
    raise ChannelError(
        f"{role} key ({redact(old or 'none named')}) must be one of channel {channel.name}'s; got "
        f"{len(found)} such keys; name one with --old: {', '.join(keyid[:12] for keyid in keyids)}"
    )


def _record(channel: Channel, rotation: Rotation) -> None:
    """Signs everything with the keys that stay; the commit carries the decision, once."""

    def make(state: ChannelState) -> tuple[Content, Decision | None]:
        told = _is_recorded(channel, state, rotation)
        return state.content, None if told else rotation.decision

    change(channel, make)


def _is_recorded(channel: Channel, state: ChannelState, rotation: Rotation) -> bool:
    for commit in walk_commits(channel, state):
        if commit.version <= rotation.after:
            return False
        if commit.decision == rotation.decision:
            return True
    return False


def _verifies(channel: Channel, state: ChannelState, root: Root) -> bool:
    """Tells whether all that is newest is signed by keys of a root."""
    snapshot, targets = (
        pair[1] if pair is not None else b"" for pair in (state.snapshot, state.targets)
    )
    try:
        read_metadata(Snapshot, snapshot, root, channel.where("snapshot.json"))
        read_metadata(Targets, targets, root, channel.where("targets.json"))
        timestamp = channel.store.read(f"{METADATA}/{TIMESTAMP_FILE}")
        read_metadata(Timestamp, timestamp, root, channel.where(TIMESTAMP_FILE))
    except (ChannelCorrupt, NotFound):
        return False
    return True
