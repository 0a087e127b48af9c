"""Reads shards; every byte is checked against the entry in the manifest."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from google_crc32c import value as crc32c
from numpy.typing import NDArray

from storage.base.errors import Corrupt, NotFound
from storage.base.store import Store, sha256_bytes
from storage.shards.blocks import BlockFault, BlockLayout, decode_block, parse_layout, read_blocks
from storage.shards.codecs import decode_text, fingerprint_array
from storage.shards.entry import ShardEntry, count_blocks, describe_shard
from storage.shards.row_ids import Rows

_REMEDY = (
    "restore the file from a copy, or collect and prepare the data again; `lepton datasets "
    "verify` lists all damage"
)


def read_shard(
    shards: Store, entry: ShardEntry, fields: Sequence[str] | None = None, *, verify: bool = True
) -> Rows:
    """Reads a shard into memory.

    Args:
        shards: Folder of the dataset's shards.
        entry: What the manifest says about it.
        fields: Names of the fields to read; None for all.
        verify: Whether to compare SHA-256. CRC-32C is always compared, which finds every damage
            that is not crafted.

    Returns:
        Fresh arrays of `entry.rows` rows; text as numpy's StringDType.

    Raises:
        Corrupt: A file is missing or is not what was written; names dataset, shard and file.
        InvalidInput: There is no such field.
    """
    names = [field.name for field in entry.fields] if fields is None else fields
    return {name: _read_field(shards, entry, name, verify) for name in names}


def read_file(shards: Store, entry: ShardEntry, path: str, *, verify: bool = True) -> bytes:
    """Return the bytes of one file of a shard, checked against the entry.

    Args:
        shards: Folder of the dataset's shards.
        entry: What the manifest says.
        path: Path in the shard's folder, one of `entry.files`.
        verify: Whether to compare SHA-256; an array's CRC-32C and fingerprint are always compared.

    Raises:
        Corrupt: The file is missing or is not what was written.
    """
    try:
        data = shards.read(f"{entry.digest}/{path}")
    except NotFound as error:
        raise Corrupt(
            f"{describe_shard(shards, entry)}: file {path} must have sha256 {entry.files[path]}; "
            f"got no file; {_REMEDY}"
        ) from error
    checked = verify or path not in entry.checksums
    same = (
        sha256_bytes(data) == entry.files[path]
        if checked
        else crc32c(data) == entry.checksums[path]
    )
    if not same or not has_fingerprint(entry, path, data):
        raise Corrupt(
            f"{describe_shard(shards, entry)}: file {path} must have sha256 {entry.files[path]}; "
            f"got {sha256_bytes(data)} ({len(data)} bytes); {_REMEDY}"
        )
    return data


def has_fingerprint(entry: ShardEntry, path: str, data: bytes | NDArray[np.uint8]) -> bool:
    """Return whether a file is the one that an entry means, and not one of another shard.

    A matching CRC-32C alone does not say so: a file whose parts each end with their own CRC has the
    same CRC-32C as any other such file of its layout.
    """
    if path not in entry.fingerprints:
        return True
    encoding = entry.encodings[path.rpartition("/")[0]]
    return fingerprint_array(data, count_blocks(entry.rows, encoding)) == entry.fingerprints[path]


def _read_field(shards: Store, entry: ShardEntry, name: str, verify: bool) -> NDArray[Any]:
    data = read_file(
        shards, entry, entry.find_file(name).removeprefix(f"{entry.digest}/"), verify=verify
    )
    layout = parse_layout(entry.describe_field(name))
    try:
        if layout is None:
            return _decode_text(data, entry, name)
        return _decode_numbers(data, layout)
    except BlockFault as error:
        path = entry.find_file(name).removeprefix(f"{entry.digest}/")
        raise Corrupt(
            f"{describe_shard(shards, entry)}: file {path}: {error}; {_REMEDY}"
        ) from error


def _decode_numbers(data: bytes, layout: BlockLayout) -> NDArray[Any]:
    out = np.empty((layout.blocks * layout.block_rows, *layout.row_shape), layout.dtype)
    for number, block in read_blocks(np.frombuffer(data, np.uint8), layout, verify=False):
        decode_block(
            block, layout, out[number * layout.block_rows : (number + 1) * layout.block_rows]
        )
    return out[: layout.rows]


def _decode_text(data: bytes, entry: ShardEntry, name: str) -> NDArray[Any]:
    encoding = entry.encodings[name]
    slots = count_blocks(entry.rows, encoding)
    layout = BlockLayout(entry.rows, encoding.block_rows, (), "uint8", slots, "", encoding.codec)
    blocks = [
        decode_text(block, encoding.codec)
        for _, block in read_blocks(np.frombuffer(data, np.uint8), layout)
        if block is not None
    ]
    return np.concatenate(blocks)[: entry.rows]
