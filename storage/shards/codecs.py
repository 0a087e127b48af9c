"""Encodes one array of a shard as one Zarr v3 shard file, and describes it as `zarr.json` does.

The bytes are those that zarr-python writes for the same array (a test holds them side by side),
made without its event loop and its two copies a chunk. They depend on the rows and the codec only,
never on a version of a library's metadata, so equal rows have equal digests.
`storage.shards.blocks` is the way back.

Format: Zarr v3 core specification; "Sharding codec (version 1.0)"; checksum CRC-32C (RFC 3720,
    section B.4).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
from google_crc32c import value as crc32c
from numpy.typing import NDArray

from storage.base.errors import InvalidInput

Codec = Literal["none", "lz4", "zstd"]
CODECS: tuple[Codec, ...] = ("none", "lz4", "zstd")
TEXT = "string"

_BLOCK_BYTES = 256 * 1024
_SAMPLE_BLOCKS = 3
_ZSTD_LEVEL = 1
_LZ4_LEVEL = 5
# Nanoseconds to decode a byte, measured once on images, labels and floats. Constants, because a
# choice by the clock would give equal rows different bytes.
_DECODE_NS: dict[Codec, float] = {"none": 0.15, "lz4": 0.5, "zstd": 1.25}
# Nanoseconds to fetch a stored byte: 500 MB/s from a disk, 100 MB/s over a network.
DISK_NS = 2.0
NETWORK_NS = 10.0


def choose_block_rows(rows: int, row_bytes: int) -> int:
    """Chooses the rows of a block: about 256 KiB decoded, of nearly equal length."""
    blocks = max(1, -(-rows * row_bytes // _BLOCK_BYTES))
    return max(1, -(-rows // blocks))


def choose_codec(values: NDArray[Any], fetch_ns: float) -> Codec:
    """Chooses the codec with which an array is read fastest, by compressing a sample of it.

    Args:
        values: Rows, shape (N, ...), N > 0.
        fetch_ns: What fetching a stored byte costs, in nanoseconds: `DISK_NS` or `NETWORK_NS`.
    """
    block_rows = choose_block_rows(len(values), _count_row_bytes(values))
    starts = range(0, len(values), block_rows)
    sample = [
        starts[i]
        for i in np.linspace(0, len(starts) - 1, min(_SAMPLE_BLOCKS, len(starts)), dtype=int)
    ]
    blocks = [_to_bytes(values[start : start + block_rows]) for start in sample]
    plain = max(1, sum(len(block) for block in blocks))

    def estimate_cost(codec: Codec) -> float:
        stored = sum(len(_compress(block, codec, values)) for block in blocks)
        return _DECODE_NS[codec] + fetch_ns * stored / plain

    return min(CODECS, key=estimate_cost)


def encode_array(values: NDArray[Any], codec: Codec, block_rows: int) -> bytes:
    """Encodes an array as one Zarr shard file.

    Encoded blocks, each followed by its checksum, then the index of offsets and its checksum.

    Args:
        values: Rows, shape (N, ...), N > 0, little-endian or text.
        codec: Name of the compression.
        block_rows: Rows of a block; the last one is filled up with zeros.
    """
    parts: list[bytes] = []
    index: list[int] = []
    offset = 0
    for block in _iter_blocks(values, block_rows):
        encoded = _compress(_to_bytes(block), codec, values)
        parts += [encoded, crc32c(encoded).to_bytes(4, "little")]
        index += [offset, len(encoded) + 4]
        offset += len(encoded) + 4
    table = np.array(index, "<u8").tobytes()
    return b"".join([*parts, table, crc32c(table).to_bytes(4, "little")])


def fingerprint_array(data: bytes | NDArray[np.uint8], slots: int) -> int | None:
    """Return a number that tells one array's file from another's, from its checksums.

    It reads no block.

    It is the CRC-32C over the index and the checksums of the blocks. (That of the whole file would
    be useless: of bytes that end with their own CRC the CRC is a constant.) Together with the check
    of each block it ties the data to an entry.

    Args:
        data: The whole file.
        slots: Blocks in its index.

    Returns:
        32 bits, or None where the index is damaged.
    """
    start = len(data) - 4 - 16 * slots
    if start < 0 or crc32c(data[start:-4]) != int.from_bytes(data[-4:], "little"):
        return None
    index = np.frombuffer(data, "<u8", 2 * slots, start).reshape(slots, 2)
    ends = index.sum(axis=1, dtype=np.uint64)
    if (index > start).any() or (ends > start).any() or (ends < 4).any():
        return None
    view = data.data if isinstance(data, np.ndarray) else memoryview(data)
    words = b"".join(view[end - 4 : end] for end in ends.tolist())
    return int(crc32c(words + bytes(view[start:-4])))


def describe_array(
    dtype: str,
    row_shape: Sequence[int],
    rows: int,
    codec: Codec,
    block_rows: int,
    columns: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the document `zarr.json` of an array that `encode_array` wrote.

    Args:
        dtype: Numpy's name of the type, or "string".
        row_shape: Shape of a row.
        rows: Rows of the array.
        codec: Name of the compression.
        block_rows: Rows of a block.
        columns: Names along the row's first axis, kept as an attribute.
    """
    slots = -(-rows // block_rows)
    inner = [_describe_bytes(dtype), *_describe_compression(codec, dtype), {"name": "crc32c"}]
    index: list[dict[str, Any]] = [
        {"name": "bytes", "configuration": {"endian": "little"}},
        {"name": "crc32c"},
    ]
    sharding = {
        "chunk_shape": [block_rows, *row_shape],
        "codecs": inner,
        "index_codecs": index,
        "index_location": "end",
    }
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [rows, *row_shape],
        "data_type": dtype,
        "chunk_grid": {
            "name": "regular",
            "configuration": {"chunk_shape": [slots * block_rows, *row_shape]},
        },
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
        "fill_value": _get_fill_value(dtype),
        "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
        "attributes": {"columns": list(columns)} if columns else {},
        "storage_transformers": [],
    }


def name_chunk(dimensions: int) -> str:
    """Return the name of the one chunk of an array, beside its `zarr.json`."""
    return ".".join(["c", *["0"] * dimensions])


def decode_text(block: bytes | NDArray[np.uint8], codec: Codec) -> NDArray[Any]:
    """Return the text rows of one encoded block, as `storage.shards.blocks.read_blocks` yields it.

    Returns:
        Shape (block_rows,), numpy's StringDType.
    """
    import numcodecs

    plain = (
        block
        if codec == "none"
        else (numcodecs.Blosc() if codec == "lz4" else numcodecs.Zstd()).decode(block)
    )
    decoded = numcodecs.VLenUTF8().decode(np.frombuffer(plain, np.uint8))
    return np.asarray(decoded, np.dtypes.StringDType())


def _iter_blocks(values: NDArray[Any], block_rows: int) -> Iterator[NDArray[Any]]:
    for start in range(0, len(values), block_rows):
        block = values[start : start + block_rows]
        if len(block) < block_rows:
            block = np.concatenate(
                [block, np.zeros((block_rows - len(block), *values.shape[1:]), values.dtype)]
            )
        yield block


def _to_bytes(block: NDArray[Any]) -> bytes | NDArray[np.uint8]:
    if block.dtype.kind == "T":
        import numcodecs

        return bytes(numcodecs.VLenUTF8().encode(block.reshape(-1).astype(object)))
    return np.ascontiguousarray(block).reshape(-1).view(np.uint8)


def _compress(block: bytes | NDArray[np.uint8], codec: Codec, values: NDArray[Any]) -> bytes:
    return _COMPRESSORS[codec](block, _get_item_bytes(values.dtype))


def _compress_none(block: bytes | NDArray[np.uint8], item_bytes: int) -> bytes:
    return bytes(block)


def _compress_lz4(block: bytes | NDArray[np.uint8], item_bytes: int) -> bytes:
    import numcodecs

    shuffle = numcodecs.Blosc.SHUFFLE if item_bytes > 1 else numcodecs.Blosc.NOSHUFFLE
    codec = numcodecs.Blosc(
        cname="lz4", clevel=_LZ4_LEVEL, shuffle=shuffle, blocksize=0, typesize=item_bytes
    )
    return bytes(codec.encode(block))


def _compress_zstd(block: bytes | NDArray[np.uint8], item_bytes: int) -> bytes:
    import numcodecs

    return bytes(numcodecs.Zstd(level=_ZSTD_LEVEL).encode(block))


_COMPRESSORS: dict[Codec, Callable[[bytes | NDArray[np.uint8], int], bytes]] = {
    "none": _compress_none,
    "lz4": _compress_lz4,
    "zstd": _compress_zstd,
}


def _describe_bytes(dtype: str) -> dict[str, Any]:
    if dtype == TEXT:
        return {"name": "vlen-utf8", "configuration": {}}
    if np.dtype(dtype).itemsize == 1:
        return {"name": "bytes"}
    return {"name": "bytes", "configuration": {"endian": "little"}}


def _describe_compression(codec: Codec, dtype: str) -> list[dict[str, Any]]:
    if codec == "zstd":
        return [{"name": "zstd", "configuration": {"level": _ZSTD_LEVEL, "checksum": False}}]
    if codec == "lz4":
        item_bytes = 1 if dtype == TEXT else np.dtype(dtype).itemsize
        shuffle = "shuffle" if item_bytes > 1 else "noshuffle"
        config = {
            "typesize": item_bytes,
            "cname": "lz4",
            "clevel": _LZ4_LEVEL,
            "shuffle": shuffle,
            "blocksize": 0,
        }
        return [{"name": "blosc", "configuration": config}]
    return []


def _get_fill_value(dtype: str) -> str | bool | int | float:
    if dtype == TEXT:
        return ""
    kind = np.dtype(dtype).kind
    return False if kind == "b" else 0.0 if kind == "f" else 0


def _get_item_bytes(dtype: np.dtype[Any]) -> int:
    return 1 if dtype.kind == "T" else dtype.itemsize


def _count_row_bytes(values: NDArray[Any]) -> int:
    """Return the mean encoded bytes of a row."""
    if values.dtype.kind == "T":
        return 4 + int(np.strings.str_len(values).sum()) // max(1, len(values))
    return max(1, values.nbytes // max(1, len(values)))


def check_codec(name: str) -> Codec:
    """Return a codec by its name.

    Raises:
        InvalidInput: There is no such codec.
    """
    for codec in CODECS:
        if codec == name:
            return codec
    raise InvalidInput(
        f"a codec ({name!r}) must be one of {', '.join(CODECS)}, or auto; choose one of these"
    )
