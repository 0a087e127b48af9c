"""Shards: a row group of any length, stored as a small Zarr v3 group, each array of it as one Zarr shard.

A shard is named by its content, so writing it again changes nothing, and two equal shards are one.
It is written and read as a whole. Its layout stands in its entry in the manifest, so that reading
costs one request an array. Every read checks the bytes against the entry: two shards that were
swapped are found as surely as one flipped bit.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from google_crc32c import value as crc32c
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from storage.base.errors import Corrupt, InvalidInput, NotFound
from storage.base.store import Store, canonical_json, sha256_bytes
from storage.shards.blocks import BlockFault, BlockLayout, decode_block, parse_layout, read_blocks
from storage.shards.codecs import (
    DISK_NS,
    NETWORK_NS,
    TEXT,
    Codec,
    check_codec,
    choose_block_rows,
    choose_codec,
    decode_text,
    describe_array,
    encode_array,
    fingerprint_array,
    name_chunk,
)
from storage.shards.statistics import FieldStatistics, compute_statistics, count_values

Rows = dict[str, NDArray[Any]]
"""Named arrays that share axis 0."""

ROW_ID = "row_id"
CONTENT_HASH = "content_hash"
VALID = "__valid"
FORMAT = 1

_IDS = (ROW_ID, CONTENT_HASH)
_FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}")
_GROUP = "zarr.json"
_REMEDY = "restore the file from a copy, or collect and prepare the data again; `lepton datasets verify` lists all damage"


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
        """A field by its name.

        Raises:
            InvalidInput: There is no such field.
        """
        for field in self.fields:
            if field.name == name:
                return field
        names = ", ".join(field.name for field in self.fields)
        raise InvalidInput(f"a field ({name!r}) must be one of {names}; choose one of these")

    def find_file(self, name: str) -> str:
        """Path of the one file of a field's array, from the folder of the dataset's shards."""
        return f"{self.digest}/{_name_file(self.find_field(name))}"

    def describe_field(self, name: str) -> bytes:
        """The document `zarr.json` of a field's array, without reading it."""
        return _describe_field(self.find_field(name), self.rows, self.encodings[name])


def write_shard(
    shards: Store,
    rows: Mapping[str, NDArray[Any]],
    *,
    split: str = "",
    codec: str | Mapping[str, str] = "auto",
    source: Sequence[Span] = (),
    columns: Mapping[str, Sequence[str]] | None = None,
    statistics: Mapping[str, FieldStatistics] | None = None,
) -> ShardEntry:
    """Writes rows as one shard in one pass: check, statistics, encode, hash, store.

    Writing the same rows again, by a retried task or another process, gives the same shard. All
    files are durable afterwards; nothing refers to them until a version is committed.

    Args:
        shards: Folder of the dataset's shards (`Dataset.shards`).
        rows: At least one field and one row. `<field>__valid` says which rows or elements of a
            field are present.
        split: Name of the split.
        codec: "none", "lz4", "zstd", or "auto" (each array by compressing a sample of it); or one
            of these a field.
        source: Where the rows come from.
        columns: Names of the columns of two-dimensional fields.
        statistics: Further statistics to keep beside those of the fields, such as derived figures.

    Raises:
        InvalidInput: Lengths differ, a type cannot be stored, or a name is not allowed.
        NotWritable: The store is read-only.
        OutOfSpace: The disk is full; nothing refers to what was written.
    """
    arrays = check_rows(rows)
    count = len(next(iter(arrays.values())))
    fields = tuple(
        _specify_field(name, array, (columns or {}).get(name, ())) for name, array in arrays.items()
    )
    encodings = {
        name: _choose_encoding(
            array, _pick_codec(codec, name), DISK_NS if shards.is_local else NETWORK_NS
        )
        for name, array in arrays.items()
    }
    files = {
        _GROUP: canonical_json(
            {"zarr_format": 3, "node_type": "group", "attributes": {"lepton": FORMAT}}
        )
    }
    checksums: dict[str, int] = {}
    fingerprints: dict[str, int] = {}
    for field in fields:
        encoding = encodings[field.name]
        data = encode_array(arrays[field.name], encoding.codec, encoding.block_rows)
        files[f"{field.name}/{_GROUP}"] = _describe_field(field, count, encoding)
        files[_name_file(field)] = data
        checksums[_name_file(field)] = crc32c(data)
        fingerprints[_name_file(field)] = (
            fingerprint_array(data, _count_blocks(count, encoding)) or 0
        )
    digests = {path: sha256_bytes(data) for path, data in sorted(files.items())}
    digest = digest_files(digests)
    shards.write_files({f"{digest}/{path}": data for path, data in files.items()})
    return ShardEntry(
        digest=digest,
        rows=count,
        split=split,
        size_bytes=sum(len(data) for data in files.values()),
        fields=fields,
        encodings=encodings,
        files=digests,
        checksums=checksums,
        fingerprints=fingerprints,
        statistics={**_compute_statistics(arrays, fields), **(statistics or {})},
        source=tuple(source),
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


def digest_files(digests: Mapping[str, str]) -> str:
    """Digest of a shard: SHA-256 over the sorted list of [path, sha256] of its files."""
    return sha256_bytes(
        canonical_json([[path, digest] for path, digest in sorted(digests.items())])
    )


def check_rows(rows: Mapping[str, NDArray[Any]]) -> Rows:
    """Rows as they are stored: sorted by field, contiguous, little-endian, text as StringDType.

    Raises:
        InvalidInput: There is no row, lengths differ, a name or a type is not allowed, or text is
            missing.
    """
    lengths = {name: len(array) if np.ndim(array) else -1 for name, array in rows.items()}
    if len(set(lengths.values())) != 1 or min(lengths.values()) < 1:
        raise InvalidInput(
            "the fields of a shard must have one length, of at least 1; got "
            f"{lengths or 'no field'}; "
            "leave empty shards out"
        )
    arrays = {name: _normalize_array(name, np.asarray(rows[name])) for name in sorted(rows)}
    for name in arrays:
        if name.endswith(VALID):
            _check_mask(name, arrays)
    return arrays


def _normalize_array(name: str, array: NDArray[Any]) -> NDArray[Any]:
    if not _FIELD_NAME.fullmatch(name):
        raise InvalidInput(
            f"the name of a field ({name!r}) must be a letter, then letters, digits, '_', '-' or "
            "'.', at most 128; "
            "rename the field"
        )
    if array.dtype.kind in "biuf" and array.dtype.itemsize <= 8:
        return np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    if array.dtype.kind in "UT" or (
        array.dtype.kind == "O" and all(isinstance(item, str) for item in array.flat)
    ):
        if array.ndim == 1:
            return array.astype(np.dtypes.StringDType())
        raise InvalidInput(
            f"a text field ({name}) must have one text a row; got shape {array.shape}; use several "
            "fields"
        )
    raise InvalidInput(
        f"the type of a field ({name}) must be bool, an integer, a float of at most 8 bytes, or "
        "text; got "
        f"{array.dtype}; convert it (a time to int64 nanoseconds), and put missing values into "
        f"{name}{VALID}"
    )


def _check_mask(name: str, arrays: Rows) -> None:
    field = arrays.get(name.removesuffix(VALID))
    mask = arrays[name]
    if field is None or mask.dtype != np.bool_ or mask.shape not in (field.shape, field.shape[:1]):
        wanted = (
            "a field of its own"
            if field is None
            else f"bool of shape {field.shape[:1]} or {field.shape}"
        )
        raise InvalidInput(
            f"a validity mask ({name}) must have {wanted}; got {mask.dtype} {mask.shape}; correct "
            "the mask"
        )


def _specify_field(name: str, array: NDArray[Any], columns: Sequence[str]) -> FieldSpec:
    if columns and (
        array.ndim != 2 or array.shape[1] != len(columns) or len(set(columns)) != len(columns)
    ):
        raise InvalidInput(
            f"a field with columns ({name}) must have shape (N, {len(columns)}) and different "
            f"names; got {array.shape} "
            f"and {list(columns)}; correct the names"
        )
    dtype = TEXT if array.dtype.kind == "T" else array.dtype.name
    return FieldSpec(name=name, dtype=dtype, shape=array.shape[1:], columns=tuple(columns))


def _pick_codec(codec: str | Mapping[str, str], name: str) -> str:
    return codec if isinstance(codec, str) else codec.get(name, "auto")


def _choose_encoding(array: NDArray[Any], codec: str, fetch_ns: float) -> Encoding:
    row_bytes = array.nbytes // len(array) if array.dtype.kind != "T" else 16
    chosen = choose_codec(array, fetch_ns) if codec == "auto" else check_codec(codec)
    return Encoding(block_rows=choose_block_rows(len(array), max(1, row_bytes)), codec=chosen)


def _name_file(field: FieldSpec) -> str:
    return f"{field.name}/{name_chunk(1 + len(field.shape))}"


def _describe_field(field: FieldSpec, rows: int, encoding: Encoding) -> bytes:
    return canonical_json(
        describe_array(
            field.dtype, field.shape, rows, encoding.codec, encoding.block_rows, field.columns
        )
    )


def _compute_statistics(arrays: Rows, fields: Sequence[FieldSpec]) -> dict[str, FieldStatistics]:
    statistics = {}
    for field in fields:
        array, valid = arrays[field.name], arrays.get(field.name + VALID)
        statistics[field.name] = (
            count_values(array) if field.name in _IDS else compute_statistics(array, valid)
        )
        for number, column in enumerate(field.columns):
            present = valid[:, number] if valid is not None and valid.ndim == 2 else valid
            statistics[f"{field.name}.{column}"] = compute_statistics(
                np.ascontiguousarray(array[:, number]), present
            )
    return statistics


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
        raise Corrupt(f"{_name_shard(shards, entry)}: file {path}: {error}; {_REMEDY}") from error


def read_file(shards: Store, entry: ShardEntry, path: str, *, verify: bool = True) -> bytes:
    """Bytes of one file of a shard, checked against the entry.

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
            f"{_name_shard(shards, entry)}: file {path} must have sha256 {entry.files[path]}; got "
            f"no file; {_REMEDY}"
        ) from error
    checked = verify or path not in entry.checksums
    same = (
        sha256_bytes(data) == entry.files[path]
        if checked
        else crc32c(data) == entry.checksums[path]
    )
    if not same or not has_fingerprint(entry, path, data):
        raise Corrupt(
            f"{_name_shard(shards, entry)}: file {path} must have sha256 {entry.files[path]}; got "
            f"{sha256_bytes(data)} "
            f"({len(data)} bytes); {_REMEDY}"
        )
    return data


def has_fingerprint(entry: ShardEntry, path: str, data: bytes | NDArray[np.uint8]) -> bool:
    """Whether a file is the one that an entry means, and not an intact one of another shard.

    A matching CRC-32C alone does not say so: a file whose parts each end with their own CRC has the
    same CRC-32C as any other such file of its layout.
    """
    if path not in entry.fingerprints:
        return True
    encoding = entry.encodings[path.rpartition("/")[0]]
    return fingerprint_array(data, _count_blocks(entry.rows, encoding)) == entry.fingerprints[path]


def _count_blocks(rows: int, encoding: Encoding) -> int:
    return -(-rows // encoding.block_rows)


def _name_shard(shards: Store, entry: ShardEntry) -> str:
    return f"shard {entry.digest} ({entry.rows} rows) in {shards.display}"


def _decode_numbers(data: bytes, layout: BlockLayout) -> NDArray[Any]:
    out = np.empty((layout.blocks * layout.block_rows, *layout.row_shape), layout.dtype)
    for number, block in read_blocks(np.frombuffer(data, np.uint8), layout, verify=False):
        decode_block(
            block, layout, out[number * layout.block_rows : (number + 1) * layout.block_rows]
        )
    return out[: layout.rows]


def _decode_text(data: bytes, entry: ShardEntry, name: str) -> NDArray[Any]:
    encoding = entry.encodings[name]
    slots = _count_blocks(entry.rows, encoding)
    layout = BlockLayout(entry.rows, encoding.block_rows, (), "uint8", slots, "", encoding.codec)
    blocks = [
        decode_text(block, encoding.codec)
        for _, block in read_blocks(np.frombuffer(data, np.uint8), layout)
        if block is not None
    ]
    return np.concatenate(blocks)[: entry.rows]
