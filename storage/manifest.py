"""Manifests: the list of shards that a version is made of, named by the digest of its own bytes."""

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from storage.errors import Corrupt, InvalidInput, NotFound
from storage.files import Store, canonical_json, sha256_bytes
from storage.shards import ShardEntry


class Manifest(BaseModel):
    """The shards of a version, in order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    shards: tuple[ShardEntry, ...]


def write_manifest(manifests: Store, shards: Sequence[ShardEntry]) -> str:
    """Writes a manifest and returns its digest. Equal lists are one file.

    Raises:
        InvalidInput: The shards do not have the same fields, or one is listed twice.
    """
    check_shards(shards)
    data = canonical_json(Manifest(shards=tuple(shards)).model_dump(mode="json"))
    digest = sha256_bytes(data)
    # Written again if it exists: a fresh date keeps a collection that runs right now away from it.
    manifests.write(name_manifest(digest), data)
    return digest


def read_manifest(manifests: Store, digest: str) -> Manifest:
    """Reads a manifest.

    Raises:
        Corrupt: It is missing, or its bytes are not those its name stands for.
    """
    name = name_manifest(digest)
    try:
        data = manifests.read(name)
    except NotFound as error:
        raise Corrupt(
            f"manifest ({manifests.display}/{name}) must exist; got no file; restore it from a copy, or open another "
            "version"
        ) from error
    found = sha256_bytes(data)
    if found != digest:
        raise Corrupt(
            f"manifest ({manifests.display}/{name}) must have sha256 {digest}; got {found}; restore it from a copy, or "
            "open another version"
        )
    try:
        return Manifest.model_validate_json(data)
    except ValidationError as error:
        raise Corrupt(
            f"manifest ({manifests.display}/{name}) must be of format 1; got {error.error_count()} unknown or missing "
            "fields; update Lepton"
        ) from error


def name_manifest(digest: str) -> str:
    """Name of a manifest's file."""
    return f"{digest}.json"


def count_splits(shards: Sequence[ShardEntry]) -> dict[str, int]:
    """Rows of each split, sorted by name."""
    rows: dict[str, int] = {}
    for shard in shards:
        rows[shard.split] = rows.get(shard.split, 0) + shard.rows
    return dict(sorted(rows.items()))


def check_shards(shards: Sequence[ShardEntry]) -> None:
    """Refuses shards that cannot be one version.

    Raises:
        InvalidInput: Their fields differ, or one is listed twice in a split.
    """
    seen: set[tuple[str, str]] = set()
    for shard in shards:
        if shard.fields != shards[0].fields:
            raise InvalidInput(
                f"the fields of all shards must be equal; got {_show_fields(shards[0])} in shard {shards[0].digest} and "
                f"{_show_fields(shard)} in shard {shard.digest}; write them with the same fields, types and shapes"
            )
        if (shard.digest, shard.split) in seen:
            raise InvalidInput(
                f"a shard ({shard.digest}) must be in a version once; got it twice in split {shard.split!r}; "
                "its rows are the same; leave one out"
            )
        seen.add((shard.digest, shard.split))


def _show_fields(shard: ShardEntry) -> str:
    return ", ".join(f"{field.name} {field.dtype}{list(field.shape)}" for field in shard.fields)
