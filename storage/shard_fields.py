"""The fields of one split's shards, read file by file into memory that is there already.

One request fetches one array of a shard; where it is and how it is encoded stands in the manifest. Its bytes are held
against the manifest's CRC-32C before one of them is used: damage is found, and so are two shards that were swapped.
"""

import os
import threading
from collections.abc import Sequence
from functools import cached_property
from typing import Any, BinaryIO

import numpy as np
from google_crc32c import extend as extend_crc32c
from numpy.typing import NDArray

from storage.blocks import BlockFault, BlockLayout, Bytes, decode_block, parse_layout, read_blocks
from storage.errors import Corrupt, InvalidInput
from storage.files import Store, sha256_bytes
from storage.resident import ResidentShards
from storage.shards import TEXT, ShardEntry, read_file, read_shard

# The checksum is computed while the bytes are in the processor's cache.
_READ_BYTES = 256 * 2**10


class ShardFields:
    """Reads fields of shards.

    Args:
        shards: Folder of the dataset's shards.
        entries: The shards, each with rows; not empty.
        name: What messages call them.
        fields: Names of the fields; None for all of a fixed size, but those skipped.
        skip: Fields that are read only if they are asked for by name.

    Attributes:
        rows: Rows of each shard.
        fields: Type and row shape of each field.

    Raises:
        InvalidInput: There is no such field, or a row of it has no fixed size.
    """

    def __init__(
        self, shards: Store, entries: Sequence[ShardEntry], name: str, fields: Sequence[str] | None, skip: Sequence[str]
    ) -> None:
        self._store, self._entries, self.name = shards, tuple(entries), name
        self.rows = tuple(entry.rows for entry in entries)
        specs = {field.name: field for field in entries[0].fields}
        fixed = [field for field in specs if specs[field].dtype != TEXT]
        wanted = [field for field in fixed if field not in skip] if fields is None else list(dict.fromkeys(fields))
        if not wanted or not set(wanted) <= set(fixed):
            raise InvalidInput(
                f"the fields to stream ({', '.join(wanted)}) must be fields of {name} with rows of a fixed size; "
                f"it has {', '.join(sorted(fixed))}; choose among these"
            )
        self.fields = {field: (np.dtype(specs[field].dtype), specs[field].shape) for field in wanted}
        self._layouts: dict[bytes, BlockLayout | None] = {}
        self._scratch = _Scratch()

    @property
    def row_bytes(self) -> int:
        """Bytes of a row in memory, over all fields."""
        return sum(dtype.itemsize * int(np.prod(shape, dtype=np.int64)) for dtype, shape in self.fields.values())

    @cached_property
    def identity(self) -> str:
        """Digest of the rows that are streamed, whatever their version is called."""
        return sha256_bytes("\n".join(entry.digest for entry in self._entries).encode())

    def read_column(self, field: str) -> NDArray[Any]:
        """One field of all shards, in stored order, shape (N, ...)."""
        return np.concatenate([read_shard(self._store, entry, [field], verify=False)[field] for entry in self._entries])

    def read_into(self, shard: int, field: str, memory: ResidentShards) -> None:
        """Reads one field of one shard into its pages.

        Raises:
            Corrupt: A file is missing, or its bytes are not those that the manifest names.
        """
        entry, target = self._entries[shard], memory.arrays[field]
        layout = self._find_layout(entry, field)
        if layout is None:
            rows = read_shard(self._store, entry, [field], verify=False)[field]
            for start, stop, place in memory.runs(shard, 0, entry.rows):
                target[place : place + stop - start] = rows[start:stop]
            return
        data = self._read_checked(entry, entry.find_file(field).removeprefix(f"{entry.digest}/"))
        try:
            for number, block in read_blocks(data, layout, verify=False):
                start = number * layout.block_rows
                _place_block(block, start, layout, list(memory.runs(shard, start, entry.rows)), target)
        except BlockFault as fault:
            raise Corrupt(f"{entry.find_file(field)} in {self._store.display} must decode; {fault}; write it again") from fault

    def _find_layout(self, entry: ShardEntry, field: str) -> BlockLayout | None:
        document = entry.describe_field(field)
        if document not in self._layouts:
            self._layouts[document] = parse_layout(document)
        return self._layouts[document]

    def _read_checked(self, entry: ShardEntry, path: str) -> Bytes:
        """All bytes of a file; valid until the thread reads the next one."""
        local = self._store.local_path(f"{entry.digest}/{path}")
        if local is not None:
            try:
                with local.open("rb", buffering=0) as file:
                    data, checksum = self._scratch.read(file)
            except OSError:
                checksum = None
            if checksum == entry.checksums.get(path, -1):
                return data
        # The long way, for a remote store and for a fault that wants words.
        return np.frombuffer(read_file(self._store, entry, path, verify=False), np.uint8)


class _Scratch(threading.local):
    """A thread's memory for one file as it is stored; kept, because fresh memory costs more than the reading."""

    def __init__(self) -> None:
        self._memory = np.empty(0, np.uint8)

    def read(self, file: BinaryIO) -> tuple[Bytes, int]:
        """The file's bytes, and their CRC-32C."""
        size = os.fstat(file.fileno()).st_size
        if len(self._memory) < size:
            self._memory = np.empty(size, np.uint8)
        data, checksum = self._memory[:size], 0
        for start in range(0, size, _READ_BYTES):
            piece = data[start : start + _READ_BYTES]
            if file.readinto(piece) != len(piece):
                raise OSError(f"{file.name} ended early")
            checksum = extend_crc32c(checksum, piece)
        return data, checksum


def _place_block(
    block: Bytes | None, start: int, layout: BlockLayout, runs: list[tuple[int, int, int]], target: NDArray[Any]
) -> None:
    """Decodes one block to where its rows belong.

    Args:
        block: Encoded bytes.
        start: Its first row in the shard.
        layout: Layout of the array.
        runs: Where the shard's rows lie from there on: first row, row after the last, place in `target`.
        target: Memory of the field.
    """
    stop = min(start + layout.block_rows, layout.rows)
    first, last, place = runs[0]
    if last >= start + layout.block_rows:
        decode_block(block, layout, target[place : place + layout.block_rows])
        return
    rows = decode_block(block, layout)
    for first, last, place in runs:
        count = min(last, stop) - first
        if count <= 0:
            break
        target[place : place + count] = rows[first - start : first - start + count]
