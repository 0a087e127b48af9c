"""Shards: the same rows back, the same bytes for the same rows, plain Zarr for everyone, and no
damage goes unseen.
"""

import json
import os
import shutil
import signal
import time

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from zarr.codecs import BloscCodec, Crc32cCodec, ZstdCodec
from zarr.storage import MemoryStore

from storage.base.errors import Corrupt, InvalidInput
from storage.base.store import Store, canonical_json, sha256_bytes
from storage.shards.codecs import (
    CODECS,
    DISK_NS,
    NETWORK_NS,
    choose_codec,
    describe_array,
    encode_array,
    name_chunk,
)
from storage.shards.entry import ShardEntry, Span, digest_files
from storage.shards.reading import read_shard
from storage.shards.statistics import compute_statistics
from storage.shards.writing import write_shard

TEXT = np.dtypes.StringDType()


def make_rows(count=300, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "image": rng.integers(0, 255, (count, 1, 28, 28), np.uint8),
        "label": rng.integers(0, 10, count),
        "weight": rng.normal(size=(count, 3)).astype(np.float32),
        "weight__valid": rng.random((count, 3)) > 0.1,
        "flag": rng.random(count) > 0.5,
        "name": np.array([f"räw {i}" * (i % 3) for i in range(count)]),
        "row_id": rng.integers(0, 2**64, count, np.uint64),
    }


@pytest.fixture
def shards(tmp_path):
    return Store(tmp_path / "datasets" / "demo" / "shards")


@pytest.fixture
def entry(shards):
    return write_shard(shards, make_rows(), split="train", columns={"weight": ["a", "b", "c"]})


def assert_equal(read, rows):
    assert read.keys() == rows.keys()
    for name, expected in rows.items():
        assert read[name].shape == expected.shape
        assert read[name].dtype == (TEXT if expected.dtype.kind in "UT" else expected.dtype)
        np.testing.assert_array_equal(read[name], expected.astype(read[name].dtype))


@pytest.mark.parametrize("codec", [*CODECS, "auto"])
@pytest.mark.parametrize("count", [1, 2, 300, 3000])
def test_the_same_rows_come_back(shards, codec, count):
    rows = make_rows(count)
    entry = write_shard(shards, rows, split="train", codec=codec)
    assert (entry.rows, entry.split) == (count, "train")
    assert_equal(read_shard(shards, entry), rows)
    assert_equal(read_shard(shards, entry, verify=False), rows)
    assert_equal(
        read_shard(shards, entry, ["label", "name"]),
        {name: rows[name] for name in ("label", "name")},
    )


@settings(deadline=None, max_examples=60)
@given(
    values=st.sampled_from(list("?bBhHiIqQefd")).flatmap(
        lambda dtype: arrays.arrays(np.dtype(dtype), arrays.array_shapes(min_side=1, max_dims=4))
    ),
    codec=st.sampled_from([*CODECS, "auto"]),
)
def test_any_numbers_come_back_bit_for_bit(tmp_path_factory, values, codec):
    shards = Store(tmp_path_factory.mktemp("shards"))
    read = read_shard(shards, write_shard(shards, {"x": values}, codec=codec))["x"]
    assert (read.dtype, read.tobytes()) == (values.dtype, values.tobytes())


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1), st.sampled_from(CODECS)
)
def test_any_text_comes_back(tmp_path_factory, texts, codec):
    shards = Store(tmp_path_factory.mktemp("shards"))
    read = read_shard(shards, write_shard(shards, {"x": np.array(texts, TEXT)}, codec=codec))["x"]
    assert read.tolist() == texts


def test_equal_rows_are_one_shard(shards, entry):
    files = shards.list()
    again = write_shard(shards, make_rows(), split="train", columns={"weight": ["a", "b", "c"]})
    assert again == entry
    assert shards.list() == files
    swapped = {name: np.asfortranarray(array) for name, array in reversed(make_rows().items())}
    big = {
        name: array.astype(array.dtype.newbyteorder(">"))
        for name, array in swapped.items()
        if array.dtype.kind in "iuf"
    }
    assert (
        write_shard(shards, {**swapped, **big}, columns={"weight": ["a", "b", "c"]}).digest
        == entry.digest
    )


def test_other_rows_codecs_and_names_are_other_shards(shards, entry):
    rows = make_rows()
    changed = {**rows, "label": rows["label"] + 1}
    others = [
        write_shard(shards, changed, columns={"weight": ["a", "b", "c"]}),
        write_shard(shards, rows),
        write_shard(
            shards, {**{k: v for k, v in rows.items() if k != "flag"}, "flags": rows["flag"]}
        ),
        write_shard(shards, rows, codec="none"),
        write_shard(shards, rows, codec="zstd"),
    ]
    assert len({entry.digest, *(other.digest for other in others)}) == 6


def test_digest_is_that_of_the_files(shards, entry):
    found = {
        path.removeprefix(f"{entry.digest}/"): sha256_bytes(shards.read(path))
        for path in shards.list()
    }
    assert found == entry.files
    assert (
        entry.digest
        == digest_files(found)
        == sha256_bytes(canonical_json(sorted([p, d] for p, d in found.items())))
    )
    assert entry.size_bytes == sum(shards.size(path) for path in shards.list())


def test_an_entry_survives_json(entry):
    assert ShardEntry.model_validate_json(canonical_json(entry.model_dump(mode="json"))) == entry


def test_zarr_opens_a_shard(shards, entry):
    group = zarr.open_group(shards.address(entry.digest), mode="r")
    rows = make_rows()
    assert sorted(group.array_keys()) == sorted(rows)
    for name, expected in rows.items():
        np.testing.assert_array_equal(group[name][:], expected.astype(group[name].dtype))
        assert group[name].shards[0] >= entry.rows
    assert group["weight"].attrs["columns"] == ["a", "b", "c"]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "float32", "int64", "string"])
@pytest.mark.parametrize(("rows", "block_rows"), [(100, 100), (100, 17), (7, 1)])
def test_bytes_are_those_of_zarr(codec, dtype, rows, block_rows):
    values = (
        np.random.default_rng(0)
        .integers(0, 2, (rows, 3))
        .astype("uint8" if dtype == "string" else dtype)
    )
    values = np.array([f"{row}" for row in values], TEXT) if dtype == "string" else values
    size = 1 if dtype == "string" else values.dtype.itemsize
    shuffle = "shuffle" if size > 1 else "noshuffle"
    compressors = {
        "none": [],
        "zstd": [ZstdCodec(level=1, checksum=False)],
        "lz4": [BloscCodec(cname="lz4", clevel=5, shuffle=shuffle, typesize=size)],
    }
    store = MemoryStore()
    array = zarr.create_array(
        store,
        shape=values.shape,
        dtype=values.dtype,
        chunks=(block_rows, *values.shape[1:]),
        shards=(-(-rows // block_rows) * block_rows, *values.shape[1:]),
        compressors=[*compressors[codec], Crc32cCodec()],
        filters=None,
        chunk_key_encoding={"name": "default", "separator": "."},
        config={"write_empty_chunks": True},
    )
    array[...] = values
    written = {name: value.to_bytes() for name, value in store._store_dict.items()}
    assert encode_array(values, codec, block_rows) == written[name_chunk(values.ndim)]
    document = describe_array(dtype, values.shape[1:], rows, codec, block_rows)
    assert document == json.loads(written["zarr.json"])


def test_the_codec_is_chosen_by_a_sample():
    rng = np.random.default_rng(0)
    noise, labels = rng.integers(0, 256, (5000, 784), np.uint8), rng.integers(0, 10, 5000)
    four = rng.choice(np.array([0, 1, 4, 9], np.uint8), (5000, 784))
    for fetch_ns in (DISK_NS, NETWORK_NS):
        assert choose_codec(noise, fetch_ns) == "none"
        assert choose_codec(labels, fetch_ns) == "lz4"
        assert choose_codec(np.zeros(1, np.uint8), fetch_ns) == "none"
    assert (choose_codec(four, DISK_NS), choose_codec(four, NETWORK_NS)) == ("lz4", "zstd")
    assert len({choose_codec(labels, DISK_NS) for _ in range(5)}) == 1


def test_statistics_source_and_columns_are_in_the_entry(shards):
    rows = make_rows()
    source = (Span(name="train-images", start=5, stop=305),)
    entry = write_shard(shards, rows, source=source, columns={"weight": ["a", "b", "c"]})
    assert entry.source == source
    assert entry.find_field("weight").columns == ("a", "b", "c")
    assert entry.statistics["label"] == compute_statistics(rows["label"])
    assert entry.statistics["weight"] == compute_statistics(rows["weight"], rows["weight__valid"])
    assert entry.statistics["weight.b"] == compute_statistics(
        rows["weight"][:, 1].copy(), rows["weight__valid"][:, 1]
    )
    assert entry.statistics["row_id"].min is None


@pytest.mark.parametrize(
    ("rows", "columns", "message"),
    [
        ({}, {}, "no field"),
        ({"x": np.zeros(0)}, {}, "leave empty shards out"),
        ({"x": np.zeros(3), "y": np.zeros(4)}, {}, "one length"),
        ({"x": np.array(3.0)}, {}, "one length"),
        ({"x": np.zeros(3, complex)}, {}, "complex128"),
        ({"x": np.zeros(3, "datetime64[ns]")}, {}, "int64 nanoseconds"),
        ({"x": np.zeros(3, np.longdouble)}, {}, "at most 8 bytes"),
        ({"x": np.array(["a", None], object)}, {}, "x__valid"),
        ({"x": np.array([["a"]])}, {}, "one text a row"),
        ({"../x": np.zeros(3)}, {}, "name of a field"),
        ({"": np.zeros(3)}, {}, "name of a field"),
        ({"x": np.zeros(3), "x__valid": np.zeros(3)}, {}, "validity mask"),
        ({"x": np.zeros((3, 2)), "x__valid": np.zeros((3, 1), bool)}, {}, "validity mask"),
        ({"x__valid": np.zeros(3, bool)}, {}, "validity mask"),
        ({"x": np.zeros((3, 2))}, {"x": ["a"]}, "different names"),
        ({"x": np.zeros((3, 2))}, {"x": ["a", "a"]}, "different names"),
    ],
)
def test_rows_that_cannot_be_stored_are_refused(shards, rows, columns, message):
    with pytest.raises(InvalidInput, match=message):
        write_shard(shards, rows, columns=columns)
    assert shards.list() == []


def test_an_unknown_codec_or_field_is_refused(shards, entry):
    with pytest.raises(InvalidInput, match=r"'brotli'.*none, lz4, zstd"):
        write_shard(shards, make_rows(), codec="brotli")
    with pytest.raises(InvalidInput, match=r"'nope'.*image"):
        read_shard(shards, entry, ["nope"])


@pytest.mark.parametrize("verify", [True, False])
def test_every_flipped_bit_is_found_and_the_file_named(shards, entry, verify):
    rng = np.random.default_rng(0)
    for field in entry.fields:
        path = entry.find_file(field.name)
        data = shards.read(path)
        for position in {0, len(data) - 1, *rng.integers(0, len(data), 20).tolist()}:
            changed = bytearray(data)
            changed[position] ^= 1 << int(rng.integers(8))
            shards.write(path, bytes(changed))
            with pytest.raises(Corrupt) as caught:
                read_shard(shards, entry, verify=verify)
            for part in ("demo", entry.digest, path.partition("/")[2], "must ", "got "):
                assert part in str(caught.value)
        shards.write(path, data)
    read_shard(shards, entry, verify=verify)


@pytest.mark.parametrize("verify", [True, False])
def test_a_missing_or_short_file_never_reads_as_zeros(shards, entry, verify):
    for path in (entry.find_file(field.name) for field in entry.fields):
        data = shards.read(path)
        for damaged in (b"", data[:-1], data[: len(data) // 2], data + b"\0"):
            shards.write(path, damaged)
            with pytest.raises(Corrupt):
                read_shard(shards, entry, verify=verify)
        shards.delete(path)
        with pytest.raises(Corrupt, match="got no file"):
            read_shard(shards, entry, verify=verify)
        shards.write(path, data)


@pytest.mark.parametrize("verify", [True, False])
def test_swapped_shards_are_found(shards, entry, verify):
    other = write_shard(
        shards, make_rows(seed=1), split="train", columns={"weight": ["a", "b", "c"]}
    )
    first, second = (shards.local_path(digest) for digest in (entry.digest, other.digest))
    shutil.move(first, f"{first}.x")
    shutil.move(second, first)
    shutil.move(f"{first}.x", second)
    for swapped in (entry, other):
        with pytest.raises(Corrupt):
            read_shard(shards, swapped, ["label"], verify=verify)


def test_reading_costs_one_request_an_array(shards, entry, monkeypatch):
    asked = []
    read = Store.read
    monkeypatch.setattr(Store, "read", lambda self, path: asked.append(path) or read(self, path))
    read_shard(shards, entry, ["image", "label"])
    assert asked == [entry.find_file("image"), entry.find_file("label")]


def test_a_killed_writer_leaves_no_half_file(shards):
    """What exists under its final name is complete: the digests of all files of a partial shard are
    right.
    """
    rows = make_rows(2000)
    entry = write_shard(shards, rows)
    shutil.rmtree(shards.local_path())
    pid = os.fork()
    if pid == 0:
        try:
            while True:
                write_shard(shards, rows)
        finally:
            os._exit(1)
    time.sleep(0.3)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    for path in shards.list():
        assert sha256_bytes(shards.read(path)) == entry.files[path.partition("/")[2]]
