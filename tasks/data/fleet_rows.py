"""Holds a simulated fleet's ledger against the dataset that its feedback was collected into."""

from deployments.targets.fleet.invariants import Invariant, check_collected
from deployments.targets.fleet.plan import Outcome
from storage.base.errors import NotFound
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.shards.row_ids import ROW_ID, hash_member_ids

SUFFIX = "-feedback"


def hold_rows(workspace: Store, recipe: str, outcome: Outcome) -> Invariant:
    """Hold the dataset's rows against the answers that were there when it was written last.

    Args:
        workspace: The workspace.
        recipe: Name of the recipe.
        outcome: Of the simulation.
    """
    last = outcome.decided[-1].answers if outcome.decided else 0
    answers = outcome.ledger.answers[:last]
    names = [answer.answer_id for answer in answers]
    ids = dict(zip(names, hash_member_ids(names).tolist(), strict=True))
    return check_collected(answers, _read_ids(workspace, f"{recipe}{SUFFIX}"), ids)


def _read_ids(workspace: Store, name: str) -> list[int]:
    try:
        version = Dataset(workspace, name).latest()
        rows = version.read(fields=[ROW_ID]) if version is not None else {}
    except NotFound:
        rows = {}
    return [int(row_id) for row_id in rows.get(ROW_ID, ())]
