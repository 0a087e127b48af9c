"""Held-out rows are cut into blocks by time, entity or group, and into slices by what is named."""

import numpy as np

from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.samples import NumberColumn, RowSample
from lightning_modules.specs.window import WindowSpec
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.forms.series import SeriesSpec
from storage.forms.table import TableSpec
from storage.pipeline.collecting import collect_rows
from storage.pipeline.fitted import Fitted
from storage.pipeline.preparing import prepare_rows
from storage.shards.row_ids import ROW_ID
from storage.sources.csv import CsvSource
from tasks.forms.describe import describe_sample
from tasks.gates.held_out_rows import cut_blocks, list_slices, read_known

HOUR = 3600 * 10**9
ROW = RowSample(objective="values", numbers=(NumberColumn(name="a"),))
WINDOW = RowSample(
    objective="forecast",
    numbers=(NumberColumn(name="a"),),
    window=WindowSpec(lookback=20, horizon=5),
    forecast=1,
)


def make_series(split):
    return SeriesSpec.model_validate({"time": "t", "numbers": ["a"], "entity": "e", "split": split})


def test_windows_are_cut_by_time_and_splits_by_entity_by_entity():
    times = np.tile(np.arange(200), 4) * HOUR
    entities = np.repeat(np.arange(4), 200)
    known = {"time": times, "series_id": entities}
    by_time = cut_blocks(known, make_series({"by": "time", "held_out": 0.2}), WINDOW)
    assert by_time is not None
    assert by_time.max() == 7  # 200 steps, pieces of 25
    assert len(np.unique(by_time[times == 0])) == 1
    by_entity = cut_blocks(known, make_series({"by": "entity", "held_out": 0.2}), WINDOW)
    np.testing.assert_array_equal(by_entity, entities)
    short = {"time": np.tile(np.arange(20), 40) * HOUR, "series_id": np.repeat(np.arange(40), 20)}
    few = cut_blocks(short, make_series({"by": "time", "held_out": 0.2}), WINDOW)
    np.testing.assert_array_equal(few, short["series_id"])
    assert cut_blocks({}, TableSpec(numbers=("a",), target="b"), ROW) is None


def test_metadata_is_kept_with_rows_and_is_no_input(tmp_path):
    draw = np.random.default_rng(3)
    lines = [
        f"{draw.normal()},{draw.normal()},{'ABC'[number % 3]},site {number % 2},{number % 2}"
        for number in range(120)
    ]
    (tmp_path / "rows.csv").write_text("\n".join(["x,y,phone,my site,asked", *lines]))
    section = {
        "numbers": ["x", "y"],
        "texts": ["phone"],
        "metadata": ["my site"],
        "label": "asked",
        "labels": ["0", "1"],
        "split": {"by": "hash", "held_out": 0.3, "seed": 1},
    }
    data = TableSpec.model_validate(section)
    store = Store(str(tmp_path / "workspace"))
    source = CsvSource(url=str(tmp_path / "rows.csv"))
    raw = collect_rows(source, Dataset(store, "raw"), spec=data)
    version = prepare_rows(raw, data, Dataset(store, "prepared"))
    fitted = Fitted.model_validate(version.info["fitted"])
    sample = describe_sample("classes", data, ModelSpec(), fitted)
    assert sample.width == 3
    ids = np.concatenate(
        [version.read_shard(entry)[ROW_ID] for entry in version.iter_shards("held_out")]
    )
    asked = np.sort(ids)[::-1]
    slices = list_slices(read_known(version, asked, data, sample), data)
    assert set(slices) == {"phone", "my site"}
    stored = {
        int(row): (phone, site)
        for entry in version.iter_shards("held_out")
        for row, phone, site in zip(
            *(version.read_shard(entry)[name] for name in (ROW_ID, "phone", "my_site")), strict=True
        )
    }
    for row, phone, site in zip(asked.tolist(), slices["phone"], slices["my site"], strict=True):
        assert stored[row] == (phone, site)
