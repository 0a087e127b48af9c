"""Answers all rows of a data set: gated, published as a whole or not at all, with a receipt.

Killed at any moment, the same call goes on: shards of rows that were answered stay answered, files
are written again byte for byte, and a batch that was published is given back as it is.
"""

from collections.abc import Mapping
from typing import Any, cast

from prefect.states import Failed

from deployments.targets.trust.card import Card
from flows.errors import BatchStopped, RecipeError, RecipeFault
from flows.recipe.load import load_recipe
from flows.recipe.model import Recipe
from flows.recipe.retraining import restore_limits
from flows.run.exclusive import hold_alone
from flows.run.prefect_flow import lepton_flow
from flows.run.single import carry_out
from gates.engine.report import GateReport
from storage.base.store import Store
from tasks.batch.closing import close_batch
from tasks.batch.model import find_asked_model
from tasks.batch.outcomes import Answered, Asked, Format, Published
from tasks.batch.record import BatchRecord, find_published
from tasks.batch.stages import (
    answer_rows,
    drop_marks,
    find_rows,
    gate_answers,
    gate_asked,
    is_there,
    publish_answers,
)
from tasks.runtime.cluster import carry_parts, open_cluster
from tasks.runtime.errors import BatchError, StageStopped

SECTION = "gates."


@lepton_flow
def predict_batch(
    dataset: str,
    out: str,
    channel: str | None = None,
    model: str | None = None,
    workspace: str = "./workspace",
    format: Format = "parquet",
    overrides: dict[str, Any] | None = None,
    scheduler: str | None = None,
) -> BatchRecord:
    """Answers all rows of a data set, or of files, with a promoted model.

    Args:
        dataset: `NAME`, `NAME@VERSION`, or the address of files such as the model's recipe reads.
        out: Folder or fsspec URL that the answers go to: empty, or that of the same batch; for
            `shards` a workspace.
        channel: Name of the channel whose model answers; with no model named, the only channel of
            the workspace, or `cloud`.
        model: Id of the model that answers, instead of a channel's.
        workspace: Folder or fsspec URL that holds everything a project makes.
        format: "parquet" or "csv", one file a shard; or "shards", a version of the data set
            `<recipe>-predictions` at `out`.
        overrides: Limits put over the recipe's, as `{"gates.batch.max_noted_fraction": 0.1}`.
        scheduler: Address of a running Dask scheduler; by default a local cluster for this call.

    Returns:
        The signed record of the batch.

    Raises:
        RecipeError: A limit is wrong.
        BatchError: There is no such model, or the rows are none that it takes.
        BusyError: Another process is at work on the same batch.
        BatchStopped: A gate stopped it, and nothing was published; carries the record. The flow's
            state is then Failed, named Stopped.
    """
    store = Store(workspace)
    store.probe()
    found = find_asked_model(store, channel, model)
    recipe = load_limits(found.known.document, overrides or {})
    with open_cluster(scheduler) as dask:
        carry_parts(scheduler, recipe.parts)
        asked: Asked = carry_out(find_rows, workspace, dataset, out, format, channel, model, dask)
        require_same(found.card, asked.card)
        with hold_alone(store, f"batch-{asked.key[:16]}"):
            before = find_published(store, asked.key)
            kept = before if before is not None and is_there(asked, before) else None
            record = kept or Batch(store, asked, recipe, dask).go()
    if record.is_published:
        return record
    stopped = BatchStopped(record)
    # A flow that names its state hands it back: its result raises what it carries.
    return cast(BatchRecord, Failed(name="Stopped", message=str(stopped), data=stopped))


class Batch:
    """One batch.

    Args:
        store: The workspace.
        asked: What is asked of which model.
        recipe: The model's recipe, with the limits that hold.
        scheduler: Address of the Dask scheduler.
    """

    def __init__(self, store: Store, asked: Asked, recipe: Recipe, scheduler: str) -> None:
        self.store, self.asked, self.recipe, self.scheduler = store, asked, recipe, scheduler
        self.reports: list[GateReport] = []
        self.answered: Answered | None = None
        self.published: Published | None = None

    def go(self) -> BatchRecord:
        """Carry out the stages, as far as the gates let them; return the signed record."""
        stopped: StageStopped | None = None
        try:
            self._carry_out()
        except StageStopped as error:
            stopped = error
            self.reports += [error.report] if error.report is not None else []
        reports = tuple(self.reports)
        record = close_batch(
            self.store, self.asked, self.answered, self.published, reports, stopped
        )
        if stopped is None:
            drop_marks(self.asked)
        return record

    def _carry_out(self) -> None:
        asked, limits, dask = self.asked, self.recipe.gates, self.scheduler
        self.reports.append(carry_out(gate_asked, asked, limits.drift, limits.batch, dask))
        self.answered = carry_out(answer_rows, asked, dask)
        self.reports.append(carry_out(gate_answers, self.answered, limits.batch))
        self.published = carry_out(publish_answers, asked, self.answered, dask)


def require_same(limited: Card, asked: Card) -> None:
    """Refuse a batch whose model is another than the one whose limits hold.

    Raises:
        BatchError: The channel took another model in between.
    """
    if limited.model_id != asked.model_id:
        raise BatchError(
            f"batch must be asked of one model; got {limited.model_id[:12]}, then "
            f"{asked.model_id[:12]}, which the channel took meanwhile; ask again"
        )


def load_limits(document: Mapping[str, Any], overrides: Mapping[str, Any]) -> Recipe:
    """Return a model's recipe with other limits.

    Drift stops a batch of a retrained model as of any other, though it did not stop the retraining.

    Raises:
        RecipeError: Something else than a limit is to be changed, or a limit is wrong.
    """
    others = [name for name in overrides if not name.startswith(SECTION)]
    if others:
        faults = [
            RecipeFault(name, "", "be a limit of gates", "leave it out: the model is made already")
            for name in others
        ]
        raise RecipeError("of the model", faults)
    return load_recipe(document, {**restore_limits(document), **overrides})
