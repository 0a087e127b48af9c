"""Which files are read, in which split, and what their names say of their rows."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.base.errors import SourceError, SourceUnavailable
from storage.base.path_patterns import check_path_pattern, match_end, match_path
from storage.forms.series import SeriesSpec
from storage.forms.table import TableSpec
from storage.sources.choosing import choose_files
from storage.sources.csv import CsvSource
from storage.sources.images import ImagesSource
from storage.sources.parquet import ParquetSource

NAMES = ["2023/a.csv", "2023/b.csv", "2024/a.csv", "2024/deep/c.csv", "[x].csv"]


@pytest.mark.parametrize(
    ("splits", "wanted"),
    [
        ({"train": "2023/*.csv", "held_out": "2024/a.csv"}, {"train": 2, "held_out": 1}),
        (
            {"train": ["2023/a.csv", "2023/b.csv"], "held_out": "2024/**"},
            {"train": 2, "held_out": 2},
        ),
        ({"train": "**/a.csv", "held_out": "[x].csv"}, {"train": 2, "held_out": 1}),
        ({"train": "202?/b.csv"}, {"train": 1}),
    ],
    ids=str,
)
def test_a_split_may_be_several_files(splits, wanted):
    chosen = choose_files(NAMES, splits, "data")
    assert {split: sum(s == split for _, s in chosen) for _, split in chosen} == wanted
    assert chosen == sorted(chosen)


@pytest.mark.parametrize(
    ("splits", "words"),
    [
        ({"train": ["2023/*.csv", "2025/*.csv"]}, r"got no 2025/\*\.csv among 5 files"),
        ({"train": "*.csv", "held_out": "[x].csv"}, r"got \[x\]\.csv in two"),
    ],
)
def test_a_split_that_is_not_there_or_not_alone_is_told(splits, words):
    with pytest.raises(SourceUnavailable, match=words):
        choose_files(NAMES, splits, "data")


@pytest.mark.parametrize(
    ("pattern", "path", "wanted"),
    [
        (
            "{site}/{year}.csv",
            "north/2024.csv",
            {"site": "north", "year": "2024", "site/year": "north/2024"},
        ),
        ("{site}/{year}.csv", "x/north/2024.csv", None),
        ("**/{site}-{n}.*", "x/y/a-b-3.csv.gz", {"site": "a", "n": "b-3", "site/n": "a/b-3"}),
        ("**/{site}-{n}.*", "a-3.csv", {"site": "a", "n": "3", "site/n": "a/3"}),
        ("{device id}_?.csv", "pump 1_a.csv", {"device id": "pump 1"}),
        ("{a.b}.csv", "x+y.csv", {"a.b": "x+y"}),
    ],
)
def test_a_path_is_read_by_its_pattern(pattern, path, wanted):
    assert match_path(check_path_pattern(pattern), path) == wanted
    assert match_end(pattern, f"/any/where/{path}") == (
        wanted
        if wanted or "**" in pattern
        else {"site": "north", "year": "2024", "site/year": "north/2024"}
    )


@pytest.mark.parametrize(
    ("pattern", "path", "wanted"),
    [
        ("{site}/**", "north/2024/a.csv", {}),
        ("{site}/**/{year}.csv", "north/2024.csv", {"year": "2024"}),
        ("**{n}.csv", "deep/12.csv", {}),
        (
            "**/{site}/{year}.csv",
            "x/y/north/2024.csv",
            {"site": "north", "year": "2024", "site/year": "north/2024"},
        ),
    ],
)
def test_the_end_of_a_path_tells_only_what_stands_behind_any_folders(pattern, path, wanted):
    whole = match_path(pattern, path)
    assert whole is not None
    assert wanted.items() <= whole.items()
    assert match_end(pattern, f"/any/where/{path}") == wanted


@pytest.mark.parametrize("pattern", ["*.csv", "{}.csv", "{a}/{a}.csv", "{a.csv", "/x/{a}.csv"])
def test_a_pattern_without_columns_of_its_own_is_refused(pattern):
    with pytest.raises(ValueError, match=r"path_columns .* different names in braces"):
        CsvSource(url="x", path_columns=pattern)


def write_sites(folder, kind):
    for site, year in (("north", 2023), ("north", 2024), ("south", 2024)):
        path = folder / site / f"{year}.{kind}"
        path.parent.mkdir(exist_ok=True)
        x = np.arange(5) + year
        times = [f"{year}-01-0{day}" for day in range(1, 6)]
        if kind == "csv":
            lines = "".join(f"{value};{time}\n" for value, time in zip(x, times, strict=True))
            path.write_text(f"x;t\n{lines}")
        else:
            pq.write_table(pa.table({"x": x.astype(float), "t": times}), path)


def open_source(folder, kind, **options):
    write_sites(folder, kind)
    options = {"url": str(folder), "path_columns": f"{{site}}/{{year}}.{kind}", **options}
    return CsvSource(delimiter=";", **options) if kind == "csv" else ParquetSource(**options)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_names_of_files_are_columns(tmp_path, kind):
    source = open_source(tmp_path, kind)
    table = TableSpec(numbers=("x", "year"), label="site", labels=("north", "south"))
    parts = [source.decode(part, table).rows for part in source.parts(1 << 20, table)]
    assert [part["label"].tolist() for part in parts] == [[0] * 5, [0] * 5, [1] * 5]
    years = np.concatenate([part["numbers"] - part["numbers"][:, 1:] for part in parts])
    np.testing.assert_array_equal(years, np.tile([[0, 0], [1, 0], [2, 0], [3, 0], [4, 0]], (3, 1)))
    series = SeriesSpec(numbers=("x",), time="t", entity="site", metadata=("year",))
    parts = [source.decode(part, series).rows for part in source.parts(1 << 20, series)]
    ids = [set(part["series_id"].tolist()) for part in parts]
    assert ids[0] == ids[1] != ids[2]
    assert parts[2]["year"].tolist() == ["2024"] * 5


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_file_of_another_name_is_told(tmp_path, kind):
    source = open_source(tmp_path, kind, path_columns=f"{{site}}/{{x}}.{kind}")
    spec = TableSpec(numbers=("x",), texts=("site",))
    with pytest.raises(SourceError, match=r"got x in both"):
        source.parts(1 << 20, spec)
    source = source.model_copy(update={"path_columns": f"{{site}}.{kind}"})
    with pytest.raises(SourceError, match=rf"path_columns \(.site.\.{kind}\).*north/2023"):
        source.parts(1 << 20, spec)


def test_pictures_of_a_split_may_lie_in_several_folders():
    source = ImagesSource(url="x", splits={"train": ["a/", "b"], "held_out": "c"})
    found = [source.find_split(f"{name}/cat/1.png") for name in "abcd"]
    assert found == ["train", "train", "held_out", None]
    with pytest.raises(ValueError, match="folders of its own"):
        ImagesSource(url="x", splits={"train": ["a", "b"], "held_out": "b"})
