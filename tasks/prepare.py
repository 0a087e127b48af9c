"""Prepare: raw rows chosen, split and shuffled into shards, on a Dask cluster. Values are not changed: the head does."""

from distributed import Client

from storage.files import Store
from storage.fitted import Fitted
from storage.prepare import prepare_rows
from storage.quarantine import find_cleaned
from storage.specs import RowsSpec
from storage.versions import Dataset
from tasks.collect import describe_version
from tasks.progress import report_steps
from tasks.results import Collected, Prepared
from tasks.stage import stage
from tasks.versions import open_version


@stage
def prepare(workspace: str, name: str, collected: Collected, data: RowsSpec, scheduler: str) -> Prepared:
    """Drops, deduplicates, splits and shuffles, and fits statistics on the training split alone.

    Args:
        workspace: Folder or URL of the workspace.
        name: Name of the recipe; the dataset is called `<name>-prepared`.
        collected: The raw rows, which have passed their gate; those that it has set aside are left out.
        data: What the recipe says of its rows.
        scheduler: Address of the Dask scheduler.
    """
    store = Store(workspace)
    dataset = Dataset(store, f"{name}-prepared")
    raw = find_cleaned(open_version(store, collected.dataset))
    with Client(scheduler) as client:
        version = prepare_rows(raw, data, dataset, client, on_progress=report_steps("prepare"))
    return Prepared(dataset=describe_version(version), fitted=Fitted.model_validate(version.info["fitted"]))
