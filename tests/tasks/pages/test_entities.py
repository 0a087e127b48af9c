"""Entities have names that people can look up: their own file, or where their rows begin."""

import numpy as np

from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.pipeline.collecting import collect_rows
from storage.sources.csv import CsvSource
from tasks.pages.entities import MOST_ENTITIES, name_entities
from tests.tasks.gates.mills import SERIES, collect, make_series


def list_entities(raw):
    return np.unique(raw.read(fields=["series_id"])["series_id"])


def test_an_entity_with_a_file_of_its_own_has_its_name(tmp_path):
    columns = make_series(rows=30)
    for mill in ("a", "b"):
        kept = {name: values[columns["mill"] == mill] for name, values in columns.items()}
        lines = [",".join(kept), *(",".join(row) for row in zip(*kept.values(), strict=True))]
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / f"mill-{mill}.csv").write_text("\n".join(lines) + "\n", "utf-8")
    dataset = Dataset(Store(tmp_path / "w"), "mills-raw")
    raw = collect_rows(CsvSource(url=str(tmp_path / "in")), dataset, spec=SERIES)
    assert set(name_entities(raw, list_entities(raw)).values()) == {"mill-a.csv", "mill-b.csv"}


def test_entities_of_one_file_are_named_by_their_first_rows(tmp_path):
    raw = collect(tmp_path / "a", make_series(rows=30), SERIES)
    names = name_entities(raw, list_entities(raw))
    assert set(names.values()) == {"from rows.csv:0 on", "from rows.csv:30 on"}
    many = np.append(list_entities(raw), np.arange(MOST_ENTITIES))
    assert name_entities(raw, many) == {}
