"""Manifests: the shards that a version is made of, as a tree of small files.

Each file is named by the digest of its bytes.

A leaf lists shards, any other node lists nodes, and the digest of the root names the manifest.
Where the list is cut into nodes follows from the shards' digests alone (content-defined chunking,
as in Muthitacharoen, Chen and Mazieres, "A Low-bandwidth Network File System", SOSP 2001). So equal
lists are one manifest, and lists that differ in a few shards share all nodes but those above these:
a commit writes what changed, however many shards the version has.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from storage.base.errors import Corrupt, InvalidInput, NotFound
from storage.base.store import Store, canonical_json, sha256_bytes
from storage.shards.entry import ShardEntry

# A list up to this length is one node; a longer one is cut into nodes of about the usual length,
# never of one item.
_SHORT = 32
_USUAL = 16
_MOST = 64
_THREADS = 8


class Node(BaseModel):
    """One file of a manifest: shards in order, or the digests of nodes in order.

    Attributes:
        format: Version of this format. The first knew no nodes: one file listed all shards.
        shards: The shards of a leaf.
        nodes: Digests of the nodes below.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1, 2] = 2
    shards: tuple[ShardEntry, ...] = ()
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Manifest:
    """A manifest in memory.

    Attributes:
        digest: Digest of its root: its name.
        shards: All its shards, in order.
        nodes: Its nodes by digest.
    """

    digest: str
    shards: tuple[ShardEntry, ...]
    nodes: Mapping[str, Node]


def write_manifest(
    manifests: Store, shards: Sequence[ShardEntry], base: Manifest | None = None
) -> Manifest:
    """Writes the nodes of a manifest that another one does not have.

    Args:
        manifests: Folder of the manifests.
        shards: All shards, in order.
        base: The manifest of the version before, which is there for as long as the caller needs it;
            its shards among those given should be the same objects, so that nothing of them is
            encoded again.

    Raises:
        InvalidInput: The shards do not have the same fields, or one is listed twice in a split.
    """
    check_shards(shards)
    stored = base.nodes if base else {}
    # Nodes hold what they list, so that no other object can have the same id.
    known = {tuple(map(id, node.shards)): digest for digest, node in stored.items() if node.shards}
    nodes: dict[str, Node] = {}
    files: dict[str, bytes] = {}

    def add(node: Node) -> str:
        data = canonical_json(node.model_dump(mode="json"))
        digest = sha256_bytes(data)
        nodes[digest] = stored.get(digest, node)
        if digest not in stored:
            # Written again if it exists: a fresh date keeps a collection that runs right now away
            # from it.
            files[name_manifest(digest)] = data
        return digest

    level = []
    for start, stop in cut_nodes([shard.digest for shard in shards]):
        part = tuple(shards[start:stop])
        digest = known.get(tuple(map(id, part)), "")
        if digest:
            nodes[digest] = stored[digest]
        level.append(digest or add(Node(shards=part)))
    while len(level) > 1:
        level = [add(Node(nodes=tuple(level[start:stop]))) for start, stop in cut_nodes(level)]
    manifests.write_files(files)
    return Manifest(level[0], tuple(shards), nodes)


def cut_nodes(digests: Sequence[str]) -> list[tuple[int, int]]:
    """Cuts a list into runs [start, stop) after items that are chosen by their own digests."""
    cuts = [0]
    for end, digest in enumerate(digests, 1):
        length = end - cuts[-1]
        if len(digests) > _SHORT and (
            length >= _MOST or (length > 1 and int(digest[-8:], 16) % _USUAL == 0)
        ):
            cuts.append(end)
    return list(pairwise(cuts if cuts[-1] == len(digests) and digests else [*cuts, len(digests)]))


def read_manifest(
    manifests: Store, digest: str, known: Mapping[str, Node] | None = None
) -> Manifest:
    """Reads a manifest, level by level.

    Args:
        manifests: Folder of the manifests.
        digest: Digest of its root.
        known: Nodes that have been read before; they are not read again.

    Raises:
        Corrupt: A node is missing, or its bytes are not those its name stands for.
    """
    nodes: dict[str, Node] = {}
    level = [digest]
    with ThreadPoolExecutor(_THREADS, "lepton-manifest") as threads:
        while level:
            nodes |= {name: known[name] for name in level if known and name in known}
            unread = [name for name in level if name not in nodes]
            read = map if len(unread) < 2 else threads.map
            nodes |= zip(unread, read(lambda name: read_node(manifests, name), unread), strict=True)
            level = [below for name in level for below in nodes[name].nodes]
    return Manifest(digest, tuple(_list_shards(digest, nodes)), nodes)


def read_node(manifests: Store, digest: str) -> Node:
    """Reads one node of a manifest.

    Raises:
        Corrupt: It is missing, or its bytes are not those its name stands for.
    """
    name = name_manifest(digest)
    try:
        data = manifests.read(name)
    except NotFound as error:
        raise Corrupt(
            f"manifest ({manifests.display}/{name}) must exist; got no file; restore it from a "
            "copy, or open another version"
        ) from error
    found = sha256_bytes(data)
    if found != digest:
        raise Corrupt(
            f"manifest ({manifests.display}/{name}) must have sha256 {digest}; got {found}; "
            "restore it from a copy, or open another version"
        )
    try:
        return Node.model_validate_json(data)
    except ValidationError as error:
        raise Corrupt(
            f"manifest ({manifests.display}/{name}) must be of format 2 or older; got "
            f"{error.error_count()} unknown or missing fields; update Lepton"
        ) from error


def name_manifest(digest: str) -> str:
    """Return the name of the file of a manifest's node."""
    return f"{digest}.json"


def count_splits(shards: Sequence[ShardEntry]) -> dict[str, int]:
    """Return the rows of each split, sorted by name."""
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
                f"the fields of all shards must be equal; got {_show_fields(shards[0])} in shard "
                f"{shards[0].digest} and {_show_fields(shard)} in shard {shard.digest}; write them "
                "with the same fields, types and shapes"
            )
        if (shard.digest, shard.split) in seen:
            raise InvalidInput(
                f"a shard ({shard.digest}) must be in a version once; got it twice in split "
                f"{shard.split!r}; its rows are the same; leave one out"
            )
        seen.add((shard.digest, shard.split))


def _list_shards(digest: str, nodes: Mapping[str, Node]) -> Iterator[ShardEntry]:
    yield from nodes[digest].shards
    for below in nodes[digest].nodes:
        yield from _list_shards(below, nodes)


def _show_fields(shard: ShardEntry) -> str:
    return ", ".join(f"{field.name} {field.dtype}{list(field.shape)}" for field in shard.fields)
