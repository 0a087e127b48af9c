"""Tables and series: CSV and Parquet, from odd bytes to sorted, split rows."""

import bz2
import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from storage.base.errors import InvalidInput, SourceError, SourceUnavailable
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.forms.columns import hash_entity, name_field
from storage.forms.series import SeriesSpec
from storage.forms.table import TableSpec
from storage.pipeline.collecting import collect_rows
from storage.pipeline.preparing import prepare_rows
from storage.sources.csv import CsvSource
from storage.sources.parquet import ParquetSource
from storage.testing.sources import SourceContract, read_all

SHARED = Path("../shared/data")
SPEC = TableSpec(numbers=["a", "b"], texts=["kind"], label="y", labels=["no", "yes"], target="t")
HASHED = {"by": "hash", "held_out": 0.2}


def make_text(rows=200, seed=0):
    random = np.random.default_rng(seed)
    lines = ["a,b,kind,y,t,unused"]
    for number in range(rows):
        a, b, t = random.normal(size=3)
        lines.append(
            f'{a!r},{b:.3f},"k,{number % 3}",{("no", "yes")[number % 2]},{t!r},x'.replace(
                "np.float64", ""
            )
        )
    return "\n".join(lines).replace("(", "").replace(")", "") + "\n"


@pytest.fixture
def dataset(tmp_path):
    return Dataset(Store(str(tmp_path / "ws")), "raw")


@pytest.fixture
def prepared(tmp_path):
    return Dataset(Store(str(tmp_path / "ws")), "prepared")


class TestCsv(SourceContract):
    @pytest.fixture
    def source(self, tmp_path):
        (tmp_path / "data.csv").write_text(make_text())
        return CsvSource(url=str(tmp_path / "data.csv"))

    @pytest.fixture
    def spec(self):
        return SPEC

    @pytest.fixture
    def expected_rows(self):
        return 200


class TestManyCsv(TestCsv):
    @pytest.fixture
    def source(self, tmp_path):
        (tmp_path / "1.csv").write_text(make_text(120))
        (tmp_path / "2.csv.gz").write_bytes(gzip.compress(make_text(80, 1).encode()))
        return CsvSource(url=f"{tmp_path}/*.csv*")


class TestParquet(TestCsv):
    @pytest.fixture
    def source(self, tmp_path):
        random = np.random.default_rng(0)
        columns = {name: random.normal(size=200) for name in ("a", "b", "t")}
        columns |= {
            "kind": [f"k{n % 3}" for n in range(200)],
            "y": [("no", "yes")[n % 2] for n in range(200)],
        }
        pq.write_table(pa.table(columns), tmp_path / "data.parquet", row_group_size=30)
        return ParquetSource(url=str(tmp_path / "data.parquet"))


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns", "date32", "date64"])
def test_times_of_parquet_that_do_not_fit_are_missing(tmp_path, unit):
    """64 bits of nanoseconds reach from 1677 to 2262: "never" is no time at all."""
    dates = {"date32": (pa.int32(), pa.date32(), "D"), "date64": (pa.int64(), pa.date64(), "ms")}
    stored, kind, resolution = (
        dates[unit] if unit in dates else (pa.int64(), pa.timestamp(unit, tz="UTC"), unit)
    )
    texts = (
        ["2024-03-01", "2024-03-02"] if unit == "ns" else ["2024-03-01", "9999-12-31", "1000-01-01"]
    )
    moments = np.array(texts, f"datetime64[{resolution}]").astype(np.int64)
    column = pa.array([*moments.tolist(), None], stored).cast(kind)
    pq.write_table(
        pa.table({"a": np.arange(len(column)) + 0.5, "at": column}),
        tmp_path / "data.parquet",
        version="2.6",
    )
    spec = SeriesSpec(numbers=["a"], time="at")
    rows = read_all(ParquetSource(url=str(tmp_path / "data.parquet")), spec)
    wanted = [True, True, False] if unit == "ns" else [True, False, False, False]
    assert rows["time__valid"].tolist() == wanted
    assert rows["time"][0] == np.datetime64("2024-03-01", "ns").astype(np.int64)
    assert not rows["time"][~rows["time__valid"]].any()


def test_a_damaged_file_is_told_from_one_that_is_not_there(tmp_path):
    path = tmp_path / "data.parquet"
    pq.write_table(pa.table({"a": [1.0, 2.0], "at": [1, 2]}), path)
    path.write_bytes(path.read_bytes()[:-20])
    source = ParquetSource(url=str(path))
    with pytest.raises(SourceError, match=r"must be whole; got ArrowInvalid") as damaged:
        read_all(source, SeriesSpec(numbers=["a"], time="at"))
    assert not isinstance(damaged.value, SourceUnavailable)
    path.unlink()
    with pytest.raises(SourceUnavailable):
        read_all(source, SeriesSpec(numbers=["a"], time="at"))
    cut = tmp_path / "data.csv.bz2"
    cut.write_bytes(bz2.compress(make_text().encode())[:40] + b"x" * 400)
    with pytest.raises(SourceError, match=r"must be whole|must unpack") as damaged:
        read_all(CsvSource(url=str(cut)), SPEC)
    assert not isinstance(damaged.value, SourceUnavailable)


def read_text(tmp_path, text, spec=SPEC, **options):
    path = tmp_path / "data.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_all(CsvSource(url=str(path), **options), spec)


def test_columns_become_fields(tmp_path):
    rows = read_text(tmp_path, 'a,b,kind,y,t\n1,2.5,"x ""q""\nz",yes,7\n-3e2,inf,y,no,8\n')
    np.testing.assert_array_equal(rows["numbers"], [[1, 2.5], [-300, np.inf]])
    assert rows["numbers__valid"].all()
    assert rows["kind"].tolist() == ['x "q"\nz', "y"]
    assert rows["label"].tolist() == [1, 0]
    assert rows["target"].tolist() == [7, 8]


def test_missing_and_unreadable_values_are_marked(tmp_path):
    rows = read_text(tmp_path, "a,b,kind,y,t\n,x1,,maybe,NA\n 5 ,2,?,,1\n")
    np.testing.assert_array_equal(rows["numbers__valid"], [[False, False], [True, True]])
    assert rows["numbers"][1].tolist() == [5, 2]
    assert rows["kind__valid"].tolist() == [False, False]
    assert rows["label"].tolist() == [-1, -1]
    assert rows["label__valid"].tolist() == [True, False]
    assert rows["target__valid"].tolist() == [False, True]


@pytest.mark.parametrize("mark", ["utf-8-sig", "utf-16", "latin-1", "utf-8"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_encodings_and_line_ends(tmp_path, mark, end):
    text = f"a,b,kind,y,t{end}1,2,é,yes,3{end}4,5,ü,no,6"
    rows = read_text(
        tmp_path, text.encode(mark), encoding="latin-1" if mark == "latin-1" else "utf-8"
    )
    assert rows["kind"].tolist() == ["é", "ü"]
    assert rows["numbers"].tolist() == [[1, 2], [4, 5]]
    assert rows["target"].tolist() == [3, 6]


def test_a_wrong_encoding_names_the_remedy(tmp_path):
    with pytest.raises(SourceError, match=r"data\.csv.*latin-1"):
        read_text(tmp_path, "a,b,kind,y,t\n1,2,é,yes,3\n".encode("latin-1"))


def test_texts_beside_tables_are_not_tables(tmp_path):
    (tmp_path / "SOURCE.txt").write_text("Where it is from.\n")
    (tmp_path / "data.csv").write_text(make_text())
    assert len(read_all(CsvSource(url=str(tmp_path)), SPEC)["row_id"]) == 200
    (tmp_path / "data.csv").rename(tmp_path / "SOURCE.txt")
    assert len(read_all(CsvSource(url=str(tmp_path)), SPEC)["row_id"]) == 200


def test_file_of_a_split_that_is_absent_is_named(tmp_path):
    (tmp_path / "train.csv").write_text(make_text())
    source = CsvSource(url=str(tmp_path), splits={"train": "train.csv", "held_out": "tset.csv"})
    with pytest.raises(SourceError, match=r"got no tset\.csv among 1 files; correct the names"):
        read_all(source, SPEC)


def test_files_without_a_header(tmp_path):
    rows = read_text(
        tmp_path, "1;2;x;yes;3\n4;5;y;no;6\n", header=("a", "b", "kind", "y", "t"), delimiter=";"
    )
    assert rows["numbers"].tolist() == [[1, 2], [4, 5]]


@pytest.mark.parametrize(
    ("text", "words"),
    [("a,b,kind,y\n1,2,x,yes\n", "columns t"), ("a,a,b,kind,y,t\n", "one column")],
)
def test_columns_that_are_missing_or_doubled_are_named(tmp_path, text, words):
    with pytest.raises(SourceError, match=words):
        read_text(tmp_path, text)


def test_ragged_and_blank_records_are_left_out_and_named(tmp_path, dataset):
    text = "a,b,kind,y,t\n1,2,x,yes,3\n\n4,5,y\n6,7,z,no,8,9\n7,8,z,no,9\n"
    (tmp_path / "data.csv").write_text(text)
    version = collect_rows(CsvSource(url=str(tmp_path / "data.csv")), dataset, spec=SPEC)
    assert version.read()["numbers"].tolist() == [[1, 2], [7, 8]]
    assert [fault["name"] for fault in version.info["faults"]] == [
        "data.csv line 4",
        "data.csv line 5",
    ]
    assert "3 values, not 5" in version.info["faults"][0]["reason"]


def test_record_ids_do_not_depend_on_the_cut_even_with_faults(tmp_path):
    lines = make_text(300).splitlines()
    lines[50] = ""
    lines[120] = "1,2"
    (tmp_path / "data.csv").write_text("\n".join(lines))
    source = CsvSource(url=str(tmp_path / "data.csv"))
    whole, cut = read_all(source, SPEC), read_all(source, SPEC, 1500)
    np.testing.assert_array_equal(whole["row_id"], cut["row_id"])
    assert len(whole["row_id"]) == 298


def test_a_quote_that_never_closes_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr("storage.base.records.LONGEST_RECORD_BYTES", 10_000)
    with pytest.raises(SourceError, match="quote"):
        read_all_cut(tmp_path, 'a,b,kind,y,t\n1,2,"x,yes,3\n' + "1,2,x,yes,3\n" * 200_000)


def read_all_cut(tmp_path, text):
    (tmp_path / "data.csv").write_text(text)
    return read_all(CsvSource(url=str(tmp_path / "data.csv")), SPEC, 1000)


def test_a_table_can_be_prepared(tmp_path, dataset, prepared):
    (tmp_path / "data.csv").write_text(
        make_text(2000) + ",,k,no,1,x\n1,2,k,maybe,1,x\n1,2,k,no,,x\n"
    )
    raw = collect_rows(
        CsvSource(url=str(tmp_path / "data.csv")), dataset, spec=SPEC, target_shard_bytes=20_000
    )
    version = prepare_rows(raw, SPEC, prepared)
    fitted = version.info["fitted"]
    assert fitted["dropped"]["invalid_label"] == 2
    assert version.rows == 2001
    train = version.read("train")
    np.testing.assert_allclose(fitted["mean"], np.nanmean(train["numbers"], axis=0))
    np.testing.assert_allclose(fitted["std"], np.nanstd(train["numbers"], axis=0))
    assert fitted["vocabularies"]["kind"][-3:] == ["k,0", "k,1", "k,2"]
    assert fitted["target_mean"] == pytest.approx(train["target"].mean())
    assert {field.name: field.columns for field in version.fields}["numbers"] == ("a", "b")
    assert set(train["kind"].tolist()) >= {"k,0", "k,1", "k,2"}


def test_groups_stay_together(tmp_path, dataset, prepared):
    lines = ["a,b,kind,y,t"] + [f"{n},{n % 7},patient {n % 40},no,1" for n in range(2000)]
    (tmp_path / "data.csv").write_text("\n".join(lines))
    spec = SPEC.model_copy(
        update={"split": SPEC.split.model_copy(update={"by": "group", "field": "kind"})}
    )
    raw = collect_rows(CsvSource(url=str(tmp_path / "data.csv")), dataset, spec=spec)
    version = prepare_rows(raw, TableSpec.model_validate(spec.model_dump()), prepared)
    groups = {split: set(version.read(split)["kind"].tolist()) for split in version.splits}
    assert len(groups) == 3
    assert not groups["train"] & groups["held_out"]
    assert not groups["train"] & groups["validation"]
    wrong = TableSpec.model_validate(
        {**spec.model_dump(), "split": {"by": "group", "field": "city", "held_out": 0.2}}
    )
    with pytest.raises(InvalidInput, match="choose one of: a, b"):
        prepare_rows(raw, wrong, prepared)


def test_conditions_know_columns(tmp_path, dataset, prepared):
    (tmp_path / "data.csv").write_text(make_text(2000))
    spec = TableSpec.model_validate(
        {
            **SPEC.model_dump(),
            "filter": [{"field": "a", "at_least": 0}, {"field": "kind", "none_of": ["k,1"]}],
        }
    )
    raw = collect_rows(CsvSource(url=str(tmp_path / "data.csv")), dataset, spec=spec)
    rows = prepare_rows(raw, spec, prepared).read()
    assert (rows["numbers"][:, 0] >= 0).all()
    assert set(rows["kind"].tolist()) == {"k,0", "k,2"}


def make_series(entities=3, rows=400):
    lines = ["when,who,load"]
    for number in range(rows):
        for entity in range(entities):
            lines.append(
                f"2020-01-{1 + number // 24:02d} "
                f"{number % 24:02d}:00,e{entity},{number + entity / 10}"
            )
    return lines


SERIES = SeriesSpec(numbers=["load"], time="when", entity="who", split=HASHED)


def test_series_are_sorted_and_what_is_wrong_is_reported(tmp_path, dataset, prepared):
    lines = make_series()
    shuffled = [lines[0], *np.random.default_rng(0).permutation(lines[1:]).tolist(), lines[5]]
    gone = [line for line in shuffled if not line.startswith("2020-01-03 05:00,e1")]
    (tmp_path / "data.csv").write_text("\n".join(gone) + "\nnever,e1,3\n")
    split = {"by": "time", "held_out": 0.2, "validation": 0.1}
    spec = SeriesSpec.model_validate({**SERIES.model_dump(), "split": split})
    raw = collect_rows(
        CsvSource(url=str(tmp_path / "data.csv")), dataset, spec=spec, target_shard_bytes=5_000
    )
    version = prepare_rows(raw, spec, prepared)
    report, dropped = version.info["series"], version.info["fitted"]["dropped"]
    assert (report["entities"], report["step_ns"], report["gap_count"]) == (3, 3600 * 10**9, 1)
    assert report["gaps"][0]["series_id"] == hash_entity("e1")
    assert report["duplicate_count"] == dropped["duplicate"] == 1
    assert report["unsorted_count"] > 100
    assert dropped["invalid_features"] == 1
    ends = []
    for name in ("train", "validation", "held_out"):
        rows = version.read(name)
        order = np.lexsort((rows["time"], rows["series_id"]))
        np.testing.assert_array_equal(order, np.arange(len(order)))
        ends.append((rows["time"].min(), rows["time"].max()))
    assert ends[0][1] < ends[1][0] < ends[1][1] < ends[2][0]
    assert version.splits["held_out"] == pytest.approx(240, abs=10)
    assert sum(entry.split == "train" for entry in version.shards) > 1


def test_entities_stay_together(tmp_path, dataset, prepared):
    (tmp_path / "data.csv").write_text("\n".join(make_series(40, 40)))
    spec = SeriesSpec.model_validate(
        {**SERIES.model_dump(), "split": {"by": "entity", "held_out": 0.3}}
    )
    raw = collect_rows(CsvSource(url=str(tmp_path / "data.csv")), dataset, spec=spec)
    version = prepare_rows(raw, spec, prepared)
    found = {split: set(version.read(split)["series_id"].tolist()) for split in version.splits}
    assert not found["train"] & found["held_out"]
    assert len(set.union(*found.values())) == 40


def test_a_transform_sees_whole_entities(tmp_path, dataset, prepared, monkeypatch):
    (tmp_path / "my_life.py").write_text(
        "import numpy as np\n\n\ndef add_life(rows):\n    life = np.zeros(len(rows['time']))\n"
        "    for entity in np.unique(rows['series_id']):\n        here = rows['series_id'] == "
        "entity\n"
        "        life[here] = np.arange(here.sum())[::-1]\n    return {**rows, 'target': life}\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "data.csv").write_text("\n".join(make_series(40, 100)))
    spec = SeriesSpec.model_validate(
        {
            **SERIES.model_dump(),
            "split": {"by": "entity", "held_out": 0.3},
            "transform": "my_life:add_life",
        }
    )
    raw = collect_rows(CsvSource(url=str(tmp_path / "data.csv")), dataset, spec=spec)
    version = prepare_rows(raw, spec, prepared)
    assert sum(entry.split == "train" for entry in version.shards) > 1
    for split in version.splits:
        rows = version.read(split)
        for entity in np.unique(rows["series_id"]):
            np.testing.assert_array_equal(
                rows["target"][rows["series_id"] == entity], np.arange(100)[::-1]
            )


@pytest.mark.skipif(not (SHARED / "ett").is_dir(), reason="../shared/data/ett is absent")
def test_ett_with_its_usual_months(dataset, prepared):
    spec = SeriesSpec(
        numbers=["HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT"],
        time="date",
        split={
            "by": "time",
            "validation_from": "2017-06-26",
            "held_out_from": "2017-10-24",
            "end": "2018-02-21",
        },
    )
    raw = collect_rows(CsvSource(url=str(SHARED / "ett" / "ETTh1.csv.gz")), dataset, spec=spec)
    version = prepare_rows(raw, spec, prepared)
    assert raw.rows == 17_420
    assert version.splits == {"held_out": 2880, "train": 8640, "validation": 2880}
    assert version.info["fitted"]["dropped"]["left_out"] == 3020
    assert version.info["series"]["gap_count"] == 0


@pytest.mark.skipif(
    not (SHARED / "traffic-pems-single").is_dir(),
    reason="../shared/data/traffic-pems-single is absent",
)
def test_traffic_with_its_days_first(dataset):
    spec = SeriesSpec(
        numbers=["Lane 1 Flow (Veh/5 Minutes)"], time="5 Minutes", time_format="%d/%m/%Y %H:%M"
    )
    source = CsvSource(
        url=str(SHARED / "traffic-pems-single"),
        splits={"train": "train.csv", "held_out": "test.csv"},
    )
    version = collect_rows(source, dataset, spec=spec)
    assert version.splits == {"held_out": 4320, "train": 7776}
    times = np.sort(version.read("train")["time"])
    assert str(times[0].astype("datetime64[ns]"))[:16] == "2016-01-04T00:00"
    assert str(times[-1].astype("datetime64[ns]"))[:16] == "2016-02-29T23:55"


@pytest.mark.skipif(not (SHARED / "ai4i2020").is_dir(), reason="../shared/data/ai4i2020 is absent")
def test_machine_failures(dataset, prepared):
    spec = TableSpec(
        numbers=["Air temperature [K]", "Torque [Nm]"],
        texts=["Type"],
        label="Machine_failure",
        labels=["0", "1"],
    )
    raw = collect_rows(
        CsvSource(url=str(SHARED / "ai4i2020" / "ai4i2020.csv.gz")), dataset, spec=spec
    )
    assert raw.statistics()["label"].distinct == {"0": 9661, "1": 339}
    assert prepare_rows(raw, spec, prepared).info["fitted"]["vocabularies"] == {
        "Type": ["H", "L", "M"]
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"numbers": ["a"], "label": "y"},
        {"numbers": ["a"], "target": "a"},
        {"numbers": ["a"], "labels": ["x"]},
    ],
)
def test_impossible_tables_are_refused(wrong):
    with pytest.raises(ValidationError):
        TableSpec.model_validate(wrong)


def test_a_series_needs_a_time():
    with pytest.raises(ValidationError, match="time"):
        SeriesSpec(numbers=["a"])


def test_an_encoding_that_is_none_of_texts_is_refused():
    for name in ("rot13", "hex", "base64", "nothing-of-the-kind"):
        with pytest.raises(ValidationError, match="be an encoding of texts"):
            CsvSource(url="x.csv", encoding=name)
    with pytest.raises(ValidationError, match="be one sign that stands in no number"):
        CsvSource(url="x.csv", delimiter="7")


def test_two_columns_never_become_one_field(tmp_path):
    """Names that differ by what a field cannot hold alone, and names that mean something here."""
    names = [
        "性别",
        "城市",
        "pay type",
        "pay_type",
        "target",
        "label",
        "numbers.x",
        "a__valid",
        "a",
    ]
    spec = TableSpec(numbers=["x"], texts=names, label="y", labels=["no", "yes"])
    cells = [f"v{place}" for place in range(len(names))]
    rows = read_text(tmp_path, f"x,{','.join(names)},y\n1,{','.join(cells)},yes\n", spec)
    fields = [name_field(name, names) for name in names]
    assert len(set(fields)) == len(names)
    assert [rows[field].tolist() for field in fields] == [[cell] for cell in cells]
    assert fields[3] == "pay_type"
    assert rows["label"].tolist() == [1]
    assert name_field("pay type", ["pay type"]) == "pay_type"  # as it has always been


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_what_is_missing_is_missing_of_every_source(tmp_path, suffix):
    columns = {"x": [1.0, -999.0, 3.0], "c": ["r", " NA", "s"], "y": ["a", "b", " NA "]}
    spec = TableSpec(
        numbers=("x",), texts=("c",), label="y", labels=("a", "b"), missing=("", "NA", "-999")
    )
    if suffix == "csv":
        lines = [",".join(map(str, row)) for row in zip(*columns.values(), strict=True)]
        rows = read_text(tmp_path, "x,c,y\n" + "\n".join(lines), spec)
    else:
        pq.write_table(pa.table(columns), tmp_path / "data.parquet")
        rows = read_all(ParquetSource(url=str(tmp_path / "data.parquet")), spec)
    assert rows["numbers__valid"].ravel().tolist() == [True, False, True]
    assert rows["c__valid"].tolist() == [True, False, True]
    assert rows["label__valid"].tolist() == [True, True, False]


def test_a_quote_inside_a_value_is_a_letter_and_shifts_no_row(tmp_path):
    """One inch mark changed the row ids of a large file, two made some stand twice."""
    lines = [f"{n},2,{'5' + chr(34) if n in (10, 600) else 'k'} pipe,no,1" for n in range(2000)]
    (tmp_path / "data.csv").write_text("a,b,kind,y,t\n" + "\n".join(lines))
    source = CsvSource(url=str(tmp_path / "data.csv"))
    whole, cut = read_all(source, SPEC), read_all(source, SPEC, 3000)
    assert whole["kind"][10] == '5" pipe'
    assert len(np.unique(whole["row_id"])) == 2000
    for name in ("row_id", "numbers", "content_hash"):
        np.testing.assert_array_equal(whole[name], cut[name])


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_line_break_in_a_header_is_part_of_a_name(tmp_path, end):
    spec = TableSpec(numbers=("x\nunit",), label="y", labels=("a", "b"))
    rows = read_text(tmp_path, end.join(['"x\nunit",y', "1,a", "2,b", ""]), spec)
    assert rows["numbers"].ravel().tolist() == [1, 2]
    assert rows["label"].tolist() == [0, 1]


def test_places_are_lines_as_an_editor_counts_them(tmp_path, dataset):
    text = 'a,b,kind,y,t\n1,2,"two\nlines",no,1\n\n1,x,k,no,1\n1,2\n1,"2,k,no,1\n'
    (tmp_path / "data.csv").write_text(text)
    version = collect_rows(CsvSource(url=str(tmp_path / "data.csv")), dataset, spec=SPEC)
    assert version.info["unreadable"] == {
        "b": {"count": 1, "values": ["x"], "places": ["data.csv line 5"]}
    }
    assert version.info["faults"] == [
        {"name": "data.csv line 6", "reason": "has 2 values, not 5"},
        {"name": "data.csv line 7", "reason": "has a quote that is never closed"},
    ]
