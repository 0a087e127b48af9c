"""Works out how rows that came back are put behind those that a model learned from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from storage.base.store import Store
from storage.datasets.version import Version
from storage.forms.base import RowsSpec
from storage.forms.columns import SERIES_ID, TIME
from storage.forms.registry import find_form
from storage.records.receipts import DatasetRecord
from storage.shards.row_ids import find_valid
from storage.sources.joined import find_learnable
from tasks.data.open_versions import open_version
from tasks.feedback.cutoffs import NewCutoffs, find_new_cutoffs
from tasks.feedback.fresh import FreshRows
from tasks.feedback.models import KnownModel
from tasks.feedback.series_rows import find_last

JOINED = "joined"


@dataclass(frozen=True)
class Join:
    """Says how rows are joined.

    Attributes:
        after: Of series, the last time that the first source has of each, by `series_id` as text.
        cutoffs: Where a split by time cuts now; None where the split is another, or goes by another
            field.
        is_warm: Whether the network is the champion's, so that it may start from its weights.
    """

    after: dict[str, int]
    cutoffs: NewCutoffs | None
    is_warm: bool


def describe_join(
    store: Store,
    dataset: DatasetRecord,
    model: KnownModel,
    data: RowsSpec,
    network: dict[str, object],
    horizon: int,
) -> Join:
    """Work out how a feedback version is joined to the rows that the champion learned from.

    Args:
        store: The workspace.
        dataset: The feedback version.
        model: The champion's.
        data: What the recipe says of its rows.
        network: The recipe's model section, as plain data.
        horizon: Steps that a forecast is asked for; 1 for all else.
    """
    version = open_version(store, dataset)
    ordered = find_form(data).ordered
    return Join(
        after=_find_after(version, model) if ordered else {},
        cutoffs=_find_cutoffs(version, model, data, horizon),
        is_warm=model.document["model"] == network,
    )


def _find_after(version: Version, model: KnownModel) -> dict[str, int]:
    """Return where the first source ends, for the series that came back."""
    source = model.document["source"]
    if source.get("type") == JOINED:
        return {str(series): int(time) for series, time in source["after"].items()}
    series, times = _read_times(model.raw, (SERIES_ID, TIME))
    known = set(version.read(fields=(SERIES_ID,))[SERIES_ID].tolist())
    last = find_last(series, times)
    return {str(each): time for each, time in sorted(last.items()) if each in known}


def _find_cutoffs(
    version: Version, model: KnownModel, data: RowsSpec, horizon: int
) -> NewCutoffs | None:
    if data.split.by != "time" or data.split.field not in (None, TIME, data.time_name):
        return None
    rows = version.read()
    chosen = FreshRows(version, model, data).find(rows) & find_learnable(rows)
    chosen &= find_valid(rows, TIME)
    if not chosen.any():
        return None
    (learned,) = _read_times(model.raw, (TIME,))
    return find_new_cutoffs(learned, rows[TIME][chosen], 2 * horizon)


def _read_times(version: Version, fields: tuple[str, ...]) -> tuple[NDArray[np.int64], ...]:
    parts = [version.read_shard(entry, fields) for entry in version.shards]
    return tuple(np.concatenate([part[name] for part in parts]) for name in fields)
