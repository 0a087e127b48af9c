"""Parquet files: rows and digest come from the same bytes, whatever happens to the file."""

import datetime
import decimal
import hashlib
import io
import threading
import traceback
from functools import partial
from http.server import ThreadingHTTPServer

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from storage.base.errors import SourceError, SourceUnavailable
from storage.forms.columns import NUMBERS
from storage.forms.table import TableSpec
from storage.shards.row_ids import VALID_SUFFIX
from storage.sources.parquet import ParquetSource
from storage.sources.ranges import RangeHasher, SparseFile, merge_ranges
from storage.testing.sources import SECRET, SourceContract, read_all
from tests.storage.sources.test_listing import Quiet

SPEC = TableSpec(numbers=("x",), label="y", labels=("a", "b"))


def write(path, value=1.0, rows=100, **options):
    table = pa.table(
        {
            "x": np.full(rows, value) + np.arange(rows),
            "unused": [f"text {n}" for n in range(rows)],
            "y": ["a", "b"] * (rows // 2),
        }
    )
    pq.write_table(table, path, **({"row_group_size": 30} | options))


class TestParquet(SourceContract):
    @pytest.fixture
    def source(self, tmp_path):
        write(tmp_path / "a.parquet")
        write(tmp_path / "b.pq", 1000.0, use_dictionary=False, compression="gzip")
        return ParquetSource(url=str(tmp_path))

    @pytest.fixture
    def spec(self):
        return SPEC

    @pytest.fixture
    def expected_rows(self):
        return 200


def test_a_file_written_between_hashing_and_decoding_is_refused(tmp_path):
    path = tmp_path / "a.parquet"
    write(path, 1.0)
    source = ParquetSource(url=str(path))
    *parts, file = source.scan(SPEC, 1)
    assert file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    write(path, 2.0)
    for part in parts:
        with pytest.raises(SourceError, match=r"a\.parquet.*stay as it is"):
            source.decode(part, SPEC)


def test_a_part_that_was_not_touched_is_read(tmp_path):
    """A column that nobody reads is nobody's business."""
    path = tmp_path / "a.parquet"
    write(path, use_dictionary=False, compression="none")
    source = ParquetSource(url=str(path))
    part = source.parts(1 << 20, SPEC)[0]
    path.write_bytes(path.read_bytes().replace(b"text 77", b"TEXT 77"))
    np.testing.assert_array_equal(source.decode(part, SPEC).rows[NUMBERS][:, 0], np.arange(1, 101))


def test_a_file_cut_between_both_is_refused(tmp_path):
    path = tmp_path / "a.parquet"
    write(path)
    source = ParquetSource(url=str(path))
    part = source.parts(1 << 20, SPEC)[0]
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(SourceError, match=r"a\.parquet"):
        source.decode(part, SPEC)


def test_names_of_columns_come_from_a_footer_that_fits_the_file_only(tmp_path):
    path = tmp_path / "a.parquet"
    write(path)
    source = ParquetSource(url=str(path))
    assert "x" in source.list_columns()
    path.write_bytes(path.read_bytes()[:-8] + (1 << 30).to_bytes(4, "little") + b"PAR1")
    with pytest.raises(SourceError, match=r"a\.parquet.*footer of 1073741824 bytes"):
        source.list_columns()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"version": "1.0"},
        {"data_page_version": "2.0"},
        {"compression": "zstd"},
        {"use_dictionary": False},
        {"write_page_index": True},
    ],
)
def test_every_way_to_write_it_is_read(tmp_path, options):
    write(tmp_path / "a.parquet", **options)
    rows = read_all(ParquetSource(url=str(tmp_path / "a.parquet")), SPEC)
    np.testing.assert_array_equal(rows[NUMBERS][:, 0], np.arange(1, 101))


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("x", pa.array([[1.0]] * 4)),
        ("x", pa.array([{"a": 1}] * 4)),
        ("x", pa.array([b"1"] * 4)),
        ("x", pa.array([datetime.datetime(2024, 1, 1)] * 4)),
        ("x", pa.array([datetime.timedelta(1)] * 4)),
        ("y", pa.array([["a"]] * 4)),
        ("y", pa.array([b"\xff"] * 4)),
        ("y", pa.array([[("a", 1)]] * 4, pa.map_(pa.string(), pa.int64()))),
    ],
)
def test_types_without_a_value_are_told(tmp_path, column, values):
    other = {"x": pa.array([1.0] * 4), "y": pa.array(["a"] * 4)} | {column: values}
    pq.write_table(pa.table(other), tmp_path / "a.parquet")
    with pytest.raises(SourceError, match=rf"column {column}; got the type"):
        ParquetSource(url=str(tmp_path / "a.parquet")).parts(1, SPEC)


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (pa.array([1, 2, None, 4]), [1, 2, np.nan, 4]),
        (pa.array([True, False, None, True]), [1, 0, np.nan, 1]),
        (pa.array(np.array([1, 2, 3, 4], np.float16)), [1, 2, 3, 4]),
        (pa.array([decimal.Decimal("1.5")] * 4), [1.5] * 4),
        (pa.array(["1", "2", "x", None]), [1, 2, np.nan, np.nan]),
        (pa.array(["1", "2", "x", None]).dictionary_encode(), [1, 2, np.nan, np.nan]),
        (pa.array([None] * 4, pa.null()), [np.nan] * 4),
    ],
)
def test_types_with_a_number_are_read(tmp_path, values, wanted):
    pq.write_table(pa.table({"x": values, "y": ["a"] * 4}), tmp_path / "a.parquet")
    rows = read_all(ParquetSource(url=str(tmp_path / "a.parquet")), SPEC)
    np.testing.assert_array_equal(rows[NUMBERS], np.array(wanted)[:, np.newaxis])
    assert rows[NUMBERS + VALID_SUFFIX][:, 0].tolist() == [not np.isnan(each) for each in wanted]


def test_a_split_s_file_that_is_not_there_is_told(tmp_path):
    write(tmp_path / "a.parquet")
    source = ParquetSource(
        url=str(tmp_path), splits={"train": "a.parquet", "held_out": "b.parquet"}
    )
    with pytest.raises(SourceUnavailable, match=r"got no b\.parquet"):
        source.parts(1, SPEC)


def test_a_file_of_zeros_is_told(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1" + bytes(100))
    with pytest.raises(SourceError, match=r"a\.parquet.*must be whole"):
        ParquetSource(url=f"file://{tmp_path}/a.parquet").parts(1, SPEC)


def test_secrets_of_the_address_are_not_told(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1" + bytes(100))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/a.parquet?token={SECRET}"
        with pytest.raises(SourceError, match=r"a\.parquet\?token=\*\*\*.* must be") as caught:
            ParquetSource(url=url).parts(1, SPEC)
    finally:
        server.shutdown()
        server.server_close()
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_part_is_decoded_without_asking_what_is_known_of_its_file(tmp_path, monkeypatch):
    """Its bytes are held against their digest: to ask for more costs a way there and back."""
    asked = []
    tell = MemoryFileSystem.info

    def count(filesystem, path, **options):
        asked.append(path)
        return tell(filesystem, path, **options)

    monkeypatch.setattr(MemoryFileSystem, "info", count)
    write(tmp_path / "a.parquet")
    MemoryFileSystem().pipe("/asked/a.parquet", (tmp_path / "a.parquet").read_bytes())
    source = ParquetSource(url="memory://asked/a.parquet")
    part = source.parts(1 << 20, SPEC)[0]
    assert asked
    asked.clear()
    assert source.decode(part, SPEC).rows[NUMBERS].shape == (100, 1)
    assert asked == []


def test_ranges_are_hashed_as_they_lie():
    data = bytes(np.random.default_rng(0).integers(0, 256, 10_000).astype(np.uint8))
    wanted = [[(0, 10), (500, 5000)], [(4000, 9999)], [(3, 4)], [(9000, 10_000)]]
    hasher = RangeHasher(wanted)
    for start in range(0, len(data), 777):
        hasher.feed(data[start : start + 777])
    for ranges, digest in zip(wanted, hasher.list_digests(), strict=True):
        held = b"".join(data[start:stop] for start, stop in ranges)
        assert digest == hashlib.sha256(held).hexdigest()
    assert merge_ranges([(5, 9), (0, 3), (3, 4), (8, 12)]) == ((0, 4), (5, 12))


def test_a_sparse_file_reads_zeros_between():
    file = io.BufferedReader(SparseFile(20, {2: b"abc", 10: b"defg"}))
    assert file.read() == b"\0\0abc\0\0\0\0\0defg\0\0\0\0\0\0"
    file.seek(-9, 2)
    assert file.read(4) == b"efg\0"
