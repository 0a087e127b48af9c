"""Finds the rows of a batch: a version of a data set, or files that are collected as one."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from storage.base.errors import SourceUnavailable
from storage.base.parallel import TaskClient
from storage.base.redaction import redact
from storage.datasets.dataset import Dataset
from storage.datasets.version import Version
from storage.forms.base import RowsSpec
from storage.forms.columns import TARGET
from storage.pipeline.collecting import Progress, collect_rows
from storage.shards.row_ids import LABEL, ROW_ID, VALID_SUFFIX
from storage.sources import AnySource, Source
from storage.sources.headers import list_header
from tasks.feedback.models import KnownModel
from tasks.runtime.errors import BatchError

SUFFIX = "-asked"
PREPARED = "prepared"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_LEFT_OUT = ("options", "splits")
_TOLD = (LABEL, LABEL + VALID_SUFFIX, TARGET, TARGET + VALID_SUFFIX)


def open_asked(
    model: KnownModel,
    dataset: str,
    client: TaskClient | None = None,
    on_progress: Progress | None = None,
) -> Version:
    """Open the rows of a batch; files are collected first, as those of the recipe are.

    Args:
        model: The model that is asked.
        dataset: `NAME`, `NAME@VERSION`, or the address of files such as the recipe's source reads.
        client: Client of a Dask cluster; None does all work in this process.
        on_progress: Told how many shards of files are written.

    Raises:
        BatchError: The rows are none that the model takes.
        StorageError: They cannot be read.
    """
    name, _, version = dataset.partition("@")
    if _NAME.fullmatch(name):
        found = Dataset(model.store, name).open(version or None)
        _require_fields(found, model)
        return found
    source = make_source(model, dataset)
    data = drop_truth(model.data, source)
    home = Dataset(model.store, f"{model.recipe}{SUFFIX}")
    found = collect_rows(source, home, client, spec=data, on_progress=on_progress)
    _require_fields(found, model)
    return found


def make_source(model: KnownModel, url: str) -> Source:
    """Return the source of the model's recipe at another address.

    Raises:
        BatchError: The recipe's source has no address, or cannot read this one.
    """
    document: Mapping[str, Any] = model.document["source"]
    while "first" in document:
        document = document["first"]
    if "url" not in document:
        raise BatchError(
            f"rows ({redact(url)}) must be files such as the recipe reads; got a recipe of source "
            f"{document.get('type')}, which reads none; name a data set of the workspace"
        )
    kept = {name: value for name, value in document.items() if name not in _LEFT_OUT}
    try:
        source: Source = TypeAdapter(AnySource).validate_python({**kept, "url": url})
        source.look()
    except (ValidationError, SourceUnavailable) as error:
        said = "no such" if isinstance(error, ValidationError) else str(error)
        raise BatchError(
            f"rows ({redact(url)}) must be files such as the recipe's source "
            f"({document.get('type')}) reads; got {redact(said)}; correct the address"
        ) from error
    return source


def drop_truth(data: RowsSpec, source: Source) -> RowsSpec:
    """Return a data section without the label and the target that files do not tell."""
    columns = list_header(source)
    if columns is None:
        return data
    absent: dict[str, Any] = {}
    if data.label is not None and data.label not in columns:
        absent |= {"label": None, "labels": ()}
    if data.target is not None and data.target_column not in columns:
        absent |= {"target": None}
    known = {name: value for name, value in absent.items() if name in type(data).model_fields}
    return data.model_copy(update=known) if known else data


def _require_fields(version: Version, model: KnownModel) -> None:
    """Refuse rows that lack what the model takes, or of which another was learned from."""
    if not version.rows:
        raise BatchError(f"rows ({version.ref}) must be one at least; got none; collect some")
    if model.data.transform is not None and version.entry.kind != PREPARED:
        raise BatchError(
            f"rows ({version.ref}) must be prepared, for the recipe's data.transform changes them; "
            f"got a version of kind {version.entry.kind}; name a prepared one"
        )
    if model.sample.window is not None:
        raise BatchError(
            f"model ({model.id[:12]}) must take single rows in a batch; got one of windows; ask it "
            "by `lepton predict CHANNEL FILE`, whose answer is of the last window"
        )
    learned = {field.name: field for field in model.prepared.fields}
    found = {field.name: field for field in version.fields}
    for name, field in learned.items():
        if name == ROW_ID or name in _TOLD or name.endswith(VALID_SUFFIX):
            continue
        own = found.get(name)
        if own is None or (own.dtype, own.shape, own.columns) != (
            field.dtype,
            field.shape,
            field.columns,
        ):
            got = "none" if own is None else f"{own.dtype} {own.shape} {', '.join(own.columns)}"
            raise BatchError(
                f"rows ({version.ref}) must have the field {name} as the model learned from, "
                f"{field.dtype} {field.shape} {', '.join(field.columns)}; got {got}; name rows of "
                f"the recipe {model.recipe}"
            )
