"""Earlier releases of a channel: found among its commits, checked, and offered once more."""

import secrets

from deployments.targets.errors import ChannelError
from deployments.targets.publish.change import format_now, offer_release
from deployments.targets.publish.history import find_offer, walk_commits
from deployments.targets.publish.keeping import read_files, renew_files
from deployments.targets.publish.repository import Channel, ChannelState
from deployments.targets.trust.card import RECEIPT_FILE
from deployments.targets.trust.clearance import check_clearance
from deployments.targets.trust.decision import Decision
from deployments.targets.trust.offers import Content, Offer
from deployments.targets.trust.release import Release
from deployments.targets.trust.rollout import EVERYBODY


def restore(
    channel: Channel, state: ChannelState, earlier: Offer, author: str, reason: str
) -> tuple[Content, Decision]:
    """Return what a channel says once it offers an earlier release's bytes again, to everybody."""
    _require_cleared(channel, earlier)
    renew_files(channel, earlier)
    newest = state.release.number if state.release else 0
    release = earlier.release.model_copy(
        update={
            "number": newest + 1,
            "published_at": format_now(channel),
            "publication": secrets.token_hex(8),
        }
    )
    offer = Offer(release, EVERYBODY, earlier.files)
    content, made = offer_release(channel, state, offer, "rollback", author, reason)
    evidence = {**made.evidence, "restores": earlier.release.number, "instead_of": newest}
    return content, made.model_copy(update={"evidence": evidence})


def _require_cleared(channel: Channel, offer: Offer) -> None:
    """Checks that a release's files are there, and that its receipt clears them."""
    files = read_files(channel, offer)
    receipt = files.pop(RECEIPT_FILE)
    check_clearance(
        receipt,
        files,
        channel=channel.name,
        artifact=offer.release.artifact,
        trusted=channel.keys.trusted_receipt_keys(),
    )


def find_earlier(
    channel: Channel, state: ChannelState, newest: Release, number: int | None
) -> Offer:
    """Finds the release that is named, else the newest of other bytes that was not given up.

    Raises:
        ChannelError: There is none, or what is newest was rolled back to already.
    """
    if number is None:
        number = _find_previous(channel, state, newest)
    offer = find_offer(channel, state, number)
    if offer is None:
        raise ChannelError(
            f"release ({number}) must be one of channel {channel.name}; got none of that number; "
            f"see `lepton channel history {channel.name}`"
        )
    return offer


def _find_previous(channel: Channel, state: ChannelState, newest: Release) -> int:
    last = newest.number
    for commit in walk_commits(channel, state):
        decision, release = commit.decision, commit.content.release
        restored = decision.evidence.get("restores") if decision is not None else None
        if restored is not None and release is not None and release.number == last:
            return int(restored)  # Rolled back already: the same again changes nothing.
        if release is not None and release.number < last:
            return release.number
    raise ChannelError(
        f"channel ({channel.store.display}) must have a release before {newest.title} to go back "
        "to; got none; hold it instead"
    )


def find_before(channel: Channel, state: ChannelState, newest: Offer) -> list[Offer]:
    """Finds what those get whom the newest release does not reach any more.

    Raises:
        ChannelError: A file of it is gone or damaged.
    """
    for commit in walk_commits(channel, state):
        if commit.content.release not in (None, newest.release):
            for offer in commit.content.offers:
                renew_files(channel, offer)
            return list(commit.content.offers)
    return []


def are_same(one: Release, other: Release) -> bool:
    """Tell whether two releases are of the same bytes, cleared by the same receipt."""
    return (one.model_id, one.sha256, one.receipt) == (other.model_id, other.sha256, other.receipt)
