"""Which windows of a split are samples: what is said of held-out ones holds for these only."""

import numpy as np
import pytest

from lightning_modules.specs.samples import NumberColumn, RowSample
from lightning_modules.specs.training import TrainSpec
from lightning_modules.specs.window import WindowSpec
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.forms.series import SeriesSpec
from storage.pipeline.collecting import collect_rows
from storage.pipeline.preparing import prepare_rows
from storage.sources.csv import CsvSource
from tasks.forms.streams import SampleRows
from tasks.training.choose import count_samples

ENTITIES, ROWS = 9, 20


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    folder = tmp_path_factory.mktemp("streams")
    lines = ["entity,day,value,left"]
    for entity in range(ENTITIES):
        days = [np.datetime64("2024-01-01") + n for n in range(ROWS)]
        lines += [f"{entity},{day},{n % 5},{ROWS - n}" for n, day in enumerate(days)]
    (folder / "rows.csv").write_text("\n".join(lines) + "\n")
    split = {"by": "entity", "held_out": 0.4, "validation": 0.3, "seed": 1}
    spec = SeriesSpec(numbers=["value"], time="day", entity="entity", target="left", split=split)
    store = Store(str(folder / "workspace"))
    raw = collect_rows(CsvSource(url=str(folder / "rows.csv")), Dataset(store, "raw"), spec=spec)
    return prepare_rows(raw, spec, Dataset(store, "prepared"))


def read_truth(version, split, **window):
    """Truths of the samples of a split, an answer each."""
    sample = RowSample(
        objective="values",
        numbers=(NumberColumn(name="value"),),
        window=WindowSpec(lookback=6, **window),
    )
    batches = list(SampleRows(version, sample).read(split))
    return np.concatenate([batch.truth for batch in batches]).tolist()


def test_the_last_window_of_each_held_out_entity_is_asked_alone(version):
    entities = {split: rows // ROWS for split, rows in version.splits.items()}
    assert read_truth(version, "held_out", held_out="last") == [1.0] * entities["held_out"]
    # Rows that choose the best epoch, and all rows without the setting, are asked in every window.
    windows = ROWS - 6 + 1
    for split, given in (("validation", {"held_out": "last"}), ("held_out", {})):
        assert len(read_truth(version, split, **given)) == entities[split] * windows


@pytest.mark.parametrize(("stride", "batch"), [(1, 3), (5, 3), (14, 1)])
def test_a_race_counts_the_windows_of_an_epoch_and_not_their_rows(version, stride, batch):
    sample = RowSample(
        objective="values",
        numbers=(NumberColumn(name="value"),),
        window=WindowSpec(lookback=6, stride=stride),
    )
    entities = version.splits["train"] // ROWS
    windows = entities * (1 + (ROWS - 6) // stride)
    found = count_samples(version, sample, TrainSpec(batch_size=batch))
    assert windows - batch < found <= windows


def test_held_out_windows_may_begin_further_apart(version):
    entities = version.splits["held_out"] // ROWS
    truth = read_truth(version, "held_out", held_out_stride=7)
    assert sorted(truth) == sorted([15.0, 8.0, 1.0] * entities)
