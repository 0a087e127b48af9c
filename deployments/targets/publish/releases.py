"""The release that a cleared artifact becomes, or the conflict with the one that is there."""

import secrets

from deployments.targets.errors import ChannelConflict
from deployments.targets.publish.change import format_now
from deployments.targets.publish.repository import Channel
from deployments.targets.trust.clearance import Clearance
from deployments.targets.trust.release import Release


def is_same(champion: Release, cleared: Clearance) -> bool:
    """Tell whether a release is of the model and the bytes that are cleared."""
    return (champion.model_id, champion.sha256) == (cleared.model_id, cleared.sha256)


def make_release(channel: Channel, cleared: Clearance) -> Release:
    """Return the release that follows the one which was expected."""
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


def make_conflict(
    channel: Channel,
    cleared: Clearance,
    *,
    expected: int | None,
    found: int | None,
    champion: Release | None,
) -> ChannelConflict:
    """Return the error that another release is in the place which the receipt expects."""
    after = "be the first release" if expected is None else f"follow release {expected}"
    there = champion.title if champion else "no release" if found is None else f"release {found}"
    return ChannelConflict(
        f"{cleared.card.artifact.name} of model {cleared.model_id[:12]} on channel "
        f"({channel.store.display}) must {after}, as its receipt says; got {there} there; run the "
        "recipe again to be judged against it",
        expected=expected,
        found=found,
    )
