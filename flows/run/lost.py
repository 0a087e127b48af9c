"""Finds runs that were lost in a workspace, and says how they go on."""

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from flows.errors import ResumeError
from flows.recipe.model import Recipe
from flows.run.folders import locate_runs
from flows.run.journal_page import JOURNAL, load_page_recipe, read_page, take_run
from storage.base.store import Store
from tasks.runtime.run_record import RunRecord


def recall_recipe(workspace: str, run: str) -> Recipe:
    """Return the recipe that a lost run carries out.

    Raises:
        ResumeError: As for `reopen_journal`.
    """
    directory = find_directory(Store(workspace), run)
    os.close(take_run(directory))
    return load_page_recipe(read_page(directory))


def find_lost_run(workspace: str, recipe: Recipe) -> str | None:
    """Return how to go on with the newest lost run of a recipe, or None without one."""
    for record in _list_lost(Store(workspace)):
        if record.recipe["digest"] == recipe.digest:
            return describe_way_on(record)
    return None


def find_lost_id(workspace: Store, digest: str) -> str | None:
    """Return the id of the newest lost run of a recipe, by the recipe's digest; None without."""
    lost = (each.run for each in _list_lost(workspace) if each.recipe["digest"] == digest)
    return next(lost, None)


def describe_way_on(record: RunRecord) -> str:
    """Return a sentence on a lost run: how far it came, and the command that goes on with it."""
    where = shlex.quote(Store(record.workspace).display)
    command = f"lepton run --resume {record.run} --workspace {where}"
    return (
        f"run {record.run} ended early, after {list_done(record)[-1]}; to go on with it: {command}"
    )


def list_done(record: RunRecord) -> list[str]:
    """Return the names of the stages that handed something on."""
    return [name for name, stage in record.stages.items() if stage.outcome is not None]


def _list_lost(workspace: Store) -> Iterator[RunRecord]:
    """Yield the records of the runs that can go on, newest first."""
    for directory in sorted(locate_runs(workspace).glob(f"*/{JOURNAL}"), reverse=True):
        try:
            os.close(take_run(directory.parent))
            record = read_page(directory.parent).record
        except (ResumeError, OSError):
            continue
        if record.workspace == workspace.display and list_done(record):
            yield record


def find_directory(workspace: Store, run: str) -> Path:
    """Return the folder of a run that was lost.

    Raises:
        ResumeError: There is none by that id, with those that there are.
    """
    directory = locate_runs(workspace) / run
    if run and Path(run).name == run and (directory / JOURNAL).is_file():
        return directory
    known = ", ".join(record.run for record in _list_lost(workspace)) or "none"
    raise ResumeError(
        f"run ({run}) must be one that was lost in {workspace.display} and can go on; got no "
        f"journal of it; those that can: {known}; or give --workspace"
    )
