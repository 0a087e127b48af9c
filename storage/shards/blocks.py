"""Reads one array of a shard straight into place, without zarr's event loop.

An array of a shard is one Zarr v3 chunk in the `sharding_indexed` layout: encoded blocks of rows,
then an index of their offsets and lengths. zarr-python decodes it at the cost of a coroutine and
two copies a block and allocates the result afresh; here the file's bytes are checked and each block
is decoded once, into memory that the caller reuses. What this module does not know it refuses with
`None`, and the caller takes zarr's own way.

Format: Zarr v3 core specification, "Sharding codec (version 1.0)"; checksum: CRC-32C (RFC 3720,
    section B.4).
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from google_crc32c import value as crc32c
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

_EMPTY = 2**64 - 1
_CHECKSUM = 4


class BlockFault(Exception):
    """The bytes of an array are not what its writer wrote; the message says where."""


@dataclass(frozen=True)
class BlockLayout:
    """How the rows of one array of a shard are encoded.

    Attributes:
        rows: Rows of the array.
        block_rows: Rows of a block; the last block is filled up.
        row_shape: Shape of a row.
        dtype: Numpy's name of the type, little-endian.
        slots: Blocks that the outer chunk has room for: the entries of its index.
        fill_value: Value of blocks that were left out because every element had it.
        codec: Name of the compression, or None.
    """

    rows: int
    block_rows: int
    row_shape: tuple[int, ...]
    dtype: str
    slots: int
    fill_value: bool | int | float | str
    codec: str | None

    @property
    def blocks(self) -> int:
        """Blocks of the array."""
        return -(-self.rows // self.block_rows)

    @property
    def block_bytes(self) -> int:
        """Decoded bytes of a block."""
        return (
            self.block_rows
            * int(np.prod(self.row_shape, dtype=np.int64))
            * np.dtype(self.dtype).itemsize
        )


def parse_layout(document: bytes) -> BlockLayout | None:
    """Reads an array's `zarr.json`.

    Args:
        document: Bytes of the file.

    Returns:
        The layout, or None where the array uses anything that this module does not decode.
    """
    meta = json.loads(document)
    outer = meta.get("codecs", [])
    if [codec["name"] for codec in outer] != ["sharding_indexed"]:
        return None
    config = outer[0]["configuration"]
    shape, grid, block = (
        meta["shape"],
        meta["chunk_grid"]["configuration"]["chunk_shape"],
        config["chunk_shape"],
    )
    names = [codec["name"] for codec in config["codecs"]]
    compression = names[1:-1]
    simple = (
        names[0] == "bytes"
        and names[-1] == "crc32c"
        and len(compression) <= 1
        and all(name in _DECODERS for name in compression)
        and [codec["name"] for codec in config["index_codecs"]] == ["bytes", "crc32c"]
        and config.get("index_location", "end") == "end"
        and list(block[1:]) == list(shape[1:]) == list(grid[1:])
        and grid[0] >= shape[0]
        and isinstance(meta["data_type"], str)
    )
    endian = config["codecs"][0].get("configuration", {}).get("endian", "little") if simple else ""
    if not simple or endian != "little" or np.dtype(meta["data_type"]).kind not in "biuf":
        return None
    return BlockLayout(
        rows=shape[0],
        block_rows=block[0],
        row_shape=tuple(shape[1:]),
        dtype=meta["data_type"],
        slots=grid[0] // block[0],
        fill_value=meta["fill_value"],
        codec=compression[0] if compression else None,
    )


def read_blocks(
    data: Bytes, layout: BlockLayout, *, verify: bool = True
) -> Iterator[tuple[int, Bytes | None]]:
    """Checks and yields the encoded blocks of an array.

    Args:
        data: The whole file, shape (bytes,), uint8.
        layout: Its layout.
        verify: Whether to compare the checksums; False where the whole file has been compared
            already.

    Yields:
        The block's number and its encoded bytes, or None where it holds the fill value only.

    Raises:
        BlockFault: The index or a block does not match its checksum, or lies outside of the file.
    """
    index = _read_index(data, layout, verify)
    end = len(data) - _CHECKSUM - index.nbytes
    for number, (offset, length) in enumerate(index[: layout.blocks].tolist()):
        if offset == length == _EMPTY:
            yield number, None
            continue
        if offset + length > end or length < _CHECKSUM:
            raise BlockFault(
                f"block {number} lies outside of the file (bytes {offset} to {offset + length})"
            )
        stop = offset + length - _CHECKSUM
        if verify:
            _check(data[offset:stop], data[stop : stop + _CHECKSUM], f"block {number}")
        yield number, data[offset:stop]


def decode_block(
    block: Bytes | None, layout: BlockLayout, out: NDArray[Any] | None = None
) -> NDArray[Any]:
    """Decodes one block.

    Args:
        block: Encoded bytes, as `read_blocks` yields them.
        layout: Layout of the array.
        out: Where to decode to, shape (block_rows, *row_shape), contiguous; None for fresh memory.

    Returns:
        The rows, shape (block_rows, *row_shape): `out` where it was given.

    Raises:
        BlockFault: The bytes cannot be decoded.
    """
    rows = np.empty((layout.block_rows, *layout.row_shape), layout.dtype) if out is None else out
    flat = rows.reshape(-1).view(np.uint8)
    if block is None:
        rows[...] = np.dtype(layout.dtype).type(layout.fill_value)
    elif layout.codec is None:
        if len(block) != len(flat):
            raise BlockFault(f"a block must hold {len(flat)} bytes; got {len(block)}")
        flat[:] = block
    else:
        try:
            _DECODERS[layout.codec](block, flat)
        except (RuntimeError, ValueError) as error:
            raise BlockFault(f"a block does not decode: {error}") from error
    return rows


def _read_index(data: Bytes, layout: BlockLayout, verify: bool) -> NDArray[np.uint64]:
    """Return the offset and length of each block, shape (slots, 2)."""
    size = layout.slots * 2 * 8
    if len(data) < size + _CHECKSUM:
        raise BlockFault(
            f"the file ends early: {len(data)} bytes cannot hold an index of {layout.slots} blocks"
        )
    stored = data[-size - _CHECKSUM : -_CHECKSUM]
    if verify:
        _check(stored, data[-_CHECKSUM:], "the index")
    return stored.view("<u8").reshape(-1, 2)


def _check(content: Bytes, checksum: Bytes, what: str) -> None:
    expected, got = int(checksum.view("<u4")[0]), crc32c(content)
    if expected != got:
        raise BlockFault(f"the checksum of {what} must be {expected:08x}; got {got:08x}")


def _decode_blosc(block: Bytes, out: Bytes) -> None:
    from numcodecs import Blosc

    Blosc().decode(block, out=out)


def _decode_zstd(block: Bytes, out: Bytes) -> None:
    from numcodecs import Zstd

    Zstd().decode(block, out=out)


_DECODERS: dict[str, Callable[[Bytes, Bytes], None]] = {
    "blosc": _decode_blosc,
    "zstd": _decode_zstd,
}
