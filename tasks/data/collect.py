"""Collects rows from a source into checksummed shards, on a Dask cluster."""

from distributed import Client

from storage.base.errors import SourceError, SourceUnavailable
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.datasets.version import Version
from storage.forms.base import RowsSpec
from storage.pipeline.collecting import collect_rows
from storage.records.receipts import DatasetRecord, FileRecord, SourceRecord
from storage.sources import Source, SourceIdentity
from tasks.runtime.errors import StageStopped
from tasks.runtime.outcomes import Collected
from tasks.runtime.progress import report_steps
from tasks.runtime.stage import stage


@stage
def collect(workspace: str, name: str, source: Source, data: RowsSpec, scheduler: str) -> Collected:
    """Read a source as it is, bad values included: the raw gate says what they are worth.

    Args:
        workspace: Folder or URL of the workspace.
        name: Name of the recipe; the dataset is called `<name>-raw`.
        source: Where the rows come from.
        data: What the recipe says of its rows.
        scheduler: Address of the Dask scheduler.

    Raises:
        StageStopped: What was read is damaged, or not what the recipe says: a fault of the data, as
            those that gates find.
        SourceUnavailable: Nothing was read, and nothing is known of the data.
    """
    dataset = Dataset(Store(workspace), f"{name}-raw")
    try:
        with Client(scheduler) as client:
            version = collect_rows(
                source, dataset, client, spec=data, on_progress=report_steps("collect")
            )
    except SourceUnavailable:
        raise
    except SourceError as error:
        raise StageStopped("collect", (str(error),)) from error
    identity = SourceIdentity.model_validate(version.info["source"])
    files = {
        file.name: FileRecord(sha256=file.sha256, size_bytes=file.size_bytes)
        for file in identity.files
    }
    record = SourceRecord(type=identity.type, url=identity.url, digest=identity.digest, files=files)
    return Collected(
        source=record,
        dataset=describe_version(version),
        passed_over=version.info.get("passed_over", {}),
    )


def describe_version(version: Version) -> DatasetRecord:
    """Describe a version as refs and receipts name it."""
    return DatasetRecord(
        name=version.name,
        number=version.number,
        digest=version.digest,
        manifest=version.manifest_digest,
        rows=version.splits,
    )
