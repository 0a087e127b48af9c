"""How a channel stands: what it offers to whom, whether it is stopped, when its signatures end."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from deployments.targets.publish.history import read_log, walk_commits
from deployments.targets.publish.repository import Channel, load_state
from deployments.targets.trust.decision import Decision
from deployments.targets.trust.key_records import ROLES
from deployments.targets.trust.offers import Stop
from deployments.targets.trust.release import Release
from deployments.targets.trust.rollout import Rollout


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OfferStatus(_Record):
    """A release that is offered, and to whom."""

    release: Release
    rollout: Rollout


class RoleStatus(_Record):
    """The keys of a role: how many must sign, and when what it signed ends.

    Attributes:
        threshold: How many keys must sign.
        keyids: All of them.
        expires: When what they signed last runs out; None where nothing is signed yet.
    """

    threshold: int
    keyids: tuple[str, ...]
    expires: datetime | None


class ChannelStatus(_Record):
    """How a channel stands.

    Attributes:
        channel: Its name.
        id: Its id: digest of its first root.
        version: Number of its newest snapshot.
        offers: What it offers, newest first.
        stop: Why it takes no new release; None: it does.
        roles: Keys and ends of the roles.
        decisions: Lines of its log, each signed.
    """

    channel: str
    id: str
    version: int
    offers: tuple[OfferStatus, ...]
    stop: Stop | None
    roles: dict[str, RoleStatus]
    decisions: int


class HistoryEntry(_Record):
    """One commit that changed something.

    Attributes:
        version: Number of its snapshot.
        decision: What was decided; None where it was made before decisions were kept.
        release: The newest release from then on; None: none.
    """

    version: int
    decision: Decision | None
    release: Release | None


def describe_channel(channel: Channel) -> ChannelStatus:
    """Read and verify how a channel stands.

    Raises:
        ChannelAbsent, ChannelCorrupt: There is no channel, or it does not verify.
        KeyAbsent: Its root is not pinned on this machine.
        Corrupt: Its log does not verify.
    """
    state = load_state(channel)
    ends = {
        "root": state.root.expires,
        "targets": state.targets[0].expires if state.targets else None,
        "snapshot": state.snapshot[0].expires if state.snapshot else None,
    }
    ends["timestamp"] = ends["snapshot"]
    return ChannelStatus(
        channel=channel.name,
        id=state.channel_id,
        version=state.version,
        offers=tuple(
            OfferStatus(release=offer.release, rollout=offer.rollout)
            for offer in state.content.offers
        ),
        stop=state.content.stop,
        roles={
            name: RoleStatus(
                threshold=state.root.roles[name].threshold,
                keyids=tuple(state.root.roles[name].keyids),
                expires=ends[name],
            )
            for name in ROLES
        },
        decisions=len(read_log(channel)),
    )


def list_history(channel: Channel) -> list[HistoryEntry]:
    """List what was decided on a channel, oldest first, from its signed commits.

    Raises:
        ChannelAbsent, ChannelCorrupt: There is no channel, or a commit does not verify.
    """
    entries: list[HistoryEntry] = []
    for commit in reversed(list(walk_commits(channel, load_state(channel)))):
        release = commit.content.release
        before = entries[-1].release if entries else None
        if commit.decision is not None or release != before:
            entries.append(
                HistoryEntry(version=commit.version, decision=commit.decision, release=release)
            )
    return entries
