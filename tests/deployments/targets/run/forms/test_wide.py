"""A wide file is asked as it was learned from: each column of it becomes rows."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.targets.errors import BadInput
from deployments.targets.run.inputs import load_samples, read_values
from deployments.targets.run.predictions import Prediction
from deployments.targets.trust.card import Card, InputSpec
from deployments.targets.trust.card_columns import ColumnSpec
from storage.base.store import Store
from storage.base.text_style import TextStyle
from storage.datasets.dataset import Dataset
from storage.forms.series import SeriesSpec
from storage.pipeline.collecting import collect_rows
from storage.sources.csv import CsvSource
from tests.deployments.targets.run.forms.test_rows import make_card

STORES = ("store_a", "store_b", "store_é")
LOOKBACK, DAYS = 4, 9


def write_wide(stores: tuple[str, ...] = STORES) -> str:
    """What each store sells a day, with decimal commas, one value missing, a column too many."""
    lines = [";".join(["day", "holiday", *stores, "remark"])]
    for day in range(DAYS):
        sold = [f"{day},{place}5" if (day, place) != (6, 1) else "" for place in range(len(stores))]
        lines.append(";".join([f"{day + 1:02}.02.2026", str(day % 2), *sold, "ok"]))
    return "\n".join(lines)


def make_source(folder: Path) -> CsvSource:
    path = folder / "wide.csv"
    path.write_text(write_wide())
    melt = {"columns": ["store_*"], "name": "store", "value": "sales"}
    return CsvSource.model_validate(
        {"url": str(path), "delimiter": ";", "decimal": ",", "melt": melt}
    )


@pytest.fixture
def card(tmp_path: Path) -> Card:
    style = make_source(tmp_path).file_style
    assert TextStyle.model_validate(style.model_dump(mode="json")) == style
    time = ColumnSpec(name="day", is_time=True, time_format="%d.%m.%Y")
    columns = (
        ColumnSpec(name="sales"),
        ColumnSpec(name="holiday"),
        ColumnSpec(name="store", vocabulary=STORES),
    )
    made = make_card(
        InputSpec(
            form="series",
            name="window",
            dtype="float64",
            shape=(LOOKBACK, 3),
            columns=columns,
            entity="store",
            time=time,
            max_gap_steps=1.5,
            file_style=style,
        )
    )
    return Card.parse(made.to_bytes())


def test_each_entity_of_a_wide_file_is_read_as_it_was_learned_from(
    card: Card, tmp_path: Path
) -> None:
    section = {"entity": "store", "time": "day", "time_format": "%d.%m.%Y", "texts": ["store"]}
    split = {"by": "time", "held_out": 0.2, "validation": 0.1}
    data = SeriesSpec.model_validate({**section, "numbers": ["sales", "holiday"], "split": split})
    raw = collect_rows(make_source(tmp_path), Dataset(Store(str(tmp_path / "w")), "raw"), spec=data)
    rows = raw.read()
    samples = load_samples(str(tmp_path / "wide.csv"), card)
    assert samples.names == STORES
    assert samples.raw.shape == (len(STORES), LOOKBACK, 3)
    for place, store in enumerate(STORES):
        mine = np.flatnonzero(rows["store"] == store)
        last = mine[np.argsort(rows["time"][mine])][-LOOKBACK:]
        learned = np.where(rows["numbers__valid"][last], rows["numbers"][last], np.nan)
        np.testing.assert_array_equal(samples.raw[place, :, :2], learned)
        assert set(samples.raw[place, :, 2].tolist()) == {place}
        assert samples.times is not None
        np.testing.assert_array_equal(samples.times[place] * 1e9, rows["time"][last])
    assert np.isnan(samples.raw).sum() == 1


def list_objects() -> list[dict[str, Any]]:
    header, *lines = write_wide().splitlines()
    rows = [dict(zip(header.split(";"), line.split(";"), strict=True)) for line in lines]
    return [
        {
            name: (float(text.replace(",", ".")) if text else None) if "store" in name else text
            for name, text in row.items()
        }
        for row in rows
    ]


def test_wide_objects_and_long_rows_are_read_alike(card: Card, tmp_path: Path) -> None:
    wide = load_samples(str(tmp_path / "wide.csv"), card)
    objects = read_values(list_objects(), card, "request")
    np.testing.assert_array_equal(objects.raw, wide.raw)
    assert objects.names == wide.names
    long = [
        {"day": row["day"], "holiday": row["holiday"], "store": STORES[1], "sales": row[STORES[1]]}
        for row in list_objects()
    ]
    found = read_values(long, card, "request")
    np.testing.assert_array_equal(found.raw, wide.raw[1:2])
    assert found.names == ()


def test_a_store_that_was_not_learned_from_is_answered_and_told(card: Card, tmp_path: Path) -> None:
    path = tmp_path / "new.csv"
    path.write_text(write_wide(("store_b", "store_new")))
    samples = load_samples(str(path), card)
    assert samples.names == ("store_b", "store_new")
    ((row, words),) = samples.notes
    assert row == 1
    assert "store: 'store_new' is a category that was not learned from" in words
    path.write_text(write_wide(("kiosk",)))
    with pytest.raises(
        BadInput, match=r"columns store_\*, of which each becomes rows, or store an"
    ):
        load_samples(str(path), card)


def test_a_table_keeps_what_was_one_row_together(card: Card, tmp_path: Path) -> None:
    update = {"form": "table", "shape": (3,), "entity": None, "time": None}
    table = make_card(card.input.model_copy(update=update))
    samples = load_samples(str(tmp_path / "wide.csv"), table)
    assert samples.raw.shape == (DAYS * len(STORES), 3)
    assert samples.raw[:3, 2].tolist() == [0, 1, 2]
    assert samples.raw[3:5, 0].tolist() == [1.05, 1.15]


def test_an_answer_says_whose_it_is() -> None:
    parts = {"file": "w.csv", "row": 0, "objective": "values", "outputs": (), "model_id": "m"}
    assert json.loads(Prediction(**parts, of="store_a").to_json())["of"] == "store_a"
    assert "of" not in json.loads(Prediction(**parts).to_json())
