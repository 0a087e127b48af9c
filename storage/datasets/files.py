"""Where a dataset keeps its files, and the log that puts its writers in one order."""

import random
import re
import time
from collections.abc import Callable
from typing import Any

from storage.base.errors import BeingCollected, Conflict, InvalidInput, Overtaken
from storage.base.store import Store
from storage.datasets.log import CommitLog, LogEntry, LoggedEntry
from storage.datasets.manifest import Manifest, name_manifest, read_manifest

FOLDER = "datasets"
SHARDS = "shards"
MANIFESTS = "manifests"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_ATTEMPTS = 400
_LONGEST_WAIT_S = 0.5


class DatasetFiles:
    """The folders of one dataset in a workspace, and its log.

    Args:
        workspace: The workspace.
        name: Letters, digits, '.', '_' and '-'.

    Attributes:
        shards: Folder of the shards; `storage.shards.writing.write_shard` writes there.
        manifests: Folder of the manifests.
        history: The commit log.
    """

    def __init__(self, workspace: Store, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise InvalidInput(
                f"the name of a dataset ({name!r}) must be letters, digits, '.', '_' and '-', and "
                "start with a letter or a digit; rename it"
            )
        self.workspace = workspace
        self.name = name
        self.files = workspace.child(FOLDER, name)
        self.shards = self.files.child(SHARDS)
        self.manifests = self.files.child(MANIFESTS)
        self.history = CommitLog(self.files.child("log"), name)
        self._manifest: Manifest | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.files.display!r})"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_manifest": None}

    def read_manifest(self, digest: str) -> Manifest:
        """Reads a manifest to build the next one on; nodes of the last one are not read again.

        Raises:
            Corrupt: A node is missing or damaged.
        """
        known = self._manifest.nodes if self._manifest else None
        self._manifest = read_manifest(self.manifests, digest, known)
        return self._manifest

    def log(self) -> list[LogEntry]:
        """Lists all entries of the log, oldest first."""
        return [self.history.read(number).entry for number in self.history.list_numbers()]

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
                if fields is None and head is not None:
                    return head
                return self.history.put(head, **(fields or {}))
            except (Overtaken, BeingCollected):
                if attempt == _ATTEMPTS - 1:
                    raise
                # Spread the writers, so that each gets its turn.
                longest_s = min(_LONGEST_WAIT_S, 0.002 * 2 ** min(attempt, 8))
                time.sleep(random.uniform(0, longest_s))  # noqa: S311
        raise Conflict(
            f"an entry of dataset {self.name} must find its turn; got none; try again later"
        )


def name_shard(digest: str) -> str:
    """Name a shard as the log's lists of deletions do."""
    return f"{SHARDS}/{digest}"


def name_node(digest: str) -> str:
    """Name the file of a manifest's node as the log's lists of deletions do."""
    return f"{MANIFESTS}/{name_manifest(digest)}"


def list_datasets(workspace: Store) -> list[str]:
    """List the names of a workspace's datasets, sorted."""
    return [name for name in workspace.listdir(FOLDER) if _NAME.fullmatch(name)]
