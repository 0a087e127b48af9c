"""Datasets and their versions.

A commit writes shards, then a manifest, then one entry of the log, created once. Until that entry
exists nobody sees anything of it; from then on it is there for good. Writers are optimistic: who
comes second reads the new state and tries again. Nothing is ever overwritten, so a reader keeps the
version that it opened.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from storage.base.errors import Conflict, InvalidInput, NotFound
from storage.base.store import canonical_json
from storage.datasets.files import DatasetFiles
from storage.datasets.guards import check_uncollected, check_unpurged, redirect_manifest
from storage.datasets.log import LogEntry, LoggedEntry
from storage.datasets.lookup import LATEST, find_version, require_version
from storage.datasets.manifest import Manifest, count_splits, write_manifest
from storage.datasets.version import Version
from storage.shards.entry import ShardEntry

_TAG = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,127}")


class Dataset(DatasetFiles):
    """A named series of versions in a workspace.

    Args:
        workspace: The workspace.
        name: Letters, digits, '.', '_' and '-'.

    Attributes:
        shards: Folder of the shards; `storage.shards.writing.write_shard` writes there.
        manifests: Folder of the manifests.
        history: The commit log.
    """

    def latest(self) -> Version | None:
        """Return the newest version; None before the first commit."""
        head = self.history.find_head()
        return (
            self._load(head.entry.version, head)
            if head and head.entry.version is not None
            else None
        )

    def open(self, version: int | str | datetime | None = None) -> Version:
        """Opens a version.

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

    def iter_versions(self, head: LoggedEntry | None = None) -> Iterator[Version]:
        """Yield the versions kept up to an entry of the log, or to the latest, oldest first."""
        head = head or self.history.find_head()
        for number in self.history.list_numbers() if head else ():
            if head is None or number > head.entry.number or number in head.entry.dropped:
                continue
            if self.history.read(number).entry.is_version:
                yield self._load(number, head)

    def commit(
        self,
        shards: Sequence[ShardEntry],
        *,
        kind: str,
        parent: int | None,
        info: Mapping[str, Any] | None = None,
        message: str = "",
    ) -> Version:
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
                    f"got {base.number if base else 'none'}; open the latest version and try again"
                )
            return shards

        return self.publish(follow, kind=kind, info=info, message=message)

    def append(
        self,
        shards: Sequence[ShardEntry],
        *,
        info: Mapping[str, Any] | None = None,
        message: str = "",
    ) -> Version:
        """Adds shards to the latest version, whichever it is by then.

        Shards that are there already are not added.

        Raises:
            Conflict: Other writers won every time, or a shard was collected as garbage meanwhile.
            InvalidInput: The fields are not those of the dataset.
        """

        def extend(base: Version | None) -> Sequence[ShardEntry]:
            kept = base.shards if base else ()
            known = {(shard.digest, shard.split) for shard in kept}
            return [*kept, *(shard for shard in shards if (shard.digest, shard.split) not in known)]

        return self.publish(extend, kind="append", info=info, message=message)

    def replace(
        self,
        shards: Sequence[ShardEntry],
        *,
        kind: str = "replace",
        info: Mapping[str, Any] | None = None,
        message: str = "",
    ) -> Version:
        """Makes these shards the whole content, whatever the latest version is.

        Older versions stay.
        """
        return self.publish(lambda _: shards, kind=kind, info=info, message=message)

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
                "not 'latest'; choose another one"
            )

        def change(head: LoggedEntry | None) -> dict[str, Any] | None:
            number = self.open(version).number
            tags = head.entry.tags if head else {}
            if tags.get(name) == number:
                return None
            if name in tags and not move:
                raise Conflict(
                    f"tag {name} of dataset {self.name} must name one version; it names "
                    f"{tags[name]}; move it on purpose (move=True), or choose another name"
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

    def publish(
        self,
        choose: Callable[[Version | None], Sequence[ShardEntry]],
        *,
        kind: str,
        info: Mapping[str, Any] | None = None,
        message: str = "",
    ) -> Version:
        """Publishes what follows from the latest version, again while other writers are in between.

        Args:
            choose: Gets the latest version, None before the first; gives all shards of the next.
            kind: What is done, such as "collect".
            info: What should be known about the version, as JSON; None for that of the one before.
            message: A sentence for people.

        Raises:
            Conflict: Other writers won every time, or a shard was collected as garbage meanwhile.
            InvalidInput: The shards cannot be one version.
        """
        canonical_json(dict(info or {}))

        def change(head: LoggedEntry | None) -> dict[str, Any] | None:
            base, before = self._load_base(head)
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

    def _load_base(self, head: LoggedEntry | None) -> tuple[Version | None, Manifest | None]:
        """Return the version that the next one follows, and its manifest; None before the first."""
        if head is None or head.entry.version is None:
            return None, None
        base = self._load(head.entry.version, head)
        manifest = self.read_manifest(base.manifest_digest)
        return replace(base, manifest=manifest), manifest

    def _check_new(
        self,
        shards: Sequence[ShardEntry],
        manifest: Manifest,
        base: Manifest | None,
        head: LoggedEntry | None,
    ) -> None:
        known = {shard.digest for shard in base.shards} if base else set()
        new = [shard for shard in shards if shard.digest not in known]
        check_unpurged(self, new, head)
        check_uncollected(
            self, new, manifest.nodes.keys() - (base.nodes.keys() if base else ()), head
        )

    def _load(self, number: int | None, head: LoggedEntry) -> Version:
        if number is None:
            raise NotFound(
                f"dataset {self.name} ({self.files.display}) must have a version; got none"
            )
        if number in head.entry.dropped:
            raise NotFound(
                f"version {number} of dataset {self.name} must be kept; got one that was dropped, "
                f"for nothing needed it; `lepton datasets log {self.name}` lists all"
            )
        logged = head if number == head.entry.number else self.history.read(number)
        manifest = logged.entry.manifest or ""
        if head.entry.purges and head.entry.purges[-1] > number:
            manifest = redirect_manifest(
                self, manifest, [n for n in head.entry.purges if n > number]
            )
        return Version(self, logged.entry, logged.digest, manifest)
