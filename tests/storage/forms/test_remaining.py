"""What remains of an entity's life: worked out before any gate, whatever part a row came in."""

import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.forms.series import SeriesSpec
from storage.pipeline.collecting import collect_rows
from storage.pipeline.preparing import prepare_rows
from storage.sources.csv import CsvSource
from storage.sources.parquet import ParquetSource

LIVES = {"a": 30, "b": 12, "c": 47, "d": 20, "e": 9, "f": 33}
GIVEN = {
    "kind": "series",
    "numbers": ["heat"],
    "entity": "engine",
    "time": "cycle",
    "time_format": "%s",
    "target": {"remaining": "cycle", "cap": 25},
    "split": {"by": "entity", "held_out": 0.3, "validation": 0.2},
}


def make_table(shuffled=False, **columns):
    """Rows of engines that run to failure; a cycle that cannot be read has no target."""
    engines = [engine for engine, life in LIVES.items() for _ in range(life)]
    cycles = [str(cycle) for life in LIVES.values() for cycle in range(1, life + 1)]
    order = np.random.default_rng(0).permutation(len(engines)) if shuffled else range(len(engines))
    table = {
        "engine": engines,
        "cycle": cycles,
        "heat": [f"{n % 7}.5" for n in range(len(engines))],
    }
    table |= columns
    return {name: [values[place] for place in order] for name, values in table.items()}


def write_csv(folder, table):
    lines = [",".join(table), *(",".join(row) for row in zip(*table.values(), strict=True))]
    (folder / "engines.csv").write_text("\n".join(lines) + "\n")
    return CsvSource(url=str(folder / "engines.csv"))


def write_parquet(folder, table):
    typed = {**table, "cycle": [int(cycle) for cycle in table["cycle"]]}
    typed["heat"] = [float(value) for value in table["heat"]]
    pq.write_table(pa.table(typed), folder / "engines.parquet", row_group_size=20)
    return ParquetSource(url=str(folder / "engines.parquet"))


def collect(folder, source, spec, target_bytes=300):
    """Rows in parts so small that no engine lies in one of them."""
    raw = collect_rows(
        source,
        Dataset(Store(str(folder / "workspace")), "raw"),
        spec=spec,
        target_shard_bytes=target_bytes,
    )
    assert len(raw.shards) > 3
    return raw


def expect_left(table, cap=25, beyond=None):
    ends = {engine: life + (beyond or {}).get(engine, 0) for engine, life in LIVES.items()}
    pairs = zip(table["engine"], table["cycle"], strict=True)
    return [min(cap, ends[engine] - int(cycle)) for engine, cycle in pairs]


@pytest.mark.parametrize("write", [write_csv, write_parquet])
@pytest.mark.parametrize("shuffled", [False, True])
def test_the_target_is_what_remains_until_the_last_row_of_the_entity(tmp_path, write, shuffled):
    table, spec = make_table(shuffled), SeriesSpec.model_validate(GIVEN)
    raw = collect(tmp_path, write(tmp_path, table), spec)
    assert raw.read()["target"].tolist() == expect_left(table)
    # Before any gate: the statistics that it judges are those of the target.
    assert raw.statistics()["target"].max == 25
    assert raw.statistics()["target"].min == 0


def test_engines_that_stop_before_their_end_say_what_they_had_left(tmp_path):
    beyond = {"b": 40, "e": 7}
    table = make_table()
    table["left"] = [str(beyond.get(engine, "")) for engine in table["engine"]]
    target = {"remaining": "cycle", "beyond": "left"}
    spec = SeriesSpec.model_validate(GIVEN | {"target": target})
    raw = collect(tmp_path, write_csv(tmp_path, table), spec)
    assert raw.read()["target"].tolist() == expect_left(table, cap=10**6, beyond=beyond)


def test_a_count_that_cannot_be_read_leaves_its_row_without_a_target(tmp_path):
    table = make_table()
    table["age"] = ["?" if n == 5 else cycle for n, cycle in enumerate(table["cycle"])]
    given = GIVEN | {"target": {"remaining": "age", "cap": 25}}
    spec = SeriesSpec.model_validate(given)
    raw = collect(tmp_path, write_csv(tmp_path, table), spec)
    rows = raw.read()
    assert np.flatnonzero(~rows["target__valid"]).tolist() == [5]
    expected = expect_left(table)
    np.testing.assert_array_equal(np.delete(rows["target"], 5), np.delete(expected, 5))
    version = prepare_rows(raw, spec, Dataset(Store(str(tmp_path / "workspace")), "prepared"))
    assert version.info["fitted"]["dropped"]["invalid_label"] == 1
    # What the data section says reads back as the same section.
    assert SeriesSpec.model_validate(version.info["data"]) == spec


def test_the_section_is_written_as_it_is_read_and_travels():
    spec = SeriesSpec.model_validate(GIVEN)
    assert spec.model_dump(mode="json")["target"] == {"remaining": "cycle", "cap": 25}
    again = SeriesSpec(**spec.model_dump())
    for other in (pickle.loads(pickle.dumps(spec)), spec.model_copy(), again):
        assert other == spec
        assert other.remaining == spec.remaining
    assert spec.target == "remaining cycle"
    assert spec.columns.count("cycle") == 1
    plain = SeriesSpec.model_validate(GIVEN | {"target": "wear"})
    assert plain.model_dump()["target"] == "wear"
    assert "remaining" not in plain.model_dump()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"entity": None}, "entity: engine"),
        ({"split": {"by": "hash", "held_out": 0.2}}, "by: entity, held_out"),
        ({"split": {"by": "time", "held_out": 0.2}}, "by: entity, held_out"),
        ({"target": {"remaining": "cycle", "cap": -3}}, r"target\.cap.*greater than 0"),
        ({"target": {"cycle": "remaining"}}, r"target\.(remaining|cycle)"),
    ],
)
def test_what_cannot_be_worked_out_is_refused_with_the_remedy(changes, said):
    with pytest.raises(ValidationError, match=said):
        SeriesSpec.model_validate(GIVEN | changes)
