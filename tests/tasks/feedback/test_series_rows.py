"""Windows that say whose they are become rows of that series, if their device may tell of it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from deployments.targets.trust.card import InputSpec
from deployments.targets.trust.card_columns import ColumnSpec
from storage.base.buckets import find_bucket, name_buckets
from storage.base.errors import InvalidInput
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


SHOPS = ("north", "south")
SHOP = SPEC.columns[1].model_copy(update={"hashed": True, "vocabulary": name_buckets(64)})
HASHED = SPEC.model_copy(update={"columns": (SPEC.columns[0], SHOP)})
BUCKETS = {name: float(find_bucket(name, 64)) for name in (*SHOPS, "d1")}


def make_rows(
    texts: list[str],
    spec: InputSpec = SPEC,
    codes: Sequence[float] = (0.0, 0.0, 1.0, 1.0, np.nan),
    device: str = "d1",
    entities: tuple[str, ...] = SHOPS,
) -> Any:
    """What two windows of each shop, and one of a shop that nobody knows, become."""
    first = [0, 1, 0, 1, 0]
    inputs = np.stack(
        [
            np.stack([10 * np.arange(start, start + LOOKBACK), np.full(LOOKBACK, code)], 1)
            for start, code in zip(first, codes, strict=True)
        ]
    )
    times = np.array([np.arange(start, start + LOOKBACK) * 3600.0 for start in first])
    records = [SimpleNamespace(kind="answer", at=datetime(2026, 1, 1, tzinfo=UTC)) for _ in first]
    batch = SimpleNamespace(
        records=records, inputs=inputs, times=times, device=device, entities=entities
    )
    model = SimpleNamespace(input=spec)
    rows, _ = make_series_rows(cast(Any, batch), cast(Any, model), describe(texts))
    return rows


def test_rows_are_of_the_entity_that_a_window_names() -> None:
    rows, _ = merge_rows([make_rows(["shop"])])
    owners = {
        text: {int(each) for each in rows[SERIES_ID][rows["shop"] == text]}
        for text in ("north", "south", "")
    }
    told = [BUCKETS[name] for name in ("north", "north", "south", "south", "d1")]
    assert set(make_rows(["shop"], HASHED, told)[SERIES_ID].tolist()) == {hash_entity("d1")}
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


@pytest.mark.parametrize("hashed", [False, True])
def test_a_device_cannot_tell_rows_of_another_entity(hashed: bool) -> None:
    spec = HASHED if hashed else SPEC
    place = BUCKETS if hashed else {"north": 0.0, "south": 1.0}
    for device, entities in (("north", ()), ("d1", ("north",)), ("d1", ("north", "west"))):
        make = partial(make_rows, ["shop"], spec, device=device, entities=entities)
        with pytest.raises(InvalidInput, match=r"windows of device .*lepton devices add"):
            make([place["north"]] * 4 + [place["south"]])
        rows = make([place["north"]] * 4 + [np.nan])
        own = {hash_entity(device if len(entities) != 1 else entities[0])}
        told = own if hashed else own | {hash_entity("north")}
        assert set(rows[SERIES_ID].tolist()) == told
    with pytest.raises(InvalidInput, match="windows of device d1"):
        make_rows(["shop"], spec, [place["north"]] * 5, entities=())


def test_a_device_of_one_entity_tells_of_it_where_windows_do_not_say() -> None:
    assert set(make_rows([], entities=("north",))[SERIES_ID].tolist()) == {hash_entity("north")}
    assert set(make_rows([])[SERIES_ID].tolist()) == {hash_entity("d1")}
