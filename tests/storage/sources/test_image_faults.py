"""Pictures that are passed over, left out or hostile: told by name, the same every time."""

import os
import tarfile

import pytest

from storage.base.errors import SourceError, SourceUnavailable
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.pipeline.collecting import collect_rows
from storage.sources.images import ImagesSource
from storage.sources.pictures import decode_pictures
from tests.storage.sources.test_images import SPEC, make_members, write_tar, write_tree

BAD = {
    "cut.png": b"GIF89a",
    "empty.png": b"",
    "noise.jpg": bytes(range(256)) * 4,
    "head.png": b"\x89PNG\r\n\x1a\n" + b"\0" * 40,
    "head.jpg": b"\xff\xd8\xff\xe0\0\x10JFIF\0" + b"\xff" * 40,
}


def collect(url, tmp_path, name="raw", **more):
    dataset = Dataset(Store(str(tmp_path / "ws")), name)
    return collect_rows(ImagesSource(url=str(url), **more), dataset, spec=SPEC)


@pytest.mark.parametrize("name", sorted(BAD))
def test_a_reason_names_no_place_in_memory(name):
    kept = []
    reasons = set()
    for size in (10, 10_000, 1_000_000):
        kept.append(bytearray(size))
        reasons.add(decode_pictures([(name, BAD[name])], (3, 8, 8), resize=True)[2][0][1])
    assert len(reasons) == 1
    assert "0x" not in reasons.pop()


def test_unchanged_files_make_no_new_version(tmp_path):
    folder = write_tree(tmp_path / "tree", make_members() | {f"train/ant/{n}": BAD[n] for n in BAD})
    first = collect(folder, tmp_path)
    kept = [bytearray(n) for n in range(1, 20_000, 500)]
    assert collect(folder, tmp_path).digest == first.digest
    assert first.info["fault_count"] == len(BAD)
    assert kept


@pytest.mark.parametrize("place", ["tree", "all.tar"])
def test_pictures_of_another_kind_are_counted(tmp_path, place):
    members = make_members() | {f"train/ant/{n}.svg": b"<svg" for n in range(7)} | {"LICENSE": b""}
    make = write_tree if place == "tree" else write_tar
    version = collect(make(tmp_path / place, members), tmp_path)
    assert version.info["passed_over"] == {"": 1, ".svg": 7}
    assert "passed_over" not in collect(make(tmp_path / f"b{place}", make_members()), tmp_path).info


@pytest.mark.parametrize("place", ["tree", "all.tar"])
def test_a_split_without_a_picture_is_told(tmp_path, place):
    url = (write_tree if place == "tree" else write_tar)(tmp_path / place, make_members())
    splits = {"train": "train", "held_out": "test", "validation": "val"}
    with pytest.raises(SourceUnavailable, match=r"splits; got none in val"):
        collect(url, tmp_path, splits=splits)


def test_names_that_are_no_text_are_faults(tmp_path):
    odd = os.fsdecode(b"train/ant/\xff.png")
    for place, make in (("tree", write_tree), ("all.tar", write_tar)):
        version = collect(make(tmp_path / place, make_members() | {odd: b"x"}), tmp_path, place)
        assert version.rows == 20
        assert [fault["name"] for fault in version.info["faults"]] == ["train/ant/\\udcff.png"]


def test_pipes_and_giants_among_pictures_are_faults(tmp_path):
    folder = write_tree(tmp_path / "tree", make_members())
    os.mkfifo(folder / "train/ant/pipe.png")
    with (folder / "train/ant/vast.png").open("wb") as file:
        file.truncate(1 << 40)
    version = collect(folder, tmp_path)
    reasons = {fault["name"]: fault["reason"] for fault in version.info["faults"]}
    assert "a pipe" in reasons["train/ant/pipe.png"]
    assert "1099511627776 bytes" in reasons["train/ant/vast.png"]


@pytest.mark.parametrize("size", ["rot", "-5", "1e3", "9" * 5000, "\u0663"])
def test_sizes_in_extended_headers_are_held_to_digits(tmp_path, size):
    record = f" size={size}\n".encode()
    length = len(record) + len(str(len(record) + 4))
    data = str(length).encode() + record
    headers = tarfile.TarInfo("pax"), tarfile.TarInfo("train/ant/1.png")
    headers[0].type, headers[0].size = tarfile.XHDTYPE, len(data)
    path = tmp_path / "all.tar"
    padded = data + b"\0" * (-len(data) % 512)
    path.write_bytes(
        headers[0].tobuf(tarfile.USTAR_FORMAT)
        + padded
        + headers[1].tobuf(tarfile.USTAR_FORMAT)
        + b"\0" * 1024
    )
    with pytest.raises(SourceError, match=r"state the size.*train/ant/1\.png"):
        collect(path, tmp_path)


def test_a_header_that_only_names_is_small(tmp_path):
    header = tarfile.TarInfo("long")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 60 << 20
    path = tmp_path / "all.tar"
    path.write_bytes(header.tobuf(tarfile.GNU_FORMAT) + b"a" * (60 << 20))
    with pytest.raises(SourceError, match="sane size"):
        collect(path, tmp_path)
