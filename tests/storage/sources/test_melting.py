"""Wide tables as long rows: a column an entity becomes rows, from CSV and from Parquet alike."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from storage.base.errors import SourceError
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.forms.series import SeriesSpec
from storage.pipeline.collecting import collect_rows
from storage.sources.csv import CsvSource
from storage.sources.parquet import ParquetSource
from storage.testing.sources import read_all

STORES, DAYS = ("store_a", "store_b", "store_c"), 30
MELT = {"columns": ["store_*"], "name": "store", "value": "sales"}
SPEC = {"numbers": ["sales", "rain"], "time": "day", "entity": "store"}


def list_days():
    return [str(np.datetime64("2024-01-01") + day) for day in range(DAYS)]


def write(folder, kind, gap=False):
    """Sales of three stores a day, of which one may be missing, and the rain of all."""
    draws = np.random.default_rng(0)
    sales = draws.integers(1, 99, (len(STORES), DAYS))
    rain = draws.integers(0, 9, DAYS)
    columns = {"day": list_days(), **dict(zip(STORES, sales.tolist(), strict=True))}
    columns |= {"note": ["x"] * DAYS, "rain": rain.tolist()}
    if gap:
        columns["store_b"][4] = None
    if kind == "parquet":
        pq.write_table(pa.table(columns), folder / "wide.parquet", row_group_size=7)
        return ParquetSource(url=str(folder / "wide.parquet"), melt=MELT), sales, rain
    rows = zip(*columns.values(), strict=True)
    lines = [",".join("" if cell is None else str(cell) for cell in row) for row in rows]
    (folder / "wide.csv").write_text("\n".join([",".join(columns), *lines]) + "\n")
    return CsvSource(url=str(folder / "wide.csv"), melt=MELT), sales, rain


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_each_value_of_a_wide_table_is_a_row_of_its_entity(tmp_path, kind):
    source, sales, rain = write(tmp_path, kind)
    spec = SeriesSpec.model_validate(SPEC)
    rows = read_all(source, spec)
    order = np.lexsort((rows["time"], rows["series_id"]))
    entities = rows["series_id"][order].reshape(len(STORES), DAYS)
    assert (entities == entities[:, :1]).all()
    long = rows["numbers"][order].reshape(len(STORES), DAYS, 2)
    assert sorted(long[..., 0].tolist()) == sorted(sales.tolist())
    assert all(found.tolist() == rain.tolist() for found in long[..., 1])
    assert source.list_columns() == ("day", "note", "rain", "store", "sales")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_row_keeps_its_id_however_the_file_is_cut(tmp_path, kind):
    source, _, _ = write(tmp_path, kind)
    spec = SeriesSpec.model_validate(SPEC)
    parts = [source.read(part, spec) for part in source.parts(400, spec)]
    assert len(parts) > 2
    ids = np.concatenate([part["row_id"] for part in parts])
    assert len(set(ids.tolist())) == len(STORES) * DAYS
    assert sorted(ids.tolist()) == sorted(read_all(source, spec)["row_id"].tolist())


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_value_that_is_not_there_is_missing_in_its_row_alone(tmp_path, kind):
    source, _, _ = write(tmp_path, kind, gap=True)
    rows = read_all(source, SeriesSpec.model_validate(SPEC))
    assert int((~rows["numbers__valid"][:, 0]).sum()) == 1
    assert rows["numbers__valid"][:, 1].all()


def test_what_cannot_be_read_is_named_by_its_line(tmp_path):
    source, _, _ = write(tmp_path, "csv")
    lines = (tmp_path / "wide.csv").read_text().splitlines()
    cells = lines[3].split(",")
    lines[3] = ",".join([cells[0], cells[1], "many", *cells[3:]])
    (tmp_path / "wide.csv").write_text("\n".join(lines) + "\n")
    store = Store(str(tmp_path / "workspace"))
    raw = collect_rows(source, Dataset(store, "raw"), spec=SeriesSpec.model_validate(SPEC))
    told = raw.info["unreadable"]["sales"]
    assert (told["count"], told["values"], told["places"]) == (1, ["many"], ["wide.csv line 4"])


def test_a_value_may_be_the_target(tmp_path):
    source, sales, _ = write(tmp_path, "csv")
    spec = SeriesSpec.model_validate(SPEC | {"numbers": ["rain"], "target": "sales"})
    assert sorted(read_all(source, spec)["target"].tolist()) == sorted(sales.ravel().tolist())


@pytest.mark.parametrize(
    ("melt", "data", "said"),
    [
        ({"columns": ["shop_*"]}, {}, r"source\.melt.*shop_\*.*store_a"),
        ({"name": "rain"}, {}, "no column rain"),
        ({}, {"time": {"start": "2024-01-01", "step": "1 d"}}, "name the time"),
        ({}, {"numbers": ["revenue"]}, "revenue"),
    ],
)
def test_what_cannot_be_melted_is_refused_by_name(tmp_path, melt, data, said):
    source, _, _ = write(tmp_path, "csv")
    source = CsvSource(url=source.url, melt=MELT | melt)
    with pytest.raises(SourceError, match=said):
        read_all(source, SeriesSpec.model_validate(SPEC | data))


def test_columns_of_types_that_are_none_together_are_refused_by_name(tmp_path):
    table = {"day": list_days()[:2], "store_a": [1.0, 2.0], "store_b": ["3", "4"]}
    pq.write_table(pa.table(table), tmp_path / "wide.parquet")
    source = ParquetSource(url=str(tmp_path / "wide.parquet"), melt=MELT)
    spec = SeriesSpec.model_validate(SPEC | {"numbers": ["sales"]})
    with pytest.raises(SourceError, match=r"wide\.parquet.*one type.*store_b: string.*write"):
        read_all(source, spec)


def test_new_columns_need_names_that_differ():
    with pytest.raises(ValidationError, match="another than value"):
        CsvSource(url="x.csv", melt=MELT | {"name": "sales"})
