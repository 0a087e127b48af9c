"""Datasets and their versions.

A commit writes shards, then a manifest, then one entry of the log, created once. Until that entry
exists nobody sees anything of it; from then on it is there for good. Writers are optimistic: who
comes second reads the new state and tries again. Nothing is ever overwritten, so a reader keeps the
version that it opened.
"""

import random
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from storage.base.errors import BeingCollected, Conflict, InvalidInput, NotFound, Overtaken
from storage.base.store import Store, canonical_json
from storage.datasets.log import CommitLog, LogEntry, LoggedEntry
from storage.datasets.lookup import LATEST, find_version, require_version
from storage.datasets.manifest import Manifest, count_splits, read_manifest, write_manifest
from storage.datasets.version import Version
from storage.shards.shard import Rows, ShardEntry

if TYPE_CHECKING:
    from storage.upkeep.gc import Collected
    from storage.upkeep.purge import Purged
    from storage.upkeep.verify import Fault

__all__ = ["Dataset", "Version", "list_datasets"]

FOLDER = "datasets"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_TAG = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,127}")
_ATTEMPTS = 400
_LONGEST_WAIT_S = 0.5


class Dataset:
    """A named series of versions in a workspace.

    Args:
        workspace: The workspace.
        name: Letters, digits, '.', '_' and '-'.

    Attributes:
        shards: Folder of the shards; `storage.shards.shard.write_shard` writes there.
        manifests: Folder of the manifests.
        history: The commit log.
    """

    def __init__(self, workspace: Store, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise InvalidInput(
                f"the name of a dataset ({name!r}) must be letters, digits, '.', '_' and '-', and "
                "start with a letter or a "
                "digit; rename it"
            )
        self.workspace = workspace
        self.name = name
        self.files = workspace.child(FOLDER, name)
        self.shards = self.files.child("shards")
        self.manifests = self.files.child("manifests")
        self.history = CommitLog(self.files.child("log"), name)
        self._manifest: Manifest | None = None

    def __repr__(self) -> str:
        return f"Dataset({self.files.display!r})"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_manifest": None}

    def read_manifest(self, digest: str) -> Manifest:
        """A manifest to build the next one on. Nodes that it shares with the last one are not read again.

        Raises:
            Corrupt: A node is missing or damaged.
        """
        manifest = read_manifest(
            self.manifests, digest, self._manifest.nodes if self._manifest else None
        )
        self._manifest = manifest
        return manifest

    def latest(self) -> "Version | None":
        """The newest version; None before the first commit."""
        head = self.history.find_head()
        return (
            self._load(head.entry.version, head)
            if head and head.entry.version is not None
            else None
        )

    def open(self, version: int | str | datetime | None = None) -> "Version":
        """A version.

        Args:
            version: Its number, also as text; a tag; a date or time (ISO 8601, UTC unless it says
                otherwise) for what was the latest then; `name@` before any of these; None or
                "latest" for the newest.

        Raises:
            NotFound: There is no such version.
            Corrupt: Its log entry or manifest is damaged.
        """
        head = self.history.find_head()
        if head is None or head.entry.version is None:
            raise NotFound(
                f"dataset {self.name} ({self.files.display}) must have a version; got none; "
                "collect data first"
            )
        return self._load(find_version(self.history, version, head), head)

    def iter_versions(self, head: LoggedEntry | None = None) -> "Iterator[Version]":
        """All versions up to an entry of the log, or to the latest, oldest first."""
        head = head or self.history.find_head()
        for number in self.history.list_numbers() if head else ():
            if head and number <= head.entry.number and self.history.read(number).entry.is_version:
                yield self._load(number, head)

    def commit(
        self,
        shards: Sequence[ShardEntry],
        *,
        kind: str,
        parent: int | None,
        info: Mapping[str, Any] | None = None,
        message: str = "",
    ) -> "Version":
        """Publishes shards as the next version.

        Args:
            shards: All shards of the version, in order, written to `self.shards` before.
            kind: What was done, such as "collect".
            parent: Number of the version that this one follows: the latest one that the caller
                knows; None for the first. `replace` is for callers to whom this does not matter.
            info: What should be known about the version, as JSON.
            message: A sentence for people.

        Raises:
            Conflict: The latest version is another one, or a shard was collected as garbage
                meanwhile.
            InvalidInput: The shards cannot be one version.
        """

        def follow(base: Version | None) -> Sequence[ShardEntry]:
            if (base.number if base else None) != parent:
                raise Conflict(
                    f"version {parent} of dataset {self.name} must be its latest to be followed; "
                    "got "
                    f"{base.number if base else 'none'}; open the latest version and try again"
                )
            return shards

        return self._publish(follow, kind=kind, info=info, message=message)

    def append(
        self,
        shards: Sequence[ShardEntry],
        *,
        info: Mapping[str, Any] | None = None,
        message: str = "",
    ) -> "Version":
        """Adds shards to the latest version, whichever it is by then. Shards that are there already are not added.

        Raises:
            Conflict: Other writers won every time, or a shard was collected as garbage meanwhile.
            InvalidInput: The fields are not those of the dataset.
        """

        def extend(base: Version | None) -> Sequence[ShardEntry]:
            kept = base.shards if base else ()
            known = {(shard.digest, shard.split) for shard in kept}
            return [*kept, *(shard for shard in shards if (shard.digest, shard.split) not in known)]

        return self._publish(extend, kind="append", info=info, message=message)

    def replace(
        self,
        shards: Sequence[ShardEntry],
        *,
        kind: str = "replace",
        info: Mapping[str, Any] | None = None,
        message: str = "",
    ) -> "Version":
        """Makes these shards the whole content, whatever the latest version is; older versions stay."""
        return self._publish(lambda _: shards, kind=kind, info=info, message=message)

    def replace_rows(self, rows: Rows, *, message: str = "") -> "Version":
        """Replaces the rows that have the `row_id` of given ones. Writes only the shards that held them.

        Raises:
            NotFound: A row id is not in the latest version.
        """
        from storage.upkeep.edits import RowEdit

        return self._publish(
            RowEdit(self, rows["row_id"], rows).apply, kind="replace-rows", message=message
        )

    def delete_rows(
        self, row_ids: Sequence[int] | NDArray[np.uint64], *, message: str = ""
    ) -> "Version":
        """Deletes rows from the latest version. Writes only the shards that held them; older versions keep the rows.

        Raises:
            NotFound: A row id is not in the latest version.
        """
        from storage.upkeep.edits import RowEdit

        ids = np.asarray(row_ids, np.uint64)
        return self._publish(RowEdit(self, ids, None).apply, kind="delete-rows", message=message)

    def tag(self, name: str, version: int | str | None = None, *, move: bool = False) -> LogEntry:
        """Names a version.

        Args:
            name: A letter, then letters, digits, '.', '_' and '-'; not "latest".
            version: As for `open`.
            move: Whether the tag may leave another version.

        Raises:
            Conflict: The tag names another version, and `move` is not set.
        """
        if not _TAG.fullmatch(name) or name == LATEST:
            raise InvalidInput(
                f"a tag ({name!r}) must be a letter, then letters, digits, '.', '_' and '-', and "
                "not 'latest'; choose "
                "another one"
            )

        def change(head: LoggedEntry | None) -> dict[str, Any] | None:
            number = self.open(version).number
            tags = head.entry.tags if head else {}
            if tags.get(name) == number:
                return None
            if name in tags and not move:
                raise Conflict(
                    f"tag {name} of dataset {self.name} must name one version; it names "
                    f"{tags[name]}; move it on purpose "
                    "(move=True), or choose another name"
                )
            return {
                "kind": "tag",
                "tags": {**tags, name: number},
                "info": {"tag": name},
                "message": f"{name} = {number}",
            }

        return self.record(change).entry

    def untag(self, name: str) -> LogEntry:
        """Removes a tag; the version stays.

        Raises:
            NotFound: There is no such tag.
        """

        def change(head: LoggedEntry | None) -> dict[str, Any]:
            tags = dict(head.entry.tags) if head else {}
            if tags.pop(name, None) is None:
                raise NotFound(
                    f"tag {name} of dataset {self.name} must exist; got {sorted(tags)}; list the "
                    "tags"
                )
            return {"kind": "untag", "tags": tags, "info": {"tag": name}}

        return self.record(change).entry

    def log(self) -> list[LogEntry]:
        """All entries of the log, oldest first."""
        return [self.history.read(number).entry for number in self.history.list_numbers()]

    def gc(self, grace_s: float = 24 * 3600, *, dry_run: bool = False) -> "Collected":
        """Deletes files that no version needs; see `storage.upkeep.gc.collect_garbage`."""
        from storage.upkeep.gc import collect_garbage

        return collect_garbage(self, timedelta(seconds=grace_s), dry_run=dry_run)

    def purge_rows(self, row_ids: Sequence[int] | NDArray[np.uint64], *, reason: str) -> "Purged":
        """Deletes rows from every version, for good; see `storage.upkeep.purge.purge_rows`."""
        from storage.upkeep.purge import purge_rows

        return purge_rows(self, np.asarray(row_ids, np.uint64), reason=reason)

    def verify(self) -> "list[Fault]":
        """Checks the log and every file of every version; see `storage.upkeep.verify`."""
        from storage.upkeep.verify import verify_dataset

        return verify_dataset(self)

    def record(self, change: Callable[[LoggedEntry | None], dict[str, Any] | None]) -> LoggedEntry:
        """Adds an entry to the log, again and again until no other writer is in between.

        Args:
            change: Gets the latest entry, gives the fields of the next one, or None if there is
                nothing to do.

        Raises:
            Conflict: Other writers won every time.
        """
        for attempt in range(_ATTEMPTS):
            head = self.history.find_head()
            try:
                fields = change(head)
                return (
                    head
                    if fields is None and head is not None
                    else self.history.put(head, **(fields or {}))
                )
            except (Overtaken, BeingCollected):
                if attempt == _ATTEMPTS - 1:
                    raise
                # Spread the writers, so that each gets its turn.
                time.sleep(random.uniform(0, min(_LONGEST_WAIT_S, 0.002 * 2 ** min(attempt, 8))))  # noqa: S311
        raise Conflict(
            f"an entry of dataset {self.name} must find its turn; got none; try again later"
        )

    def _publish(
        self,
        choose: Callable[["Version | None"], Sequence[ShardEntry]],
        *,
        kind: str,
        info: Mapping[str, Any] | None = None,
        message: str = "",
    ) -> "Version":
        canonical_json(dict(info or {}))

        def change(head: LoggedEntry | None) -> dict[str, Any] | None:
            base = (
                self._load(head.entry.version, head)
                if head and head.entry.version is not None
                else None
            )
            before = self.read_manifest(base.manifest_digest) if base else None
            base = replace(base, manifest=before) if base else None
            shards = choose(base)
            if base and kind == "append" and len(shards) == len(base.shards):
                return None
            manifest = write_manifest(self.manifests, shards, before)
            self._check_new(shards, manifest, before, head)
            self._manifest = manifest
            number = head.entry.number + 1 if head else 0
            return {
                "kind": kind,
                "version": number,
                "previous": base.number if base else None,
                "manifest": manifest.digest,
                "rows": count_splits(shards),
                "info": dict(info) if info is not None else (base.info if base else {}),
                "message": message,
            }

        logged = self.record(change)
        return self._load(require_version(logged.entry), logged)

    def _check_new(
        self,
        shards: Sequence[ShardEntry],
        manifest: Manifest,
        base: Manifest | None,
        head: LoggedEntry | None,
    ) -> None:
        from storage.upkeep.gc import check_uncollected
        from storage.upkeep.purge import check_unpurged

        known = {shard.digest for shard in base.shards} if base else set()
        new = [shard for shard in shards if shard.digest not in known]
        check_unpurged(self, new, head)
        check_uncollected(
            self, new, manifest.nodes.keys() - (base.nodes.keys() if base else ()), head
        )

    def _load(self, number: int | None, head: LoggedEntry) -> "Version":
        if number is None:
            raise NotFound(
                f"dataset {self.name} ({self.files.display}) must have a version; got none"
            )
        logged = head if number == head.entry.number else self.history.read(number)
        manifest = logged.entry.manifest or ""
        if head.entry.purges and head.entry.purges[-1] > number:
            from storage.upkeep.purge import redirect_manifest

            manifest = redirect_manifest(
                self, manifest, [n for n in head.entry.purges if n > number]
            )
        return Version(self, logged.entry, logged.digest, manifest)


def list_datasets(workspace: Store) -> list[str]:
    """Names of the datasets of a workspace, sorted."""
    return [name for name in workspace.listdir(FOLDER) if _NAME.fullmatch(name)]
