"""Windows that say whose they are become rows of that series, whichever device was asked."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from deployments.targets.trust.card import InputSpec
from deployments.targets.trust.card_columns import ColumnSpec
from storage.forms.columns import SERIES_ID, hash_entity
from storage.forms.series import SeriesSpec
from storage.shards.row_ids import ROW_ID
from tasks.feedback.series_rows import make_series_rows, merge_rows

LOOKBACK = 3
SPEC = InputSpec(
    form="series",
    name="window",
    dtype="float64",
    shape=(LOOKBACK, 2),
    columns=(ColumnSpec(name="sales"), ColumnSpec(name="shop", vocabulary=("north", "south"))),
    entity="shop",
)


def describe(texts: list[str]) -> SeriesSpec:
    split = {"by": "time", "held_out": 0.2}
    section: dict[str, Any] = {"numbers": ["sales"], "time": "day", "entity": "shop"}
    return SeriesSpec.model_validate({**section, "texts": texts, "split": split})


def make_rows(texts: list[str], spec: InputSpec = SPEC) -> Any:
    """What two windows of each shop, and one of a shop that nobody knows, become."""
    codes = [0.0, 0.0, 1.0, 1.0, np.nan]
    first = [0, 1, 0, 1, 0]
    inputs = np.stack(
        [
            np.stack([10 * np.arange(start, start + LOOKBACK), np.full(LOOKBACK, code)], 1)
            for start, code in zip(first, codes, strict=True)
        ]
    )
    times = np.array([np.arange(start, start + LOOKBACK) * 3600.0 for start in first])
    records = [SimpleNamespace(kind="answer", at=datetime(2026, 1, 1, tzinfo=UTC)) for _ in first]
    batch = SimpleNamespace(records=records, inputs=inputs, times=times, device="d1")
    model = SimpleNamespace(input=spec)
    rows, _ = make_series_rows(cast(Any, batch), cast(Any, model), describe(texts))
    return rows


def test_rows_are_of_the_entity_that_a_window_names() -> None:
    rows, _ = merge_rows([make_rows(["shop"])])
    owners = {
        text: {int(each) for each in rows[SERIES_ID][rows["shop"] == text]}
        for text in ("north", "south", "")
    }
    hashed = SPEC.columns[1].model_copy(update={"hashed": True})
    spec = SPEC.model_copy(update={"columns": (SPEC.columns[0], hashed)})
    assert set(make_rows(["shop"], spec)[SERIES_ID].tolist()) == {hash_entity("d1")}
    assert owners == {
        "north": {hash_entity("north")},
        "south": {hash_entity("south")},
        "": {hash_entity("d1")},
    }
    # A row is of its shop and its moment: others have the same moments.
    assert len(set(rows[ROW_ID].tolist())) == len(rows[ROW_ID])
    # Windows of one shop overlap in two rows.
    assert {text: int((rows["shop"] == text).sum()) for text in owners} == {
        "north": 4,
        "south": 4,
        "": 3,
    }
