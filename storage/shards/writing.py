"""Writes shards: a row group of any length, as a small Zarr v3 group.

Each array of it is one Zarr shard.

A shard is named by its content, so writing it again changes nothing, and two equal shards are one.
It is written and read as a whole. Its layout stands in its entry in the manifest, so that reading
costs one request an array. Every read checks the bytes against the entry: two shards that were
swapped are found as surely as one flipped bit.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from google_crc32c import value as crc32c
from numpy.typing import NDArray

from storage.base.store import Store, canonical_json, sha256_bytes
from storage.shards.codecs import (
    DISK_NS,
    NETWORK_NS,
    check_codec,
    choose_block_rows,
    choose_codec,
    encode_array,
    fingerprint_array,
)
from storage.shards.entry import (
    Encoding,
    FieldSpec,
    ShardEntry,
    Span,
    count_blocks,
    describe_array_file,
    digest_files,
    name_array_file,
)
from storage.shards.row_checks import check_rows, specify_field
from storage.shards.row_ids import CONTENT_HASH, ROW_ID, VALID_SUFFIX, Rows
from storage.shards.statistics import FieldStatistics, compute_statistics, count_values

FORMAT = 1
_IDS = (ROW_ID, CONTENT_HASH)
_GROUP = "zarr.json"


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
        specify_field(name, array, (columns or {}).get(name, ())) for name, array in arrays.items()
    )
    encodings = {
        name: _choose_encoding(
            array, _pick_codec(codec, name), DISK_NS if shards.is_local else NETWORK_NS
        )
        for name, array in arrays.items()
    }
    written = _encode_fields(arrays, fields, encodings)
    digests = {path: sha256_bytes(data) for path, data in sorted(written.files.items())}
    digest = digest_files(digests)
    shards.write_files({f"{digest}/{path}": data for path, data in written.files.items()})
    return ShardEntry(
        digest=digest,
        rows=count,
        split=split,
        size_bytes=sum(map(len, written.files.values())),
        fields=fields,
        encodings=encodings,
        files=digests,
        checksums=written.checksums,
        fingerprints=written.fingerprints,
        statistics={**_compute_statistics(arrays, fields), **(statistics or {})},
        source=tuple(source),
    )


@dataclasses.dataclass
class _Encoded:
    """Files of a shard by path, and what is kept of the arrays among them."""

    files: dict[str, bytes]
    checksums: dict[str, int] = dataclasses.field(default_factory=dict)
    fingerprints: dict[str, int] = dataclasses.field(default_factory=dict)


def _encode_fields(
    arrays: Rows, fields: Sequence[FieldSpec], encodings: Mapping[str, Encoding]
) -> _Encoded:
    attributes = {"zarr_format": 3, "node_type": "group", "attributes": {"lepton": FORMAT}}
    encoded = _Encoded({_GROUP: canonical_json(attributes)})
    for spec in fields:
        array, encoding, path = arrays[spec.name], encodings[spec.name], name_array_file(spec)
        data = encode_array(array, encoding.codec, encoding.block_rows)
        blocks = count_blocks(len(array), encoding)
        encoded.files[f"{spec.name}/{_GROUP}"] = describe_array_file(spec, len(array), encoding)
        encoded.files[path] = data
        encoded.checksums[path] = crc32c(data)
        encoded.fingerprints[path] = fingerprint_array(data, blocks) or 0
    return encoded


def _pick_codec(codec: str | Mapping[str, str], name: str) -> str:
    return codec if isinstance(codec, str) else codec.get(name, "auto")


def _choose_encoding(array: NDArray[Any], codec: str, fetch_ns: float) -> Encoding:
    row_bytes = array.nbytes // len(array) if array.dtype.kind != "T" else 16
    chosen = choose_codec(array, fetch_ns) if codec == "auto" else check_codec(codec)
    return Encoding(block_rows=choose_block_rows(len(array), max(1, row_bytes)), codec=chosen)


def _compute_statistics(arrays: Rows, fields: Sequence[FieldSpec]) -> dict[str, FieldStatistics]:
    statistics = {}
    for field in fields:
        array, valid = arrays[field.name], arrays.get(field.name + VALID_SUFFIX)
        statistics[field.name] = (
            count_values(array) if field.name in _IDS else compute_statistics(array, valid)
        )
        for number, column in enumerate(field.columns):
            present = valid[:, number] if valid is not None and valid.ndim == 2 else valid
            statistics[f"{field.name}.{column}"] = compute_statistics(
                np.ascontiguousarray(array[:, number]), present
            )
    return statistics
