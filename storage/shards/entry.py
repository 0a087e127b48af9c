"""What a manifest says about a shard, and where its files lie."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from storage.base.errors import InvalidInput
from storage.base.store import Store, canonical_json, sha256_bytes
from storage.shards.codecs import Codec, describe_array, name_chunk
from storage.shards.statistics import FieldStatistics


class Record(BaseModel):
    """Base of the frozen records of a manifest."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FieldSpec(Record):
    """A field of a dataset.

    Attributes:
        name: Its name.
        dtype: Numpy's name of the type, little-endian; "string" for text.
        shape: Shape of a row, without N.
        columns: Names along the row's first axis, for the fields of a table.
    """

    name: str
    dtype: str
    shape: tuple[int, ...] = ()
    columns: tuple[str, ...] = ()


class Encoding(Record):
    """How an array is stored: rows of a block, and the codec."""

    block_rows: int
    codec: Codec


class Span(Record):
    """Where rows come from: records `start` to `stop` (exclusive) of a member of the source."""

    name: str
    start: int
    stop: int


class ShardEntry(Record):
    """What a manifest says about a shard; enough to read it, check it and judge it.

    Attributes:
        digest: SHA-256 over the sorted list of [path, sha256] of its files; the name of its folder.
        rows: Rows.
        split: Name of the split, or "".
        size_bytes: Stored bytes.
        fields: Its fields, by name.
        encodings: How each is stored.
        files: SHA-256 of each file, by its path in the folder.
        checksums: CRC-32C of each array's file by its path, checked at every read: no bit of it
            changed.
        fingerprints: Of the same files, `storage.shards.codecs.fingerprint_array`, checked as well:
            it is this file and no other.
        statistics: Of each field; of each column of a table under "field.column"; of derived
            figures of raw rows (`storage.pipeline.derived`) under "derived:name".
        source: Where its rows come from, if known.
    """

    digest: str
    rows: int
    split: str = ""
    size_bytes: int
    fields: tuple[FieldSpec, ...]
    encodings: dict[str, Encoding]
    files: dict[str, str]
    checksums: dict[str, int]
    fingerprints: dict[str, int]
    statistics: dict[str, FieldStatistics]
    source: tuple[Span, ...] = ()

    def find_field(self, name: str) -> FieldSpec:
        """Return a field by its name.

        Raises:
            InvalidInput: There is no such field.
        """
        for field in self.fields:
            if field.name == name:
                return field
        names = ", ".join(field.name for field in self.fields)
        raise InvalidInput(f"a field ({name!r}) must be one of {names}; choose one of these")

    def find_file(self, name: str) -> str:
        """Return the path of a field's one file, from the folder of the dataset's shards."""
        return f"{self.digest}/{name_array_file(self.find_field(name))}"

    def describe_field(self, name: str) -> bytes:
        """Return the document `zarr.json` of a field's array, without reading it."""
        return describe_array_file(self.find_field(name), self.rows, self.encodings[name])


def digest_files(digests: Mapping[str, str]) -> str:
    """Return the digest of a shard: SHA-256 over the sorted list of [path, sha256] of its files."""
    return sha256_bytes(
        canonical_json([[path, digest] for path, digest in sorted(digests.items())])
    )


def name_array_file(field: FieldSpec) -> str:
    """Name the file of a field's array, from the shard's folder."""
    return f"{field.name}/{name_chunk(1 + len(field.shape))}"


def describe_array_file(field: FieldSpec, rows: int, encoding: Encoding) -> bytes:
    """Return the document `zarr.json` of an array."""
    return canonical_json(
        describe_array(
            field.dtype, field.shape, rows, encoding.codec, encoding.block_rows, field.columns
        )
    )


def count_blocks(rows: int, encoding: Encoding) -> int:
    """Count the blocks of an array."""
    return -(-rows // encoding.block_rows)


def describe_shard(shards: Store, entry: ShardEntry) -> str:
    """Name a shard in messages."""
    return f"shard {entry.digest} ({entry.rows} rows) in {shards.display}"
