"""When which model was live on which channel, by the channel's signed commits."""

from collections.abc import Iterable
from datetime import datetime

from deployments.targets.publish.channel import open_channel
from deployments.targets.publish.history import Commit, walk_commits
from deployments.targets.publish.repository import load_state
from deployments.targets.trust.address import CHANNELS
from deployments.targets.trust.keys import KeyRing
from storage.base.store import Store
from tasks.runtime.outcome_base import Result


class Stay(Result):
    """The time for which a channel offered a release.

    Attributes:
        channel: The channel.
        number: Number of the release.
        model_id: Its model.
        artifact: Its artifact.
        since: When it was offered first, in UTC.
        until: From when on it was not any more; None: it is live.
    """

    channel: str
    number: int
    model_id: str
    artifact: str
    since: datetime
    until: datetime | None = None

    def was_live(self, at: datetime) -> bool:
        """Tell whether it was offered at a moment."""
        return self.since <= at and (self.until is None or at < self.until)


def list_channels(workspace: Store) -> list[str]:
    """List the names of a workspace's channels."""
    return sorted({path.split("/")[0] for path in workspace.listdir(CHANNELS)})


def list_stays(workspace: Store, channel: str, ring: KeyRing | None = None) -> list[Stay]:
    """List what a channel offered and when, oldest first.

    Raises:
        TargetError: The channel does not verify, or is not pinned on this machine.
    """
    opened = open_channel(workspace, channel, keys=ring)
    commits = list(walk_commits(opened, load_state(opened)))
    return join_commits(channel, reversed(commits))


def join_commits(channel: str, commits: Iterable[Commit]) -> list[Stay]:
    """Tell from a channel's commits, oldest first, when each release came and went.

    What a commit ends, ends when its decision was made; of a commit that was made before decisions
    were kept, when its release was published.
    """
    stays: list[Stay] = []
    at: datetime | None = None
    for commit in commits:
        newest = commit.content.release
        if commit.decision is not None:
            at = datetime.fromisoformat(commit.decision.at)
        elif newest is not None and newest.number not in {stay.number for stay in stays}:
            at = datetime.fromisoformat(newest.published_at)
        offered = {offer.release.number: offer.release for offer in commit.content.offers}
        stays = [_end(stay, at) if stay.number not in offered else stay for stay in stays]
        live = {stay.number for stay in stays if stay.until is None}
        for number, release in sorted(offered.items()):
            if number not in live:
                since = at or datetime.fromisoformat(release.published_at)
                stays.append(
                    Stay(
                        channel=channel,
                        number=number,
                        model_id=release.model_id,
                        artifact=release.artifact,
                        since=since,
                    )
                )
    return stays


def _end(stay: Stay, at: datetime | None) -> Stay:
    return stay.model_copy(update={"until": at}) if stay.until is None else stay
