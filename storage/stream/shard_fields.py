"""The fields of one split's shards, read file by file into memory that is there already.

One request fetches one array of a shard; where it is and how it is encoded stands in the manifest.
Its bytes are held against the manifest's CRC-32C and fingerprint before one of them is used: damage
is found, and so are swapped shards.
"""

import itertools
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from io import FileIO
from typing import Any

import numpy as np
from google_crc32c import extend as extend_crc32c
from numpy.typing import NDArray

from storage.base.errors import Corrupt, InvalidInput
from storage.base.store import Store, sha256_bytes
from storage.shards.blocks import (
    BlockFault,
    BlockLayout,
    Bytes,
    decode_block,
    parse_layout,
    read_blocks,
)
from storage.shards.codecs import TEXT
from storage.shards.entry import Encoding, ShardEntry
from storage.shards.reading import has_fingerprint, read_file, read_shard
from storage.stream.resident import ResidentShards, Run

# The checksum is computed while the bytes are in the processor's cache.
_READ_BYTES = 256 * 2**10
_COLUMN_THREADS = 8


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
        self,
        shards: Store,
        entries: Sequence[ShardEntry],
        name: str,
        fields: Sequence[str] | None,
        skip: Sequence[str],
    ) -> None:
        self._store, self._entries, self.name = shards, tuple(entries), name
        self.rows = tuple(entry.rows for entry in entries)
        specs = {field.name: field for field in entries[0].fields}
        fixed = [field for field in specs if specs[field].dtype != TEXT]
        wanted = (
            [field for field in fixed if field not in skip]
            if fields is None
            else list(dict.fromkeys(fields))
        )
        if not wanted or not set(wanted) <= set(fixed):
            raise InvalidInput(
                f"the fields to stream ({', '.join(wanted)}) must be fields of {name} with rows of "
                f"a fixed size; it has {', '.join(sorted(fixed))}; choose among these"
            )
        self.fields = {
            field: (np.dtype(specs[field].dtype), specs[field].shape) for field in wanted
        }
        self._layouts: dict[tuple[str, int, Encoding], BlockLayout | None] = {}
        self._scratch = _Scratch()

    @property
    def is_local(self) -> bool:
        """Whether the files are this machine's."""
        return self._store.is_local

    @property
    def row_bytes(self) -> int:
        """Bytes of a row in memory, over all fields."""
        return sum(
            dtype.itemsize * int(np.prod(shape, dtype=np.int64))
            for dtype, shape in self.fields.values()
        )

    @cached_property
    def identity(self) -> str:
        """Digest of the rows that are streamed, whatever their version is called."""
        return sha256_bytes("\n".join(entry.digest for entry in self._entries).encode())

    def has_field(self, field: str) -> bool:
        """Return whether the shards have a field."""
        return field in self._entries[0].encodings

    def read_column(self, field: str) -> NDArray[Any]:
        """Return one field of all shards, in stored order, shape (N, ...)."""
        with ThreadPoolExecutor(_COLUMN_THREADS, "lepton-column") as threads:
            parts = threads.map(
                lambda entry: read_shard(self._store, entry, [field], verify=False), self._entries
            )
            return np.concatenate([part[field] for part in parts])

    def read_into(self, shard: int, field: str, memory: ResidentShards) -> None:
        """Reads one field of one shard into its pages.

        Raises:
            Corrupt: A file is missing, or its bytes are not those that the manifest names.
        """
        entry, target = self._entries[shard], memory.arrays[field]
        layout = self._find_layout(entry, field)
        if layout is None:
            rows = read_shard(self._store, entry, [field], verify=False)[field]
            for run in memory.runs(shard):
                target[run.place : run.place + run.stop - run.start] = rows[run.start : run.stop]
            return
        data = self._read_checked(entry, entry.find_file(field).removeprefix(f"{entry.digest}/"))
        runs = memory.runs(shard)
        try:
            for number, block in read_blocks(data, layout, verify=False):
                start = number * layout.block_rows
                while runs[0].stop <= start:
                    runs.pop(0)
                _place_block(block, start, layout, runs, target)
        except BlockFault as fault:
            raise Corrupt(
                f"{entry.find_file(field)} in {self._store.display} must decode; {fault}; write it "
                "again"
            ) from fault

    def _find_layout(self, entry: ShardEntry, field: str) -> BlockLayout | None:
        key = (field, entry.rows, entry.encodings[field])
        if key not in self._layouts:
            self._layouts[key] = parse_layout(entry.describe_field(field))
        return self._layouts[key]

    def _read_checked(self, entry: ShardEntry, path: str) -> Bytes:
        """Reads all bytes of a file; valid until the thread reads the next one."""
        local = self._store.local_path(f"{entry.digest}/{path}")
        if local is not None:
            try:
                with local.open("rb", buffering=0) as file:
                    data, checksum = self._scratch.read(file)
            except OSError:
                checksum = None
            if checksum == entry.checksums[path] and has_fingerprint(entry, path, data):
                return data
        # The long way, for a remote store and for a fault that wants words.
        return np.frombuffer(read_file(self._store, entry, path, verify=False), np.uint8)


class _Scratch(threading.local):
    """A thread's memory for one file as it is stored.

    It is kept, because fresh memory costs more than the reading.
    """

    def __init__(self) -> None:
        self._memory = np.empty(0, np.uint8)

    def read(self, file: FileIO) -> tuple[Bytes, int]:
        """Return the file's bytes, and their CRC-32C."""
        size = os.fstat(file.fileno()).st_size
        if len(self._memory) < size:
            self._memory = np.empty(size, np.uint8)
        data, checksum = self._memory[:size], 0
        for start in range(0, size, _READ_BYTES):
            piece = data[start : start + _READ_BYTES]
            if file.readinto(piece.data) != len(piece):
                raise OSError(f"{file.name} ended early")
            checksum = extend_crc32c(checksum, piece)
        return data, checksum


def _place_block(
    block: Bytes | None, start: int, layout: BlockLayout, runs: list[Run], target: NDArray[Any]
) -> None:
    """Decodes one block to where its rows belong.

    Args:
        block: Encoded bytes.
        start: Its first row in the shard.
        layout: Layout of the array.
        runs: Where the shard's rows lie, from the run that has this row.
        target: Memory of the field.
    """
    end = start + layout.block_rows
    if end <= runs[0].stop:
        place = runs[0].place + start - runs[0].start
        decode_block(block, layout, target[place : place + layout.block_rows])
        return
    rows = decode_block(block, layout)
    for run in itertools.takewhile(lambda run: run.start < end, runs):
        first, last = max(run.start, start), min(run.stop, end)
        place = run.place - run.start
        target[place + first : place + last] = rows[first - start : last - start]
