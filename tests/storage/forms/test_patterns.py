"""Columns by pattern: the recipe and its data set are those of the names, written out."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.errors import RecipeError
from flows.recipe.load import load_recipe
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.pipeline.collecting import collect_rows
from storage.pipeline.preparing import prepare_rows

HEADER = ["date", "sensor_1", "sensor_10", "flow", "sensor_2 [°C]", "unit", "sensor_target"]


def write_rows(folder, kind):
    rows = [
        [f"2024-01-{day:02}", *(f"{day * k % 7}.5" for k in (1, 2, 3, 4)), "a", f"{day}"]
        for day in range(1, 29)
    ]
    if kind == "csv":
        lines = [",".join(row) for row in [HEADER, *rows]]
        (folder / "rows.csv").write_text("\n".join(lines) + "\n")
    else:
        columns = dict(zip(HEADER, map(list, zip(*rows, strict=True)), strict=True))
        pq.write_table(pa.table(columns), folder / "rows.parquet")
    return {"type": kind, "url": str(folder / f"rows.{kind}")}


def make(source, **data):
    given = {"kind": "series", "time": "date", "entity": "unit", "target": "sensor_target"}
    split = {"by": "time", "held_out": 0.2, "validation": 0.2}
    return {
        "format": 1,
        "name": "patterns",
        "kind": "series-regression",
        "source": source,
        "data": {**given, "split": split, **data},
        "model": {"network": {"family": "closed_linear"}, "window": {"lookback": 2}},
        "compress": {"candidates": ["fp32"]},
        "targets": {"some-edge": {"prefer": ["fp32"]}},
    }


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_pattern_is_the_names_that_it_stands_for(tmp_path, kind):
    source = write_rows(tmp_path, kind)
    names = ["flow", "sensor_1", "sensor_10", "sensor_2 [°C]"]
    by_pattern, by_name = (
        load_recipe(make(source, numbers=numbers)) for numbers in (["flow", "sensor_*"], names)
    )
    assert list(by_pattern.data.numbers) == names
    assert by_pattern.digest == by_name.digest
    digests = []
    for number, recipe in enumerate((by_pattern, by_name)):
        store = Store(str(tmp_path / f"workspace-{number}"))
        raw = collect_rows(recipe.source, Dataset(store, "raw"), spec=recipe.data)
        version = prepare_rows(raw, recipe.data, Dataset(store, "prepared"))
        digests.append((raw.manifest_digest, version.manifest_digest))
    assert digests[0] == digests[1]


def test_names_in_the_file_of_files_without_a_header_are_the_recipe_s(tmp_path):
    (tmp_path / "rows.csv").write_text("2024-01-01,1,2,u,4\n2024-01-02,1,2,u,4\n")
    source = {"type": "csv", "url": str(tmp_path / "rows.csv")}
    source["header"] = ["date", "in_a", "in_b", "unit", "sensor_target"]
    recipe = load_recipe(make(source, numbers=["in_*"]))
    assert recipe.data.numbers == ("in_a", "in_b")


def test_what_a_path_tells_is_a_column_too(tmp_path):
    source = write_rows(tmp_path, "csv") | {"url": str(tmp_path), "path_columns": "{in_site}.csv"}
    recipe = load_recipe(make(source, numbers=["flow"], metadata=["in_*"]))
    assert recipe.data.metadata == ("in_site",)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_all_parts_of_a_path_together_are_no_column_that_a_pattern_means(tmp_path, kind):
    (tmp_path / "north").mkdir()
    source = write_rows(tmp_path / "north", kind)
    source |= {"url": str(tmp_path), "path_columns": f"{{in_site}}/{{in_file}}.{kind}"}
    recipe = load_recipe(make(source, numbers=["flow"], metadata=["in_*"]))
    assert recipe.data.metadata == ("in_site", "in_file")
    named = load_recipe(make(source, numbers=["flow"], metadata=["in_*", "in_site/in_file"]))
    assert named.data.metadata == ("in_site", "in_file", "in_site/in_file")


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        (["pump_*"], r"data\.numbers.*pump_\*.*sensor_1"),
        # Of columns that have another part already none is left.
        (["dat*"], r"data\.numbers.*dat\*"),
    ],
)
def test_a_pattern_that_fits_nothing_is_refused_with_the_columns(tmp_path, numbers, said):
    with pytest.raises(RecipeError, match=said):
        load_recipe(make(write_rows(tmp_path, "csv"), numbers=numbers))


def test_a_source_that_is_not_there_is_told(tmp_path):
    source = {"type": "csv", "url": str(tmp_path / "gone.csv")}
    with pytest.raises(RecipeError, match=r"sensor_\*.*gone\.csv"):
        load_recipe(make(source, numbers=["sensor_*"]))
    # Names need no look at the source.
    assert load_recipe(make(source, numbers=["flow"])).data.numbers == ("flow",)
