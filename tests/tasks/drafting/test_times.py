"""Times that no single column tells, and devices that only the names of files tell apart."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import TypeAdapter

from storage.base.path_patterns import check_path_pattern, match_path
from storage.forms.series import SeriesSpec
from storage.sources import AnySource, Part
from tasks.drafting.columns import profile_column
from tasks.drafting.composed import list_candidates
from tasks.drafting.finding import find_material
from tasks.drafting.guesses import Notes
from tasks.drafting.looking import guess_roles, look_and_draft
from tasks.drafting.paths import find_pattern
from tasks.drafting.rows import describe_columns
from tests.tasks.drafting.sets import write_table

START = dt.datetime(2013, 2, 26)


def make_series(rows, seed=0):
    draws = np.random.default_rng(seed)
    hours = np.arange(rows)
    values = 20 + 5 * np.sin(2 * np.pi * (hours + seed) / 24) + draws.normal(0, 0.5, rows)
    return [f"{value:.2f}" for value in values]


def make_moments(rows):
    return [START + dt.timedelta(hours=hour) for hour in range(rows)]


def guess(path, target=None, kind=None):
    """The kind, the source section, and the columns of the data section, without any race."""
    notes = Notes()
    looked, roles, _ = guess_roles(find_material(str(path), notes), target, kind, notes)
    section = describe_columns(roles, ()) | {"kind": "series"}
    entity = {} if roles.entity is None else {"entity": roles.entity.name}
    return roles.kind, looked.source, section | entity, notes.guesses


def read_times(source, section):
    """Times of the rows as a run reads them by what was drafted."""
    source = TypeAdapter(AnySource).validate_python(source)
    data = SeriesSpec.model_validate(section)
    parts = [part for part in source.scan(data, 1 << 20) if isinstance(part, Part)]
    decoded = [source.decode(part, data) for part in parts]
    assert not any(part.faults or part.unreadable for part in decoded)
    return [part.rows["time"] for part in decoded]


WRITTEN = {
    "parts": (
        ["No", "year", "month", "day", "hour"],
        lambda n, at: [n, at.year, at.month, at.day, at.hour],
        ["year", "month", "day", "hour"],
        None,
    ),
    "clock": (
        ["Date", "Time"],
        lambda n, at: [f"{at:%d/%m/%Y}", f"{at:%H.%M.%S}"],
        ["Date", "Time"],
        "%d/%m/%Y %H.%M.%S",
    ),
    "hour": (
        ["dteday", "hr"],
        lambda n, at: [f"{at:%Y-%m-%d}", at.hour],
        ["dteday", "hr"],
        "%Y-%m-%d %H",
    ),
    "iso": (["day", "time"], lambda n, at: [f"{at:%F}", f"{at:%H:%M}"], ["day", "time"], None),
    "epoch": (
        ["timestamp"],
        lambda n, at: [int(at.replace(tzinfo=dt.UTC).timestamp() * 1000)],
        "timestamp",
        "epoch_ms",
    ),
    "decimals": (
        ["ts"],
        lambda n, at: [f"{at.replace(tzinfo=dt.UTC).timestamp():.2f}"],
        "ts",
        "epoch_s",
    ),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_the_time_is_found_however_it_is_told(tmp_path, name):
    header, write, time, format_ = WRITTEN[name]
    moments, values = make_moments(1100), make_series(1100)
    rows = [
        [*map(str, write(n, at)), value]
        for n, (at, value) in enumerate(zip(moments, values, strict=True))
    ]
    path = write_table(tmp_path / "x.csv", [*header, "load"], rows)
    kind, source, data, _ = guess(path)
    assert kind == "forecasting"
    assert (data["time"], data.get("time_format")) == (time, format_)
    assert data["numbers"] == ["load"]
    (times,) = read_times(source, data)
    wanted = np.array(moments, dtype="datetime64[ns]").astype(np.int64)
    np.testing.assert_array_equal(times, wanted)


def test_rows_that_are_empty_altogether_hide_no_time(tmp_path):
    rows = [
        [f"{at:%d/%m/%Y}", f"{at:%H.%M.%S}", value]
        for at, value in zip(make_moments(1100), make_series(1100), strict=True)
    ]
    path = write_table(tmp_path / "x.csv", ["Date", "Time", "load"], [*rows, *[["", "", ""]] * 18])
    kind, _, data, _ = guess(path)
    assert kind == "forecasting"
    assert data["time"] == ["Date", "Time"]


def test_numbers_of_parquet_files_that_count_since_1970_are_times(tmp_path):
    times = [1_600_000_000_000 + 60_000 * n for n in range(1100)]
    columns = {"ts_ms": times, "load": [float(value) for value in make_series(1100)]}
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    _, source, data, _ = guess(tmp_path / "x.parquet")
    assert (data["time"], data["time_format"]) == ("ts_ms", "epoch_ms")
    assert read_times(source, data)[0].tolist() == [time * 10**6 for time in times]


def test_parts_of_a_time_stay_columns_where_rows_are_a_table(tmp_path):
    rows = [
        [str(at.year), str(at.month), str(at.day), str(at.hour), value, "ab"[n % 2]]
        for n, (at, value) in enumerate(zip(make_moments(600), make_series(600), strict=True))
    ]
    header = ["year", "month", "day", "hour", "load", "class"]
    path = write_table(tmp_path / "x.csv", header, rows)
    _, _, data, _ = guess(path, "class", "tabular-classification")
    assert "hour" in data["numbers"]
    assert "time" not in data


@pytest.mark.parametrize("timed", [True, False])
@pytest.mark.parametrize("columns", [1, 2])
def test_a_file_a_device_is_an_entity_by_its_name(tmp_path, timed, columns):
    moments = make_moments(700)
    for number in range(3):
        series = [make_series(700, seed) for seed in (number, number + 5)[:columns]]
        rows = [
            [*([f"{at:%F %T}"] if timed else []), *values]
            for at, *values in zip(moments, *series, strict=True)
        ]
        header = [*(["when"] if timed else []), *["flow", "level"][:columns]]
        write_table(tmp_path / f"pump_{number}.csv", header, rows)
    kind, source, data, guesses = guess(tmp_path)
    assert kind == "forecasting"
    assert source["path_columns"] == "{file}.csv"
    assert data["entity"] == "file"
    assert data["time"] == ("when" if timed else {"step": "1s"})
    assert data["numbers"] == ["flow", "level"][:columns]
    for times in read_times(source, data):
        assert len(set(np.diff(times).tolist())) == 1
    unknown = [each for each in guesses if each.what == "data.time"]
    assert any(each.confidence == "unknown" for each in unknown) != timed


def test_rows_without_a_time_are_a_series_only_where_that_is_asked_for(tmp_path):
    rows = [list(pair) for pair in zip(make_series(700), make_series(700, 5), strict=True)]
    path = write_table(tmp_path / "x.csv", ["flow", "level"], rows)
    assert guess(path)[0] == "tabular-regression"
    asked = look_and_draft(str(path), kind="forecasting")
    assert asked.document["data"]["time"] == {"step": "1s"}
    assert "calendar" not in asked.document["model"].get("head", {})


def test_the_order_of_independent_rows_is_no_time():
    draws = np.random.default_rng(0)
    columns = [
        profile_column(name, pa.chunked_array([[f"{v:.3f}" for v in draws.normal(size=300)]]))
        for name in ("a", "b")
    ]
    (candidate,) = list_candidates(columns, 1)
    assert candidate.time.count == ""
    assert not candidate.is_plain


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        (["a.csv"], None),
        (["a.csv", "b.csv"], "{file}.csv"),
        (["a.csv.gz", "b.csv.gz"], "{file}.csv.gz"),
        (["a.csv", "b.csv.gz"], "{file}*"),
        (["n/2023.csv", "n/2024.csv", "s/2023.csv"], "{folder}/{file}.csv"),
        (["data/a.csv", "data/b.csv"], "data/{file}.csv"),
        (["n/rows.csv", "s/rows.csv"], "{folder}/*"),
        (["n/x/1.csv", "s/y/2.csv"], "{folder1}/{folder2}/{file}.csv"),
        (["a.csv", "deep/b.csv"], "**/{file}.csv"),
    ],
)
def test_names_of_files_make_a_pattern(names, pattern):
    assert find_pattern(names, ["x"]) == pattern
    if pattern is not None:
        check_path_pattern(pattern)
        assert all(match_path(pattern, name) for name in names)
