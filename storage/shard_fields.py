"""The fields of one split's shards, read file by file into memory that is there already.

A file is read with one request and held against the manifest before a byte of it is used. The metadata of an array
differs between shards only by the number of rows: it is worked out from the first one that was read, and taken if
its digest is the manifest's, so that a remote store is asked for data alone.
"""

import json
import threading
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.blocks import BlockFault, BlockLayout, Bytes, decode_block, parse_layout, read_blocks
from storage.errors import Corrupt, InvalidInput, NotFound
from storage.files import sha256_bytes
from storage.resident import ResidentShards
from storage.shards import read_shard
from storage.versions import Version


class ShardFields:
    """Reads fields of a split's shards.

    Args:
        version: The version.
        split: Name of the split.
        fields: Names of the fields; None for all but those skipped.
        skip: Fields that are read only if they are asked for by name.

    Attributes:
        name: The split as messages call it.
        rows: Rows of each shard.
        fields: Type and row shape of each field.
        row_bytes: Bytes of a row over all fields.

    Raises:
        InvalidInput: There is no such split or field, or a field has no fixed size.
    """

    def __init__(self, version: Version, split: str, fields: Sequence[str] | None, skip: Sequence[str]) -> None:
        self._store = version.shard_store
        self._version, self._split = version, split
        self.name = f"the split '{split}' of {version.ref}"
        self._entries = [entry for entry in version.shards if entry.split == split and entry.rows]
        if not self._entries:
            raise InvalidInput(f"{self.name} must hold rows; got none; the splits are {sorted(version.splits)}")
        self.rows = tuple(entry.rows for entry in self._entries)
        known = {field.name: (np.dtype(field.dtype), field.shape) for field in version.fields}
        wanted = [name for name in known if name not in skip] if fields is None else list(dict.fromkeys(fields))
        missing = [name for name in wanted if name not in known]
        if missing or not wanted:
            raise InvalidInput(f"the fields {missing or wanted} must be fields of {version.ref}; it has {sorted(known)}")
        self.fields = {name: known[name] for name in wanted}
        self._layouts: dict[str, BlockLayout | None] = {}
        self._templates: dict[str, bytes] = {}
        self._scratch = threading.local()

    @property
    def row_bytes(self) -> int:
        """Bytes of a row in memory, over all fields."""
        return sum(dtype.itemsize * int(np.prod(shape, dtype=np.int64)) for dtype, shape in self.fields.values())

    @cached_property
    def identity(self) -> str:
        """Digest of the rows that are streamed, whatever the version is called."""
        return sha256_bytes("\n".join(entry.digest for entry in self._entries).encode())

    def read_series(self) -> NDArray[Any]:
        """The entity of each row, in stored order, shape (rows of the split,)."""
        if "series_id" not in {field.name for field in self._version.fields}:
            raise InvalidInput(f"{self.name} must have a field 'series_id' to cut windows from; it has {list(self.fields)}")
        parts = [read_shard(self._store, entry, ["series_id"])["series_id"] for entry in self._entries]
        return np.concatenate(parts)

    def read_into(self, shard: int, field: str, memory: ResidentShards) -> None:
        """Reads one field of one shard into its pages.

        Raises:
            Corrupt: A file is missing, or its bytes are not those that the manifest names.
        """
        entry = self._entries[shard]
        layout = self._find_layout(shard, field)
        target = memory.arrays[field]
        if layout is None:
            rows = read_shard(self._store, entry, [field])[field]
            for start, stop, place in memory.runs(shard, 0, entry.rows):
                target[place : place + stop - start] = rows[start:stop]
            return
        path = next(path for path in entry.files if path.startswith(f"{field}/c/"))
        data = self._read(shard, path)
        try:
            for number, block in read_blocks(data, layout):
                self._place_block(block, number * layout.block_rows, layout, memory, shard, target)
        except BlockFault as fault:
            raise Corrupt(
                f"{self._describe(shard, path)} must hold what was written; {fault}; restore the file, or write the "
                "version again"
            ) from fault

    @staticmethod
    def _place_block(
        block: Bytes | None,
        start: int,
        layout: BlockLayout,
        memory: ResidentShards,
        shard: int,
        target: NDArray[Any],
    ) -> None:
        stop = min(start + layout.block_rows, layout.rows)
        runs = list(memory.runs(shard, start, stop))
        if len(runs) == 1 and stop - start == layout.block_rows:
            place = runs[0][2]
            decode_block(block, layout, target[place : place + layout.block_rows])
            return
        rows = decode_block(block, layout)
        for first, last, place in runs:
            target[place : place + last - first] = rows[first - start : last - start]
