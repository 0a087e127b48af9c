"""Leaves a short page of figures of each stage in the Prefect UI."""

from functools import partial

from prefect.artifacts import create_markdown_artifact

from tasks.runtime.outcome_base import Outcome
from tasks.runtime.teller import open_teller


def leave_artifact(stage: str, outcome: Outcome, folder: str) -> None:
    """Leaves a stage's outcome as a Markdown artifact under the key `lepton-<stage>`, soon.

    Args:
        stage: Its name.
        outcome: What it handed on, or the report of a gate that stopped the run.
        folder: Where the run's pages are once it has ended, without secrets.
    """
    key = f"lepton-{stage.replace(' ', '-')}"
    page = outcome.render_markdown(stage, folder)
    create = partial(create_markdown_artifact, key=key, markdown=page, description=stage)
    open_teller().tell(key, create)
