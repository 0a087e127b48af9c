"""Fills the overview of a workspace from its receipts and channels."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from deployments.targets.errors import TargetError
from deployments.targets.publish.channel import open_channel, read_champion
from storage.base.errors import StorageError
from storage.base.figures import find_figure
from storage.base.store import Store
from storage.records.receipts import Receipt
from tasks.forms.streams import HELD_OUT
from tasks.gates.accepted import list_receipts
from tasks.pages.report import report_path
from tasks.rendering.overview import ChannelLine, Overview, RunLine, render_overview

PATH = "reports/index.html"
CHANNELS = "channels"


def list_ended(workspace: Store) -> list[RunLine]:
    """List the runs that have a receipt, the newest first; of two of one run the later one."""
    receipts = sorted(list_receipts(workspace), key=lambda receipt: receipt.created_at)
    lines = {receipt.run: _describe_ended(workspace, receipt) for receipt in receipts}
    return sort_lines(lines.values())


def sort_lines(lines: Iterable[RunLine]) -> list[RunLine]:
    """Return runs with the newest first."""
    return sorted(lines, key=lambda line: line.at, reverse=True)


def _describe_ended(workspace: Store, receipt: Receipt) -> RunLine:
    path = report_path(receipt.run)
    return RunLine(
        run=receipt.run,
        recipe=str(receipt.recipe.get("name", "")),
        kind=_name_kind(receipt.recipe.get("document")),
        state=receipt.status,
        at=receipt.created_at,
        took_s=sum(receipt.timings.values()) if receipt.timings else None,
        note=f"at {receipt.stopped_at}" if receipt.stopped_at else "",
        headline=find_figure(receipt.figures, receipt.headline, HELD_OUT),
        gates=tuple(
            (str(gate.get("stage", "")), gate.get("passed") is True) for gate in receipt.gates
        ),
        model_id=receipt.model_id,
        channels={name: cleared.artifact for name, cleared in receipt.channels.items()},
        page=workspace.address(path),
        link=path.removeprefix("reports/"),
    )


def _name_kind(document: Any) -> str:
    return str(document.get("kind", "")) if isinstance(document, dict) else ""


def write_overview(workspace: Store, runs: Sequence[RunLine]) -> str:
    """Write the overview of a workspace, and return its address.

    Args:
        workspace: The workspace.
        runs: Its runs, the newest first.
    """
    page = Overview(
        workspace=workspace.display,
        at=datetime.now(UTC),
        runs=tuple(runs),
        channels=tuple(_list_channels(workspace, runs)),
    )
    workspace.write(PATH, render_overview(page).encode())
    return workspace.address(PATH)


def _list_channels(workspace: Store, runs: Sequence[RunLine]) -> Iterator[ChannelLine]:
    """Yield what each channel carries; one that cannot be read here says why."""
    made = {line.model_id: line for line in runs if line.state == "promoted"}
    for name in sorted({path.split("/")[0] for path in workspace.listdir(CHANNELS)}):
        try:
            release = read_champion(open_channel(workspace, name))
        except (StorageError, TargetError) as error:
            yield ChannelLine(name=name, fault=str(error))
            continue
        if release is not None:
            yield ChannelLine(
                name=name,
                release=release.number,
                artifact=release.artifact,
                size_bytes=release.size_bytes,
                model_id=release.model_id,
                at=datetime.fromisoformat(release.published_at),
                run=made.get(release.model_id),
            )
