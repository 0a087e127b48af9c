"""Release channels, the publisher's side: a TUF repository of static files on any file system.

Of two publishers at once, one writes the next snapshot, which is the commit; the other reads the
channel again, and publishes only if the champion is still the one that its receipt expects.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from types import MappingProxyType

from securesystemslib.signer import Signer

from deployments.targets.errors import ChannelAbsent, ChannelConflict, ChannelError, KeyAbsent
from deployments.targets.follow.state import forget_channel
from deployments.targets.publish.change import (
    change,
    format_now,
    offer_release,
    open_signers,
    require_going,
)
from deployments.targets.publish.history import write_log
from deployments.targets.publish.releases import is_same, make_conflict, make_release
from deployments.targets.publish.repository import (
    Channel,
    ChannelState,
    commit,
    complete,
    load_state,
    put_target,
    utc_now,
)
from deployments.targets.publish.rotation import finish_rotation
from deployments.targets.trust.address import METADATA, find_workspace, locate_channel
from deployments.targets.trust.card import RECEIPT_FILE
from deployments.targets.trust.channel_keys import make_key, name_key
from deployments.targets.trust.clearance import Clearance, check_clearance
from deployments.targets.trust.decision import Decision
from deployments.targets.trust.key_records import ROLES, Role
from deployments.targets.trust.keys import ROOT_FILE, KeyRing
from deployments.targets.trust.metadata import is_ageing
from deployments.targets.trust.offers import Content, Offer, describe_files
from deployments.targets.trust.release import Release
from deployments.targets.trust.rollout import EVERYBODY, Rollout
from deployments.targets.trust.roots import build_root, renew_root, sign_root
from storage.base.store import Store, sha256_bytes

Shape = Mapping[Role, tuple[int, int]]


def open_channel(
    workspace: str | Store,
    name: str,
    *,
    keys: KeyRing | None = None,
    clock: Callable[[], datetime] = utc_now,
) -> Channel:
    """Returns the channel of a workspace, whether or not it exists yet.

    Raises:
        ChannelError: The name cannot be a channel's.
    """
    location = locate_channel(name, workspace)
    if location.store is None:
        raise ChannelError(
            f"channel ({location.display}) must be on a file system to publish; got http(s), which "
            "is read only"
        )
    return Channel(
        store=location.store,
        name=location.name,
        keys=keys or KeyRing(),
        clock=clock,
        workspace=find_workspace(location, workspace),
    )


def create_channel(
    channel: Channel,
    *,
    found_absent: bool = False,
    author: str = "lepton",
    shape: Shape = MappingProxyType({}),
) -> str:
    """Makes a channel with keys of its own, and pins it on this machine.

    One that exists is completed and kept.

    Args:
        channel: The channel.
        found_absent: Whether this machine has looked for the champion, and found none: a channel
            of another machine was made since.
        author: Who makes it.
        shape: Of roles, how many keys must sign, and how many there are; one of one where none is
            given. A channel that exists keeps its own.

    Returns:
        The channel id: sha256 of its first root.

    Raises:
        KeyAbsent: The channel exists, and this machine does not hold its keys.
        ChannelConflict: Another machine made it at the same time, or since, and was first.
        ChannelCorrupt: It exists and does not verify.
    """
    if not channel.store.exists(f"{METADATA}/{ROOT_FILE}"):
        _put_first_root(channel, shape)
    elif found_absent:
        _require_ours(channel)
    state = load_state(channel)
    signers = open_signers(channel, state)
    if state.version == 0:
        made = Decision(action="init", author=author, at=format_now(channel))
        commit(channel, state, signers, Content(), made)
    done = complete(channel, signers)
    write_log(channel, done)
    return done.channel_id


def publish(
    channel: Channel,
    *,
    receipt: bytes,
    files: Mapping[str, bytes],
    artifact: str,
    expected: int | None,
    rollout: Rollout = EVERYBODY,
    author: str = "lepton",
) -> Release:
    """Publishes an artifact with its card and receipt.

    The receipt must clear exactly these bytes for the channel. Publishing the champion again
    changes nothing. A call that was killed is completed by the next one.

    Args:
        channel: The channel; it must exist.
        receipt: The receipt's bytes.
        files: The artifact and card.json, by file name.
        artifact: Name of the artifact among the run's candidates, such as "int8".
        expected: Number of the champion that the artifact was judged against; None: none.
        rollout: Which devices it reaches, and from when on.
        author: Who publishes it, such as a run.

    Returns:
        The release, new or already there.

    Raises:
        NotCleared: The receipt does not clear these bytes. Nothing was written.
        ChannelHeld: The channel takes no new release now. Nothing was written.
        ChannelConflict: The champion is another one than expected. Nothing that a client reads was
            written.
        ChannelAbsent, ChannelCorrupt: There is no channel, or it does not verify.
        KeyAbsent, KeyUnsafe: This machine cannot sign for the channel.
    """
    cleared = check_clearance(
        receipt,
        files,
        channel=channel.name,
        artifact=artifact,
        trusted=channel.keys.trusted_receipt_keys(),
    )
    _require_expected(channel, cleared, expected, None)
    shipped = {**files, RECEIPT_FILE: receipt}
    released: Release | None = None

    def make(state: ChannelState) -> tuple[Content, Decision] | None:
        nonlocal released
        champion = state.release
        if champion is not None and is_same(champion, cleared):
            released = champion
            return None
        require_going(channel, state, "a new release")
        found = champion.number if champion else None
        _require_expected(channel, cleared, found, champion)
        for name, data in shipped.items():
            put_target(channel.store, name, data)
        released = make_release(channel, cleared)
        newest = Offer(released, rollout, describe_files(shipped))
        return offer_release(channel, state, newest, "release", author)

    change(channel, make)
    if released is None:
        raise ChannelError(f"channel ({channel.store.display}) must offer a release; got none")
    return released


def _require_expected(
    channel: Channel, cleared: Clearance, found: int | None, champion: Release | None
) -> None:
    if found != cleared.expected:
        raise make_conflict(
            channel, cleared, expected=cleared.expected, found=found, champion=champion
        )


def refresh(channel: Channel) -> int:
    """Signs a new snapshot and timestamp, and targets and root once half of their lifetime is over.

    A root whose keys are elsewhere is left as it is; `lepton channel status` tells when it ends.

    Returns:
        Version of the channel's metadata now.
    """
    with suppress(KeyAbsent):
        finish_rotation(channel)

    def make(state: ChannelState) -> tuple[Content, None]:
        now = channel.clock()
        if is_ageing(state.root, "root", now):
            held = channel.keys.channel_signers(state.channel_id)
            with suppress(KeyAbsent):
                renewed = renew_root(state.root, now)
                data = sign_root(renewed, state.root, held, f"channel {channel.name!r}")
                channel.store.put_if_absent(f"{METADATA}/{renewed.version}.root.json", data)
        return state.content, None

    return change(channel, make).version


def read_champion(channel: Channel) -> Release | None:
    """Reads the release that the channel's newest committed state names.

    Returns:
        The verified release; None where the channel has none, or does not exist.

    Raises:
        ChannelCorrupt: The channel does not verify, or was rolled back.
        KeyAbsent: The channel's root is not pinned here.
    """
    try:
        return load_state(channel).release
    except ChannelAbsent:
        return None


def _put_first_root(channel: Channel, shape: Shape) -> None:
    made = {role: [make_key() for _ in range(shape.get(role, (1, 1))[1])] for role in ROLES}
    signers: dict[Role, tuple[Signer, ...]] = {role: tuple(keys) for role, keys in made.items()}
    thresholds: dict[Role, int] = {role: threshold for role, (threshold, _) in shape.items()}
    root = build_root(channel.name, 1, signers, channel.clock(), thresholds)
    texts = {
        role if place == 0 else name_key(role, key): key.private_bytes
        for role, keys in made.items()
        for place, key in enumerate(keys)
    }
    # The keys are durable before the channel is visible: a channel that nobody can sign for could
    # never be mended.
    channel_id = channel.keys.add_channel(root, texts)
    if channel.store.put_if_absent(f"{METADATA}/{ROOT_FILE}", root):
        forget_channel(channel.store.url)
    else:
        channel.keys.drop_channel(channel_id)
        _require_ours(channel)


def _require_ours(channel: Channel) -> None:
    """Tells who lost the making of a channel to another machine that this is a conflict."""
    there = sha256_bytes(channel.store.read(f"{METADATA}/{ROOT_FILE}"))
    if channel.keys.pinned_root(there) is None:
        raise ChannelConflict(
            f"channel ({channel.store.display}) must be made by one machine; got another one that "
            f"made it first, as {there[:12]}; import its keys with `lepton keys import`, then run "
            "the recipe again to be judged against its release",
            expected=None,
            found=None,
        )
