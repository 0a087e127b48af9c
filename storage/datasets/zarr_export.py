"""Versions for other tools: as dask arrays, and as a plain Zarr v3 group."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from storage.base.errors import Conflict, InvalidInput
from storage.base.store import Store
from storage.datasets.version import Version
from storage.shards.codecs import TEXT
from storage.shards.entry import FieldSpec, ShardEntry
from storage.shards.reading import read_shard

if TYPE_CHECKING:
    import dask.array

_CHUNK_BYTES = 4 * 1024 * 1024


def open_dask(version: Version, name: str, split: str | None = None) -> "dask.array.Array":
    """Opens a field as a dask array whose chunks are the shards.

    So one task reads one whole shard.

    Raises:
        InvalidInput: There is no such field.
        NotFound: There is no such split.
    """
    import dask.array
    from dask.delayed import delayed

    arrays: Any = dask.array
    parts, store = [], version.dataset.shards
    for shard in version.iter_shards(split):
        field = shard.find_field(name)
        dtype = np.dtypes.StringDType() if field.dtype == TEXT else np.dtype(field.dtype)
        read = delayed(_read_part, pure=True)(
            store, shard, name, dask_key_name=f"read-{name}-{shard.digest}"
        )
        parts.append(arrays.from_delayed(read, (shard.rows, *field.shape), dtype))
    if not parts:
        raise InvalidInput(
            f"{version.ref} must have rows to be opened; got none; collect data first"
        )
    joined: dask.array.Array = arrays.concatenate(parts)
    return joined


def export_version(version: Version, target: Store) -> str:
    """Writes a version as one plain Zarr v3 group.

    It has a group for each split, and in it an array for each field.

    Rows go through memory shard by shard. The group's attributes name the version.

    Args:
        version: The version.
        target: An empty or absent folder.

    Returns:
        The address of the group.

    Raises:
        Conflict: The folder holds files.
        Corrupt: A shard is damaged.
    """
    import zarr

    if target.listdir():
        raise Conflict(
            f"the target of an export ({target.display}) must be empty; it holds files; choose "
            "another one"
        )
    attributes: dict[str, str | int] = {
        "dataset": version.name,
        "number": version.number,
        "digest": version.digest,
    }
    root = zarr.open_group(_open_zarr(target), mode="w-", attributes={"lepton": attributes})
    for split in version.splits:
        group = root.create_group(split) if split else root
        shards = list(version.iter_shards(split))
        arrays = {
            field.name: _create_array(group, field, sum(shard.rows for shard in shards))
            for field in shards[0].fields
        }
        start = 0
        for shard in shards:
            for name, rows in version.read_shard(shard).items():
                arrays[name][start : start + shard.rows] = rows
            start += shard.rows
    return target.address()


def _read_part(store: Store, shard: ShardEntry, name: str) -> NDArray[Any]:
    return read_shard(store, shard, [name])[name]


def _open_zarr(target: Store) -> Any:
    from zarr.storage import FsspecStore, LocalStore

    local = target.local_path()
    if local is not None:
        return LocalStore(local)
    return FsspecStore.from_url(target.url, storage_options=target.options)


def _create_array(group: Any, field: FieldSpec, rows: int) -> Any:
    row_bytes = int(np.prod(field.shape)) * (
        16 if field.dtype == TEXT else np.dtype(field.dtype).itemsize
    )
    return group.create_array(
        field.name,
        shape=(rows, *field.shape),
        dtype=field.dtype if field.dtype != TEXT else str,
        chunks=(max(1, min(rows, _CHUNK_BYTES // max(1, row_bytes))), *field.shape),
        attributes={"columns": list(field.columns)} if field.columns else {},
    )
