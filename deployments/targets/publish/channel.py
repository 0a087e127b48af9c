"""Release channels, the publisher's side: a TUF repository of static files on any file system.

Of two publishers at once, one writes the next snapshot, which is the commit; the other reads the
channel again, and publishes only if the champion is still the one that its receipt expects.
"""

import secrets
from collections.abc import Callable, Mapping
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner, Signer

from deployments.targets.errors import ChannelAbsent, ChannelConflict, ChannelError
from deployments.targets.follow.state import forget_channel
from deployments.targets.publish.change import change, format_now, offer_release, require_going
from deployments.targets.publish.history import write_log
from deployments.targets.publish.repository import (
    Channel,
    ChannelState,
    commit,
    complete,
    load_state,
    open_signers,
    put_target,
    utc_now,
)
from deployments.targets.trust.address import CHANNELS, METADATA, Location, locate_channel
from deployments.targets.trust.card import RECEIPT_FILE
from deployments.targets.trust.clearance import Clearance, check_clearance
from deployments.targets.trust.decision import Decision
from deployments.targets.trust.key_records import ROLES, Role
from deployments.targets.trust.keys import ROOT_FILE, KeyRing
from deployments.targets.trust.metadata import build_root, is_ageing
from deployments.targets.trust.offers import Content, Offer, describe_files
from deployments.targets.trust.release import Release
from deployments.targets.trust.rollout import EVERYBODY, Rollout
from storage.base.store import Store, sha256_bytes


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
        workspace=_find_workspace(location, workspace),
    )


def _find_workspace(location: Location, workspace: str | Store) -> Store | None:
    """Finds the workspace of a channel, whether it was named or its address given."""
    if location.shelf is not None:
        return workspace if isinstance(workspace, Store) else Store(workspace)
    root, shelf, _ = location.url.rpartition(f"/{CHANNELS}/")
    return Store(root) if shelf and root else None


def create_channel(channel: Channel, *, found_absent: bool = False, author: str = "lepton") -> str:
    """Makes a channel with keys of its own, and pins it on this machine.

    One that exists is completed and kept.

    Args:
        channel: The channel.
        found_absent: Whether this machine has looked for the champion, and found none: a channel
            of another machine was made since.
        author: Who makes it.

    Returns:
        The channel id: sha256 of its first root.

    Raises:
        KeyAbsent: The channel exists, and this machine does not hold its keys.
        ChannelConflict: Another machine made it at the same time, or since, and was first.
        ChannelCorrupt: It exists and does not verify.
    """
    if not channel.store.exists(f"{METADATA}/{ROOT_FILE}"):
        _put_first_root(channel)
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
    if cleared.expected != expected:
        raise _conflict(channel, cleared, expected=cleared.expected, found=expected, champion=None)
    shipped = {**files, RECEIPT_FILE: receipt}

    def make(state: ChannelState) -> tuple[Content, Decision] | None:
        champion = state.release
        if champion is not None and _is_same(champion, cleared):
            return None
        require_going(channel, state, "a new release")
        found = champion.number if champion else None
        if found != expected:
            raise _conflict(channel, cleared, expected=expected, found=found, champion=champion)
        for name, data in shipped.items():
            put_target(channel.store, name, data)
        release = _make_release(channel, cleared)
        newest = Offer(release, rollout, describe_files(shipped))
        return offer_release(channel, state, newest, "release", author)

    return _require_release(change(channel, make))


def _require_release(state: ChannelState) -> Release:
    if state.release is None:
        raise ChannelError("channel must offer a release once it was published; got none")
    return state.release


def _is_same(champion: Release, cleared: Clearance) -> bool:
    return (champion.model_id, champion.sha256) == (cleared.model_id, cleared.sha256)


def refresh(channel: Channel) -> int:
    """Signs a new snapshot and timestamp, and targets and root once half of their lifetime is over.

    Returns:
        Version of the channel's metadata now.
    """

    def make(state: ChannelState) -> tuple[Content, None]:
        now = channel.clock()
        if is_ageing(state.root, "root", now):
            version = state.root.version + 1
            signers = open_signers(channel, state)
            data = build_root(channel.name, version, signers, now)
            channel.store.put_if_absent(f"{METADATA}/{version}.root.json", data)
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


def _put_first_root(channel: Channel) -> None:
    made = {role: CryptoSigner(Ed25519PrivateKey.generate()) for role in ROLES}
    pems: dict[Role, bytes] = {role: signer.private_bytes for role, signer in made.items()}
    signers: dict[Role, tuple[Signer, ...]] = {role: (signer,) for role, signer in made.items()}
    root = build_root(channel.name, 1, signers, channel.clock())
    # The keys are durable before the channel is visible: a channel that nobody can sign for could
    # never be mended.
    channel_id = channel.keys.add_channel(root, pems)
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


def _make_release(channel: Channel, cleared: Clearance) -> Release:
    return Release(
        channel=channel.name,
        number=(cleared.expected or 0) + 1,
        model_id=cleared.model_id,
        artifact=cleared.card.artifact.name,
        file=cleared.card.artifact.file,
        sha256=cleared.sha256,
        size_bytes=cleared.size_bytes,
        receipt=cleared.receipt,
        expected=cleared.expected,
        published_at=format_now(channel),
        publication=secrets.token_hex(8),
    )


def _conflict(
    channel: Channel,
    cleared: Clearance,
    *,
    expected: int | None,
    found: int | None,
    champion: Release | None,
) -> ChannelConflict:
    after = "be the first release" if expected is None else f"follow release {expected}"
    there = champion.title if champion else "no release" if found is None else f"release {found}"
    return ChannelConflict(
        f"{cleared.card.artifact.name} of model {cleared.model_id[:12]} on channel "
        f"({channel.store.display}) must {after}, as its receipt says; got {there} there; run the "
        "recipe again to be judged against it",
        expected=expected,
        found=found,
    )
