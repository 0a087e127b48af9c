"""Blocks: the same rows as zarr reads, and no changed byte goes unseen."""

import json

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.codecs import BloscCodec, Crc32cCodec, ZstdCodec

from storage.shards.blocks import BlockFault, decode_block, parse_layout, read_blocks

CODECS = {
    "none": [],
    "zstd": [ZstdCodec(level=1)],
    "lz4": [BloscCodec(cname="lz4", clevel=5, shuffle="noshuffle")],
}


def write_array(path, rows, block_rows, codec="lz4", slack=0):
    blocks = -(-len(rows) // block_rows) + slack
    array = zarr.create_array(
        path,
        shape=rows.shape,
        dtype=rows.dtype,
        chunks=(block_rows, *rows.shape[1:]),
        shards=(block_rows * blocks, *rows.shape[1:]),
        compressors=[*CODECS[codec], Crc32cCodec()],
    )
    array[:] = rows
    file = path / "c" / "/".join("0" * rows.ndim)
    return parse_layout((path / "zarr.json").read_bytes()), file


def read_array(data, layout):
    return np.concatenate(
        [
            decode_block(block, layout)
            for _, block in read_blocks(np.frombuffer(data, np.uint8), layout)
        ]
    )


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", "bool", "uint64"])
@pytest.mark.parametrize("rows", [1, 63, 64, 65, 300])
def test_reads_what_zarr_wrote(tmp_path, codec, dtype, rows):
    values = (
        np.random.default_rng(0)
        .integers(0, 2 if dtype == "bool" else 200, (rows, 3, 2))
        .astype(dtype)
    )
    layout, file = write_array(tmp_path / "a", values, 64, codec)
    read = read_array(file.read_bytes(), layout)[:rows]
    assert read.dtype == values.dtype
    np.testing.assert_array_equal(read, values)


@pytest.mark.parametrize("slack", [0, 3])
def test_blocks_that_were_left_out_hold_the_fill_value(tmp_path, slack):
    values = np.zeros((200, 4), np.float32)
    values[70] = 1
    layout, file = write_array(tmp_path / "a", values, 64, slack=slack)
    assert [
        block is None
        for _, block in read_blocks(np.frombuffer(file.read_bytes(), np.uint8), layout)
    ] == [
        True,
        False,
        True,
        True,
    ]
    np.testing.assert_array_equal(read_array(file.read_bytes(), layout)[:200], values)


@given(position=st.integers(0, 10**9), bit=st.integers(0, 7))
@settings(deadline=None, max_examples=200)
def test_every_flipped_bit_is_found(shard_file, position, bit):
    layout, data = shard_file
    changed = bytearray(data)
    changed[position % len(data)] ^= 1 << bit
    with pytest.raises(BlockFault):
        read_array(bytes(changed), layout)


@given(length=st.integers(0, 10**9))
@settings(deadline=None, max_examples=50)
def test_every_truncation_is_found(shard_file, length):
    layout, data = shard_file
    with pytest.raises(BlockFault):
        read_array(data[: length % len(data)], layout)


@pytest.fixture(scope="module")
def shard_file(tmp_path_factory):
    values = np.random.default_rng(1).integers(0, 9, (150, 5)).astype(np.uint8)
    layout, file = write_array(tmp_path_factory.mktemp("a") / "a", values, 64)
    return layout, file.read_bytes()


@pytest.mark.parametrize(
    "change",
    [
        lambda meta: meta["codecs"][0]["configuration"].update(index_location="start"),
        lambda meta: meta["codecs"][0]["configuration"]["codecs"].pop(),
        lambda meta: meta["codecs"][0]["configuration"]["codecs"].insert(1, {"name": "transpose"}),
        lambda meta: meta["codecs"][0]["configuration"]["codecs"][0].update(
            configuration={"endian": "big"}
        ),
        lambda meta: meta.update(codecs=[{"name": "bytes"}]),
        lambda meta: meta.update(data_type={"name": "fixed_length_utf32"}),
        lambda meta: meta["codecs"][0]["configuration"].update(chunk_shape=[64, 1]),
    ],
)
def test_an_unknown_layout_is_left_to_zarr(tmp_path, change):
    write_array(tmp_path / "a", np.ones((10, 2), np.uint8), 64)
    meta = json.loads((tmp_path / "a" / "zarr.json").read_bytes())
    change(meta)
    assert parse_layout(json.dumps(meta).encode()) is None
