"""What was decided on a channel: its commits, each verified, and the log that is made of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tuf.api.metadata import Root, Snapshot, Targets

from deployments.targets.errors import ChannelCorrupt
from deployments.targets.publish.repository import Channel, ChannelState, list_numbers
from deployments.targets.trust.address import METADATA
from deployments.targets.trust.chain import append_chain, locate_log, read_chain
from deployments.targets.trust.decision import Decision
from deployments.targets.trust.metadata import (
    TARGETS_META,
    check_meta,
    read_decision,
    read_metadata,
)
from deployments.targets.trust.offers import Content, Offer, read_content

STEERING_FORMAT: Final = 2
"""Format of the log's lines on a channel's own decisions."""


@dataclass(frozen=True)
class Commit:
    """One commit of a channel.

    Attributes:
        version: Number of its snapshot.
        content: What the channel said from then on.
        decision: What it carried out; None: it signed anew, or was made before decisions were kept.
    """

    version: int
    content: Content
    decision: Decision | None


def walk_commits(channel: Channel, state: ChannelState, start: int = 0) -> Iterator[Commit]:
    """Reads a channel's commits, newest first, each verified by the keys that it had then.

    Args:
        channel: The channel.
        state: Its newest state.
        start: The snapshot behind which they begin.

    Raises:
        ChannelCorrupt: One does not verify.
    """
    there = list_numbers(channel.store.listdir(METADATA), "snapshot")
    for version in sorted((n for n in there if start < n <= state.version), reverse=True):
        yield _read_commit(channel, state.roots, version)


def find_offer(channel: Channel, state: ChannelState, number: int) -> Offer | None:
    """Finds what a release's commit said of it, whether or not it is still offered."""
    if (offered := state.content.find(number)) is not None:
        return offered
    for commit in walk_commits(channel, state):
        if (offer := commit.content.find(number)) is not None:
            return offer
    return None


def write_log(channel: Channel, state: ChannelState) -> int:
    """Appends the decisions that the channel's log lacks, such as those of a call that was killed.

    Returns:
        How many lines were appended; 0 for a channel that lies in no workspace.
    """
    if channel.workspace is None:
        return 0

    # Commits that only sign anew have no line: all of them since the last would be read each time.
    whole, last = channel.keys.read_logged(state.channel_id)
    newest = 0

    def list_new(bodies: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        nonlocal newest
        logged = {body["version"] for body in bodies if body.get("format") == STEERING_FORMAT}
        start = whole if last in logged else 0
        missing: list[dict[str, Any]] = []
        for commit in walk_commits(channel, state, start):
            if commit.version in logged:
                break
            if commit.decision is not None:
                missing.append(_make_line(channel, commit.version, commit.decision))
        newest = max([*logged, *(line["version"] for line in missing)], default=0)
        return missing[::-1]

    appended = append_chain(channel.workspace, locate_log(channel.name), list_new, channel.keys)
    if newest and state.version > whole:
        channel.keys.record_logged(state.channel_id, state.version, newest)
    return appended


def read_log(channel: Channel) -> list[dict[str, Any]]:
    """Reads the lines of a channel's log on its own decisions, oldest first.

    Raises:
        Corrupt: A line is not signed by a trusted key, or does not name the one before it.
    """
    if channel.workspace is None:
        return []
    lines = read_chain(
        channel.workspace, locate_log(channel.name), channel.keys.trusted_receipt_keys()
    )
    return [line for line in lines if line.get("format") == STEERING_FORMAT]


def _make_line(channel: Channel, version: int, decision: Decision) -> dict[str, Any]:
    facts = decision.model_dump(mode="json")
    return {**facts, "format": STEERING_FORMAT, "channel": channel.name, "version": version}


def _read_commit(channel: Channel, roots: Sequence[Root], version: int) -> Commit:
    where = channel.where(f"{version}.snapshot.json")
    data = channel.store.read(f"{METADATA}/{version}.snapshot.json")
    snapshot = _read_signed(Snapshot, data, roots, where)
    meta = snapshot.meta[TARGETS_META]
    targets_where = channel.where(f"{meta.version}.targets.json")
    targets_data = channel.store.read(f"{METADATA}/{meta.version}.targets.json")
    check_meta(meta, targets_data, targets_where)
    targets = _read_signed(Targets, targets_data, roots, targets_where)
    return Commit(version, read_content(targets, targets_where), read_decision(snapshot, where))


def _read_signed(kind: Any, data: bytes, roots: Sequence[Root], where: str) -> Any:
    """Reads a document that the keys of some root signed, the newest asked first."""
    for root in reversed(roots[1:]):
        try:
            return read_metadata(kind, data, root, where)
        except ChannelCorrupt:
            continue  # An earlier root may have had other keys.
    return read_metadata(kind, data, roots[0], where)
