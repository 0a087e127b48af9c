"""Prepares raw rows on a Dask cluster: chosen, split, shuffled; the head changes values."""

from distributed import Client

from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.forms.base import RowsSpec
from storage.pipeline.fitted import Fitted
from storage.pipeline.preparing import prepare_rows
from storage.upkeep.quarantine import find_cleaned
from tasks.data.collect import describe_version
from tasks.data.open_versions import open_version
from tasks.runtime.outcomes import Collected, Prepared
from tasks.runtime.progress import report_steps
from tasks.runtime.stage import stage


@stage
def prepare(
    workspace: str, name: str, collected: Collected, data: RowsSpec, scheduler: str
) -> Prepared:
    """Drop, deduplicate, split and shuffle rows, and fit statistics on the training split.

    Args:
        workspace: Folder or URL of the workspace.
        name: Name of the recipe; the dataset is called `<name>-prepared`.
        collected: The raw rows, which have passed their gate; those that it has set aside are left
            out.
        data: What the recipe says of its rows.
        scheduler: Address of the Dask scheduler.
    """
    store = Store(workspace)
    dataset = Dataset(store, f"{name}-prepared")
    raw = find_cleaned(open_version(store, collected.dataset))
    with Client(scheduler) as client:
        version = prepare_rows(raw, data, dataset, client, on_progress=report_steps("prepare"))
    return Prepared(
        dataset=describe_version(version), fitted=Fitted.model_validate(version.info["fitted"])
    )
