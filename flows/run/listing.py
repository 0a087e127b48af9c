"""Lists the runs of a workspace: those that have ended, are at work, or were lost."""

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from flows.errors import ResumeError
from flows.run.folders import RUN, locate_runs
from flows.run.journal_page import JOURNAL, LOCK, read_page
from flows.run.lost import describe_way_on, list_done
from storage.base.locks import take_lock
from storage.base.store import Store
from tasks.pages.overview import list_ended, sort_lines, write_overview
from tasks.rendering.overview import RunLine

ID_TIME = "%Y%m%d-%H%M%S"


def list_runs(workspace: str) -> list[RunLine]:
    """Return all runs of a workspace that this machine knows of, the newest first."""
    store = Store(workspace)
    ended = list_ended(store)
    return sort_lines([*_list_open(store, ended), *ended])


def write_page(workspace: str) -> str:
    """Write the overview page of a workspace, and return its address."""
    store = Store(workspace)
    ended = list_ended(store)
    return write_overview(store, sort_lines([*_list_open(store, ended), *ended]))


def _list_open(store: Store, ended: Sequence[RunLine]) -> Iterator[RunLine]:
    """Yield the runs without a receipt: whoever is at work holds the lock of the run's folder."""
    known = {line.run for line in ended}
    for directory in sorted(locate_runs(store).glob("*")):
        if not RUN.fullmatch(directory.name) or directory.name in known:
            continue
        if (line := _describe(store, directory)) is not None:
            yield line


def _describe(store: Store, directory: Path) -> RunLine | None:
    try:
        lock = take_lock(directory / LOCK)
    except OSError:  # It has just ended.
        return None
    if lock is not None:
        os.close(lock)
    state = "at work" if lock is None else "lost"
    began = datetime.strptime(directory.name.rpartition("-")[0], ID_TIME).replace(tzinfo=UTC)
    if not (directory / JOURNAL).is_file():
        found = {"note": "in its first stage"}
        # One that was killed there leaves nothing to go on with.
        return (
            RunLine(run=directory.name, state="at work", at=began, **found)
            if lock is None
            else None
        )
    try:
        record = read_page(directory).record
    except ResumeError as error:
        return RunLine(run=directory.name, state=state, at=began, note=str(error))
    if record.workspace != store.display:
        return None
    done = list_done(record)
    return RunLine(
        run=record.run,
        recipe=str(record.recipe["name"]),
        state=state,
        at=record.started_at,
        took_s=sum(stage.duration_s for stage in record.stages.values()),
        note=describe_way_on(record)
        if state == "lost" and done
        else f"after {done[-1]}"
        if done
        else "",
    )
