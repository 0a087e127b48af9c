"""Times of a table: composed, counted, of a zone; from CSV and Parquet files alike."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.base.errors import SourceError
from storage.forms.series import SeriesSpec
from storage.forms.table import TableSpec
from storage.sources.csv import CsvSource
from storage.sources.parquet import ParquetSource

HOUR = 3600 * 10**9


def write(folder, kind, columns, name="rows"):
    path = folder / f"{name}.{kind}"
    if kind == "parquet":
        pq.write_table(pa.table(columns), path, row_group_size=7)
    else:
        lines = [",".join(map(str, row)) for row in zip(*columns.values(), strict=True)]
        path.write_text("\n".join([",".join(columns), *lines]) + "\n")


def read(folder, kind, target_bytes=60, **options):
    """Reads in parts of a few rows; returns the fields, and what cannot be read."""
    path_columns = options.pop("path_columns", None)
    spec = SeriesSpec(numbers=("x",), **options)
    kinds = {"csv": CsvSource, "parquet": ParquetSource}
    source = kinds[kind](url=str(folder), path_columns=path_columns)
    decoded = [source.decode(part, spec) for part in source.parts(target_bytes, spec)]
    assert len(decoded) > 1
    rows = {name: np.concatenate([part.rows[name] for part in decoded]) for name in decoded[0].rows}
    return rows, [part.unreadable for part in decoded if part.unreadable]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_columns_tell_a_time_together(tmp_path, kind):
    hours = np.arange("2013-02-27", "2013-03-02", dtype="datetime64[h]")
    parts = [hour.astype(object) for hour in hours]
    columns = {
        "x": np.arange(len(hours)).astype(float),
        "year": [hour.year for hour in parts],
        "month": [float(hour.month) for hour in parts],
        "day": [hour.day for hour in parts],
        "hour": [hour.hour for hour in parts],
    }
    write(tmp_path, kind, columns)
    rows, odd = read(tmp_path, kind, time=("year", "month", "day", "hour"))
    assert not odd
    np.testing.assert_array_equal(rows["time"], hours.astype("datetime64[ns]").astype(np.int64))


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_count_is_a_time(tmp_path, kind):
    write(tmp_path, kind, {"x": np.arange(20) / 2, "cycle": list(range(1, 21)), "unit": ["a"] * 20})
    time = {"count": "cycle", "step": "1h", "start": "1970-01-02"}
    rows, odd = read(tmp_path, kind, time=time, entity="unit")
    assert not odd
    assert rows["time"].tolist() == [(24 + n) * HOUR for n in range(1, 21)]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("target_bytes", [40, 100])
def test_rows_without_a_time_are_counted_by_entity(tmp_path, kind, target_bytes):
    units = [f"u{n % 3}" for n in range(30)] + ["u1"] * 10
    columns = {"x": np.arange(40) / 2, "unit": units}
    write(tmp_path, kind, {name: values[:25] for name, values in columns.items()}, "a")
    write(tmp_path, kind, {name: values[25:] for name, values in columns.items()}, "b")
    rows, _ = read(tmp_path, kind, target_bytes, time={"step": "1h"}, entity="unit")
    numbers = (rows["time"] // HOUR).tolist()
    seen = {}
    for unit, number in zip(units, numbers, strict=True):
        assert number == seen.get(unit, 0)
        seen[unit] = number + 1
    alone, _ = read(tmp_path, kind, target_bytes, time={"step": "1h"})
    assert (alone["time"] // HOUR).tolist() == list(range(40))
    path = {"entity": "file", "path_columns": f"{{file}}.{kind}"}
    files, _ = read(tmp_path, kind, target_bytes, time={"step": "1h"}, **path)
    assert (files["time"] // HOUR).tolist() == [*range(25), *range(15)]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("entity", [None, "unit"])
def test_counted_times_past_what_is_kept_are_refused(tmp_path, kind, entity):
    write(tmp_path, kind, {"x": np.arange(9) / 2, "unit": ["a"] * 9})
    time = {"start": "2000-01-01", "step": "20000d"}
    with pytest.raises(SourceError, match=r"time must be .* 2262.*got row 5.*data\.time\.step"):
        read(tmp_path, kind, time=time, entity=entity)
    rows, _ = read(tmp_path, kind, time={**time, "step": "10000d"}, entity=entity)
    assert (np.diff(rows["time"]) > 0).all()


def test_a_record_that_is_no_row_took_its_step(tmp_path):
    (tmp_path / "rows.csv").write_text("x,y\n1,2\n3\n5,6\n" + "7,8\n" * 30)
    rows, _ = read(tmp_path, "csv", time={"step": "1h"})
    assert (rows["time"] // HOUR).tolist() == [0, *range(2, 33)]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_clocks_of_a_zone_are_read_and_their_faults_named(tmp_path, kind):
    hours = np.arange("2024-10-26T20", "2024-10-27T08", dtype="datetime64[h]")
    times = hours.astype("datetime64[us]")
    times = times.tolist() if kind == "parquet" else [str(time)[:16] for time in times]
    write(tmp_path, kind, {"x": np.arange(len(hours)) / 2, "t": times})
    rows, odd = read(tmp_path, kind, time="t", time_zone="Europe/Berlin")
    assert rows["time__valid"].tolist() == [str(hour)[-2:] != "02" for hour in hours]
    steps = np.diff(rows["time"][rows["time__valid"]]) // HOUR
    assert steps.tolist() == [1, 1, 1, 1, 1, 3, 1, 1, 1, 1]
    (found,) = odd
    assert found["t"].count == 1
    assert "(twice in Europe/Berlin: its offset must be said)" in found["t"].values[0]
    assert found["t"].places[0].startswith(f"rows.{kind}")


def test_times_that_say_their_zone_mean_that(tmp_path):
    times = np.arange("2024-10-27T00", "2024-10-27T09", dtype="datetime64[h]")
    stamps = pa.array(times.astype("datetime64[us]")).cast(pa.timestamp("us", "UTC"))
    write(tmp_path, "parquet", {"x": np.arange(9) / 2, "t": stamps})
    rows, odd = read(tmp_path, "parquet", time="t", time_zone="Europe/Berlin")
    assert not odd
    np.testing.assert_array_equal(rows["time"], times.astype("datetime64[ns]").astype(np.int64))


@pytest.mark.parametrize("marks", [{}, {"decimal": ",", "delimiter": ";"}])
def test_epochs_have_the_decimals_of_their_file(tmp_path, marks):
    sign = marks.get("decimal", ".")
    (tmp_path / "rows.csv").write_text(
        f"t{marks.get('delimiter', ',')}x\n1600000000{sign}25{marks.get('delimiter', ',')}1\n"
    )
    source = CsvSource(url=str(tmp_path), **marks)
    spec = TableSpec(numbers=("x",), time="t", time_format="epoch_s")
    (part,) = source.parts(1 << 20, spec)
    assert source.decode(part, spec).rows["time"].tolist() == [1600000000250000000]


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"time": ["a"]}, "2 to 6"),
        ({"time": ["a", "a"]}, "stands there twice"),
        ({"time": {"count": "a"}, "time_format": "%s"}, "no time_format"),
        ({"time": {}}, "give count"),
        ({"time": {"start": "soon"}}, r"start .* ISO 8601"),
        ({"time": {"step": "0s"}}, "above 0"),
        ({"time": "a", "time_zone": "Mars/Base"}, "zone of the IANA database"),
        ({"time": "a", "time_format": "epoch_years"}, "must name a time"),
    ],
)
def test_a_time_that_cannot_be_is_refused(section, words):
    with pytest.raises(ValueError, match=words):
        SeriesSpec.model_validate({"numbers": ["x"], **section})


def test_a_count_may_be_what_remains_is_counted_of(tmp_path):
    write(tmp_path, "csv", {"x": [1, 2, 3, 4], "cycle": [1, 2, 3, 4], "unit": ["a"] * 4})
    spec = SeriesSpec.model_validate(
        {
            "numbers": ["x"],
            "time": {"count": "cycle", "step": "1h"},
            "entity": "unit",
            "target": {"remaining": "cycle"},
            "split": {"by": "entity", "held_out": 0.2},
        }
    )
    assert sorted(spec.columns) == ["cycle", "unit", "x"]
    source = CsvSource(url=str(tmp_path))
    (part,) = source.parts(1 << 20, spec)
    assert source.decode(part, spec).rows["time"].tolist() == [n * HOUR for n in range(1, 5)]
