"""Checks that every stored byte of a dataset is as written, and names the files that are not."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from storage.base.errors import Corrupt, NotFound
from storage.base.store import sha256_bytes
from storage.datasets.dataset import Dataset
from storage.datasets.files import DatasetFiles
from storage.datasets.manifest import name_manifest, read_node
from storage.datasets.version import Version
from storage.shards.entry import ShardEntry, digest_files

_THREADS = 4


@dataclass(frozen=True)
class FileFault:
    """One file that is not what was written.

    Attributes:
        file: Its address, without secrets.
        expected: What the file above it in the chain says.
        got: What was found.
    """

    file: str
    expected: str
    got: str

    def __str__(self) -> str:
        return f"{self.file} must be {self.expected}; got {self.got}"


def verify_version(version: Version) -> list[FileFault]:
    """Return the faults of the log, the version's manifest and its shards, files by SHA-256."""
    return [*_verify_log(version.dataset), *_verify_content(version, set())]


def verify_dataset(dataset: Dataset) -> list[FileFault]:
    """Return the faults of the log and of all versions; each shard is read once."""
    faults, seen = _verify_log(dataset), set[str]()
    for number in dataset.history.list_numbers():
        try:
            if dataset.history.read(number).entry.is_version:
                faults += _verify_content(dataset.open(number), seen)
        except (Corrupt, NotFound):
            # The damaged entry of the log, of this version or of a purge after it, is listed above;
            # of a version that was dropped nothing need be there.
            continue
    return faults


def _verify_log(dataset: DatasetFiles) -> list[FileFault]:
    return [
        FileFault(*fault) for fault in dataset.history.find_faults(dataset.history.list_numbers())
    ]


def _verify_content(version: Version, seen: set[str]) -> list[FileFault]:
    shards, faults = _verify_manifest(version, seen)
    with ThreadPoolExecutor(_THREADS, "lepton-verify") as threads:
        found = threads.map(lambda shard: _verify_shard(version, shard), shards)
        return [*faults, *(fault for listed in found for fault in listed)]


def _verify_manifest(version: Version, seen: set[str]) -> tuple[list[ShardEntry], list[FileFault]]:
    """Reads the nodes of a manifest that were not seen yet.

    Gives the shards that were not seen either, and what is wrong.
    """
    manifests, todo = version.dataset.manifests, [version.manifest_digest]
    shards: dict[str, ShardEntry] = {}
    faults: list[FileFault] = []
    while todo:
        digest = todo.pop()
        if digest in seen:
            continue
        seen.add(digest)
        try:
            node = read_node(manifests, digest)
        except Corrupt as error:
            name = f"{manifests.display}/{name_manifest(digest)}"
            faults.append(FileFault(name, f"a file with sha256 {digest}", str(error)))
            continue
        todo += reversed(node.nodes)
        shards |= {shard.digest: shard for shard in node.shards if shard.digest not in seen}
    seen |= shards.keys()
    return list(shards.values()), faults


def _verify_shard(version: Version, shard: ShardEntry) -> list[FileFault]:
    store = version.dataset.shards
    faults = []
    if digest_files(shard.files) != shard.digest:
        faults.append(
            FileFault(
                f"{store.display}/{shard.digest}",
                f"shard {digest_files(shard.files)}",
                shard.digest,
            )
        )
    for path, expected in shard.files.items():
        try:
            found = sha256_bytes(store.read(f"{shard.digest}/{path}"))
        except NotFound:
            found = "no file"
        if found != expected:
            faults.append(
                FileFault(
                    f"{store.display}/{shard.digest}/{path}",
                    f"a file with sha256 {expected}",
                    found,
                )
            )
    return faults
