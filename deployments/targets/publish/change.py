"""One change of a channel: what a killed call left is completed, the next commit written, logged.

Of several who change a channel at once one writes the next snapshot; the others look again.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Literal

from deployments.targets.errors import ChannelAbsent, ChannelError, ChannelHeld, KeyAbsent
from deployments.targets.publish.history import write_log
from deployments.targets.publish.keeping import keep_files
from deployments.targets.publish.repository import (
    Channel,
    ChannelState,
    commit,
    complete,
    load_state,
)
from deployments.targets.trust.channel_keys import pick_signers
from deployments.targets.trust.decision import Decision
from deployments.targets.trust.key_records import Role
from deployments.targets.trust.metadata import SignerMap
from deployments.targets.trust.offers import Content, Offer, stack_offers
from deployments.targets.trust.roots import find_wanted

MAX_ATTEMPTS = 20
Change = tuple[Content, Decision | None]


def change(channel: Channel, make: Callable[[ChannelState], Change | None]) -> ChannelState:
    """Changes what a channel says.

    Args:
        channel: The channel; it must exist.
        make: From the state that is there to what shall be, and the decision behind it; None:
            nothing is to be done. Asked again where another call was faster.

    Returns:
        The state after it.

    Raises:
        ChannelAbsent, ChannelCorrupt: There is no channel, or it does not verify.
        KeyAbsent, KeyUnsafe: This machine cannot sign for the channel.
    """
    for _ in range(MAX_ATTEMPTS):
        state = complete(channel, open_signers(channel, load_state(channel)))
        signers = open_signers(channel, state)
        with keep_files(channel):
            wanted = make(state)
            done = wanted is None or commit(channel, state, signers, *wanted)
        if done:
            after = complete(channel, signers)
            write_log(channel, after)
            return after
    raise ChannelError(
        f"channel ({channel.store.display}) must hold still to be changed; got {MAX_ATTEMPTS} "
        "other writes; try again"
    )


def open_signers(channel: Channel, state: ChannelState) -> SignerMap:
    """Return who of this machine signs for the roles of a channel, but its root.

    Raises:
        KeyAbsent, KeyConflict: It does not hold as many of their keys as must sign.
    """
    held, root = channel.keys.channel_signers(state.channel_id), state.root
    where = channel.keys.locate_channel(state.channel_id)
    online: tuple[Role, ...] = ("targets", "snapshot", "timestamp")
    return {role: pick_signers(root, role, held, where, find_wanted(root, role)) for role in online}


def require_going(channel: Channel, state: ChannelState, what: str) -> None:
    """Checks that nobody has stopped a channel.

    Raises:
        ChannelHeld: It is held, pinned or retired.
    """
    if (stop := state.content.stop) is None:
        return
    remedy = "publish on another channel"
    if stop.kind != "retire":
        remedy = f"lift it with `lepton channel {stop.kind} {channel.name} --off`"
    raise ChannelHeld(
        f"channel ({channel.store.display}) must take {what}; got one that is {stop.describe()}; "
        f"{remedy}"
    )


def offer_release(
    channel: Channel,
    state: ChannelState,
    newest: Offer,
    action: Literal["release", "rollback"],
    author: str,
    reason: str = "",
) -> tuple[Content, Decision]:
    """Return what a channel says once it offers a release that is newer than all others."""
    release = newest.release
    decision = Decision(
        action=action,
        author=author,
        at=format_now(channel),
        reason=reason,
        release=release.number,
        evidence={
            "artifact": release.artifact,
            "model": release.model_id,
            "receipt": release.receipt,
            "rollout": newest.rollout.describe(),
            "sha256": release.sha256,
        },
    )
    offers = stack_offers(newest, state.content.offers, channel.clock())
    return Content(offers, state.content.stop), decision


def format_now(channel: Channel) -> str:
    """Return the time now by a channel's clock, ISO 8601 in UTC."""
    return channel.clock().isoformat(timespec="seconds")


def require_free(channel: Channel) -> None:
    """Checks that nobody has stopped a channel; one that does not exist is free.

    Raises:
        ChannelHeld: It is held, pinned or retired.
        ChannelCorrupt: It does not verify.
    """
    with suppress(ChannelAbsent, KeyAbsent):
        require_going(channel, load_state(channel), "a new release")
