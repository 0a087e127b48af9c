"""What an operator decides on a channel: whom a release reaches, what came before it, a stop.

Nothing here makes bytes: a rollback is a new, higher release of old bytes, which their receipt
clears now as it did then. Every call that finds its work done changes nothing, so that one that was
killed is finished by calling it again.
"""

from collections.abc import Mapping
from typing import Literal

from deployments.targets.errors import ChannelError
from deployments.targets.publish.change import change, format_now, require_going
from deployments.targets.publish.repository import Channel, ChannelState
from deployments.targets.publish.restoring import are_same, find_before, find_earlier, restore
from deployments.targets.trust.decision import Decision
from deployments.targets.trust.offers import Content, Offer, Stop, stack_offers
from deployments.targets.trust.rollout import Rollout

Steered = tuple[Content, Decision] | None


def widen_release(
    channel: Channel, rollout: Rollout, *, author: str, reason: str = ""
) -> ChannelState:
    """Changes whom the newest release reaches; devices that took it keep it.

    Raises:
        ChannelHeld: The channel is held, pinned or retired.
        ChannelError: It has no release.
    """

    def make(state: ChannelState) -> Steered:
        newest, *before = _list_offers(channel, state)
        if newest.rollout == rollout:
            return None
        require_going(channel, state, "a wider rollout")
        if not before and not rollout.is_over(channel.clock()):
            before = find_before(channel, state, newest)
        offer = Offer(newest.release, rollout, newest.files)
        evidence: dict[str, int | str] = {
            "before": newest.rollout.describe(),
            "rollout": rollout.describe(),
        }
        made = _decide(channel, "promote", author, reason, newest.release.number, evidence)
        return Content(stack_offers(offer, before, channel.clock()), state.content.stop), made

    return change(channel, make)


def roll_back(
    channel: Channel, number: int | None = None, *, author: str, reason: str
) -> ChannelState:
    """Offers the bytes of an earlier release to every device, as a new one.

    Args:
        channel: The channel.
        number: The release whose bytes are offered again; None: the one before the newest.
        author: Who decides.
        reason: Why.

    Raises:
        ChannelHeld: The channel is pinned or retired.
        ChannelError: There is no such release, or its files are gone.
        NotCleared: Its receipt does not clear it now: its signer is not trusted any more.
    """

    def make(state: ChannelState) -> Steered:
        require_in_use(channel, state)
        if state.content.stop is not None and state.content.stop.kind == "pin":
            require_going(channel, state, "a rollback")
        newest = _list_offers(channel, state)[0]
        earlier = find_earlier(channel, state, newest.release, number)
        if are_same(earlier.release, newest.release) and newest.rollout.is_whole:
            return None
        return restore(channel, state, earlier, author, reason)

    return change(channel, make)


def hold_channel(channel: Channel, *, author: str, reason: str) -> ChannelState:
    """Lets a channel take no new release, and no release reach more devices, until it is lifted.

    Raises:
        ChannelHeld: It is retired, or pinned.
    """

    def make(state: ChannelState) -> Steered:
        if state.content.stop is not None and state.content.stop.kind == "hold":
            return None
        require_going(channel, state, "a hold")
        return _stop(channel, state, "hold", author, reason)

    return change(channel, make)


def pin_release(channel: Channel, number: int, *, author: str, reason: str) -> ChannelState:
    """Keeps every device at a release: it is offered to all, and no other is until it is lifted.

    Raises:
        ChannelHeld: The channel is retired.
        ChannelError: There is no such release.
        NotCleared: Its receipt does not clear it now.
    """

    def make(state: ChannelState) -> Steered:
        require_in_use(channel, state)
        newest = _list_offers(channel, state)[0]
        wanted = find_earlier(channel, state, newest.release, number)
        content = state.content
        if not are_same(wanted.release, newest.release) or not newest.rollout.is_whole:
            content = restore(channel, state, wanted, author, reason)[0]
        elif content.stop is not None and content.stop.kind == "pin":
            return None
        there = ChannelState(state.channel_id, state.roots, content=content)
        return _stop(channel, there, "pin", author, reason, {"release": number})

    return change(channel, make)


def lift_stop(
    channel: Channel, kind: Literal["hold", "pin"], *, author: str, reason: str = ""
) -> ChannelState:
    """Lets a channel that was held or pinned take new releases again.

    Raises:
        ChannelHeld: It is retired.
        ChannelError: It is stopped in another way.
    """

    def make(state: ChannelState) -> Steered:
        require_in_use(channel, state)
        stop = state.content.stop
        if stop is None:
            return None
        if stop.kind != kind:
            raise ChannelError(
                f"channel ({channel.store.display}) must be stopped by {kind} to be lifted so; got "
                f"one that is {stop.describe()}; run `lepton channel {stop.kind} {channel.name} "
                "--off`"
            )
        release = state.release.number if state.release else None
        made = _decide(channel, "lift", author, reason, release, {"stop": kind})
        return Content(state.content.offers, None), made

    return change(channel, make)


def retire_channel(channel: Channel, *, author: str, reason: str) -> ChannelState:
    """Ends a channel for good: it offers nothing; devices go on with what they have, and say so."""

    def make(state: ChannelState) -> Steered:
        if state.content.stop is not None and state.content.stop.kind == "retire":
            return None
        last = state.release.number if state.release else 0
        there = ChannelState(state.channel_id, state.roots)
        return _stop(channel, there, "retire", author, reason, {"last_release": last})

    return change(channel, make)


def require_in_use(channel: Channel, state: ChannelState) -> None:
    """Checks that a channel is not retired.

    Raises:
        ChannelHeld: It is.
    """
    if state.content.stop is not None and state.content.stop.kind == "retire":
        require_going(channel, state, "a decision")


def _stop(
    channel: Channel,
    state: ChannelState,
    kind: Literal["hold", "pin", "retire"],
    author: str,
    reason: str,
    evidence: Mapping[str, int | str] | None = None,
) -> tuple[Content, Decision]:
    release = state.release.number if state.release else None
    made = _decide(channel, kind, author, reason, release, evidence or {})
    stop = Stop(kind=kind, reason=reason, author=author, at=made.at)
    return Content(state.content.offers, stop), made


def _decide(
    channel: Channel,
    action: Literal["promote", "hold", "pin", "lift", "retire"],
    author: str,
    reason: str,
    release: int | None,
    evidence: Mapping[str, int | str],
) -> Decision:
    return Decision(
        action=action,
        author=author,
        at=format_now(channel),
        reason=reason,
        release=release,
        evidence=dict(evidence),
    )


def _list_offers(channel: Channel, state: ChannelState) -> tuple[Offer, ...]:
    if not state.content.offers:
        raise ChannelError(
            f"channel ({channel.store.display}) must have a release to be steered; got none; "
            "promote a model there first"
        )
    return state.content.offers
