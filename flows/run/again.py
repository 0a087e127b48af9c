"""Finds the run that a flow run of Prefect has begun before.

So Retry in the UI, and a worker that starts a flow run again, go on with what was lost.
"""

import os

from prefect.context import FlowRunContext

from flows.errors import ResumeError
from flows.recipe.model import Recipe
from flows.run.folders import locate_runs
from flows.run.journal_page import JOURNAL, read_page, take_run
from storage.base.store import Store


def name_flow_run() -> str | None:
    """Return the id of the flow run that this code is carried out in; None outside of one."""
    context = FlowRunContext.get()
    return None if context is None or context.flow_run is None else str(context.flow_run.id)


def find_begun(workspace: str, recipe: Recipe, flow_run: str | None) -> str | None:
    """Return the id of the run that a flow run has begun before and lost, to go on with it.

    Args:
        workspace: Where the run writes.
        recipe: What is to be carried out: a run of another recipe is none to go on with.
        flow_run: Prefect's id of the flow run; None has begun nothing.

    Raises:
        ResumeError: A process is at work on it.
    """
    if flow_run is None:
        return None
    for page in sorted(locate_runs(Store(workspace)).glob(f"*/{JOURNAL}"), reverse=True):
        try:
            record = read_page(page.parent).record
        except (ResumeError, OSError):
            continue
        if (record.flow_run, record.recipe["digest"]) == (flow_run, recipe.digest):
            os.close(take_run(page.parent))
            return record.run
    return None
