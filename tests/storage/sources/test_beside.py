"""Whatever the source, files that lie beside those that it reads are counted."""

import gzip

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.forms.table import TableSpec
from storage.pipeline.collecting import collect_rows
from storage.sources.arrays import ArraysSource
from storage.sources.csv import CsvSource
from storage.sources.idx import IdxSource
from storage.sources.parquet import ParquetSource
from tests.storage.sources.test_idx import make_idx, make_images, make_labels

TABLE = TableSpec(numbers=("x",), label="y", labels=("a", "b"))
ROWS = TableSpec(numbers=("a", "b"), target="t")
PAIR = ("images", "labels")


def make_csv(folder):
    for name in ("one.csv", "two.csv"):
        (folder / name).write_text("x,y\n" + f"{len(name)},a\n2.{name[0] == 'o':d},b\n" * 9)
    return CsvSource(url=str(folder)), TABLE


def make_parquet(folder):
    for name in ("one.parquet", "two.pq"):
        table = pa.table({"x": np.arange(20.0) + len(name), "y": ["a", "b"] * 10})
        pq.write_table(table, folder / name)
    return ParquetSource(url=str(folder)), TABLE


def make_idx_files(folder):
    (folder / "images.gz").write_bytes(gzip.compress(make_idx(make_images(50))))
    (folder / "labels").write_bytes(make_idx(make_labels(50)))
    return IdxSource(url=str(folder), train=PAIR, held_out=None), None


def make_npy(folder):
    np.save(folder / "images.npy", np.arange(100.0).reshape(50, 2))
    np.save(folder / "labels.npy", np.arange(50.0))
    return ArraysSource(url=str(folder), train=PAIR, held_out=None), ROWS


SOURCES = {"csv": make_csv, "parquet": make_parquet, "idx": make_idx_files, "npy": make_npy}


def collect(source, spec, tmp_path):
    return collect_rows(source, Dataset(Store(str(tmp_path / "workspace")), "raw"), spec=spec)


@pytest.mark.parametrize("make", SOURCES.values(), ids=list(SOURCES))
def test_files_of_another_kind_are_counted_and_change_no_row(tmp_path, make):
    folder = tmp_path / "data"
    folder.mkdir()
    source, spec = make(folder)
    alone = collect(source, spec, tmp_path)
    assert "passed_over" not in alone.info
    (folder / "more").mkdir()
    for name in ("a.webp", "more/b.WEBP", "LICENSE", ".hidden", "more/c.xlsx"):
        (folder / name).write_bytes(b"x")
    beside = collect(source, spec, tmp_path)
    assert beside.info["passed_over"] == {"": 1, ".webp": 2, ".xlsx": 1}
    assert beside.manifest_digest == alone.manifest_digest
    assert beside.info["source"] == alone.info["source"]


@pytest.mark.parametrize("make", SOURCES.values(), ids=list(SOURCES))
def test_a_workspace_beside_the_files_is_not_counted(tmp_path, make):
    source, spec = make(tmp_path)
    (tmp_path / "workspace/runs/7").mkdir(parents=True)
    (tmp_path / "workspace/runs/7/journal.json").write_bytes(b"{}")
    first, again = (collect(source, spec, tmp_path) for _ in range(2))
    assert "passed_over" not in first.info
    assert again.number == first.number


def test_texts_beside_tables_are_counted(tmp_path):
    source, spec = make_csv(tmp_path)
    (tmp_path / "SOURCE.txt").write_text("Where it is from.\n")
    assert collect(source, spec, tmp_path / "ws").info["passed_over"] == {".txt": 1}


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_files_of_no_split_are_counted(tmp_path, kind):
    source, spec = SOURCES[kind](tmp_path)
    name = f"one.{kind}"
    chosen = source.model_copy(update={"splits": {"train": name}})
    rest = {".csv": 1} if kind == "csv" else {".pq": 1}
    assert collect(chosen, spec, tmp_path / "ws").info["passed_over"] == rest


def test_members_of_an_archive_that_nobody_names_are_counted(tmp_path):
    rows = {"images": np.arange(100.0).reshape(50, 2), "labels": np.arange(50.0)}
    np.savez(tmp_path / "all.npz", **rows, ids=np.arange(50))
    np.savez(tmp_path / "two.npz", **rows)
    source = ArraysSource(url=str(tmp_path / "all.npz"), train=PAIR, held_out=None)
    assert collect(source, ROWS, tmp_path / "a").info["passed_over"] == {".npy": 1}
    source = ArraysSource(url=str(tmp_path / "two.npz"), train=PAIR, held_out=None)
    assert "passed_over" not in collect(source, ROWS, tmp_path / "b").info


def test_a_store_that_lets_nobody_look_is_read_all_the_same(tmp_path, monkeypatch):
    source, spec = make_npy(tmp_path)
    (tmp_path / "a.webp").write_bytes(b"x")

    def refuse(top):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("storage.sources.listing.walk_folder", refuse)
    assert "passed_over" not in collect(source, spec, tmp_path / "ws").info
