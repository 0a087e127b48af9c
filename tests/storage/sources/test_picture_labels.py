"""Classes of pictures that a table names."""

import shutil
import threading
from functools import partial
from http.server import ThreadingHTTPServer

import numpy as np
import pytest

from storage.base.errors import SourceError, SourceUnavailable
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.forms.image import ImageSpec
from storage.pipeline.collecting import collect_rows
from storage.shards.row_ids import LABEL
from storage.sources.images import ImagesSource
from storage.sources.picture_labels import LabelFile, read_labels
from tests.storage.sources.test_images import make_picture, write_tar, write_tree
from tests.storage.sources.test_listing import Quiet

SPEC = ImageSpec(image={"shape": [3, 8, 6]}, labels=["ant", "bee"])
PICTURES = {f"{folder}/{n}.png": make_picture(n)[0] for folder, n in (("a", 0), ("a", 1), ("b", 2))}


def write(tmp_path, table, place="tree", members=PICTURES):
    """Write pictures, as files or in an archive, with a table beside them."""
    folder = tmp_path / place
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "labels.csv").write_bytes(table.encode())
    if place == "tree":
        write_tree(folder, members)
    else:
        write_tar(folder / "all.tar", members)
    return folder if place == "tree" else folder / "*.tar"


def collect(tmp_path, table, place="tree", members=PICTURES, **labels):
    url = write(tmp_path, table, place, members)
    found = {"file": "labels.csv", "name": "id", "label": "breed"} | labels
    source = ImagesSource(url=str(url), labels=found)
    shutil.rmtree(tmp_path / "ws", ignore_errors=True)
    return collect_rows(source, Dataset(Store(str(tmp_path / "ws")), "raw"), spec=SPEC)


@pytest.mark.parametrize("place", ["tree", "tar"])
@pytest.mark.parametrize(
    "names", ["a/0.png a/1.png b/2.png", "0.png 1.png 2.png", "0 1 2", "a/0 1 2.png"]
)
def test_a_table_names_the_classes(tmp_path, place, names):
    lines = "\n".join(
        f"{name},{label}" for name, label in zip(names.split(), ["bee", "ant", "bee"], strict=True)
    )
    version = collect(tmp_path, f"id,breed\n{lines}\n", place)
    assert version.read()[LABEL].tolist() == [1, 0, 1]
    assert "faults" not in version.info or version.info["faults"] == []
    assert version.info.get("passed_over", {}) == {}
    assert "labels.csv" in [file["name"] for file in version.info["source"]["files"]]


def test_the_table_may_look_as_tables_do(tmp_path):
    url = write(tmp_path, "")
    table = "breed;url;id\nbée;x;0\nNone;y;1\nbée;z;2\n"
    (url / "labels.csv").write_bytes(table.encode("latin-1"))
    labels = {"file": "labels.csv", "name": "id", "label": "breed"}
    labels |= {"delimiter": ";", "encoding": "latin-1"}
    spec = ImageSpec(image={"shape": [3, 8, 6]}, labels=["None", "bée"])
    source = ImagesSource(url=str(url), labels=labels)
    (part,) = source.parts(1 << 20, spec)
    np.testing.assert_array_equal(source.read(part, spec)[LABEL], [1, 0, 1])


def test_the_table_may_lie_elsewhere(tmp_path):
    url = write(tmp_path, "")
    (tmp_path / "classes.csv").write_text("id,breed\n0,ant\n1,ant\n2,ant\n")
    for file in ("../classes.csv", f"file://{tmp_path}/classes.csv"):
        source = ImagesSource(url=str(url), labels={"file": file, "name": "id", "label": "breed"})
        assert sum(len(source.read(part, SPEC)[LABEL]) for part in source.parts(1 << 20, SPEC)) == 3


@pytest.mark.parametrize("place", ["tree", "tar"])
def test_what_has_no_partner_is_named(tmp_path, place):
    version = collect(tmp_path, "id,breed\n0,ant\n1,\n7,bee\n", place)
    assert version.rows == 1
    assert {fault["name"]: fault["reason"] for fault in version.info["faults"]} == {
        "a/1.png": "has no class in labels.csv; write one there, or move it elsewhere",
        "b/2.png": "has no line in labels.csv; add one, or move it elsewhere",
        "7": "stands in labels.csv, and is no picture of the source",
    }


@pytest.mark.parametrize("place", ["tree", "tar"])
def test_a_class_that_is_not_declared_is_told(tmp_path, place):
    version = collect(tmp_path, "id,breed\n0,ant\n1,wasp\n2,bee\n", place)
    assert version.info["undeclared"] == ["wasp"]


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("id,breed\n0,ant\n0,bee\n1,ant\n2,ant\n", "one class for each picture; got '0' twice"),
        ("id,class\n0,ant\n", "breed"),
        ("id,breed\n0,ant,x\n", "whole records"),
    ],
)
def test_a_table_that_cannot_be_is_refused(tmp_path, table, says):
    with pytest.raises(SourceError, match=says):
        collect(tmp_path, table)


def test_no_secret_of_the_tables_address_is_told(tmp_path):
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/l.csv?token=hunter2"
    found = LabelFile(file=url, name="id", label="breed")
    try:
        for lines, said in (("0,ant\n0,bee\n", "twice"), ("0,ant,x\n", "whole records")):
            (tmp_path / "l.csv").write_text(f"id,breed\n{lines}")
            with pytest.raises(SourceError, match=said) as raised:
                read_labels(found, "", {}, SPEC.labels, print)
            assert "l.csv" in str(raised.value)
            assert "hunter2" not in str(raised.value)
        (tmp_path / "l.csv").write_text("id,breed\n0,ant\n")
        labeller = read_labels(found, "", {}, SPEC.labels, print)
    finally:
        server.shutdown()
        server.server_close()
    told = [labeller.find("7.png"), *map(" ".join, labeller.list_unused())]
    assert len(told) == 2
    assert all("l.csv" in reason and "hunter2" not in reason for reason in told)


def test_one_line_names_one_picture(tmp_path):
    members = {"a/0.png": make_picture(0)[0], "b/0.png": make_picture(1)[0]}
    with pytest.raises(SourceError, match=r"'0\.png' for both a/0\.png and b/0\.png"):
        collect(tmp_path, "id,breed\n0.png,ant\n", members=members)
    assert collect(tmp_path, "id,breed\na/0.png,ant\nb/0.png,bee\n", members=members).rows == 2


def test_a_table_that_is_not_there_is_told(tmp_path):
    with pytest.raises(SourceUnavailable, match=r"other\.csv"):
        collect(tmp_path, "id,breed\n0,ant\n", file="other.csv")


@pytest.mark.parametrize("place", ["tree", "tar"])
def test_a_picture_outside_the_splits_takes_no_line(tmp_path, place):
    members = {
        "train/0.png": make_picture(0)[0],
        "later/1.png": make_picture(1)[0],
        "unused/0.png": make_picture(2)[0],
    }
    url = write(tmp_path, "id,breed\n0.png,ant\n1.png,bee\n", place, members)
    labels = {"file": "labels.csv", "name": "id", "label": "breed"}
    splits = {"train": "train", "held_out": "later"}
    source = ImagesSource(url=str(url), labels=labels, splits=splits)
    version = collect_rows(source, Dataset(Store(str(tmp_path / "ws")), "raw"), spec=SPEC)
    assert version.rows == 2
    assert [fault["name"] for fault in version.info["faults"]] == ["unused/0.png"]


def test_a_table_elsewhere_is_not_one_that_was_passed_over(tmp_path):
    url = write(tmp_path, "a table that nobody reads")
    (tmp_path / "classes.csv").write_text("id,breed\n0,ant\n1,ant\n2,ant\n")
    labels = {"file": f"file://{tmp_path}/classes.csv", "name": "id", "label": "breed"}
    source = ImagesSource(url=str(url), labels=labels)
    version = collect_rows(source, Dataset(Store(str(tmp_path / "ws")), "raw"), spec=SPEC)
    assert version.info["passed_over"] == {".csv": 1}
