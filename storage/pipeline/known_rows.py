"""Holds collected rows to ids that are theirs alone.

An id is a hash of where a row came from. Where rows are counted inside a member, ids differ if no
record is counted twice, which costs a look at a shard's span; where each row is a member of its
own, the ids themselves are looked at.
"""

import numpy as np
from numpy.typing import NDArray

from storage.base.errors import SourceError
from storage.shards.entry import ShardEntry


class KnownRows:
    """Remembers where rows came from, and refuses those that came before.

    Args:
        display: The source's address, for messages.
    """

    def __init__(self, display: str) -> None:
        self._display = display
        self._stops: dict[str, int] = {}
        self._ids: list[NDArray[np.uint64]] = []

    def add(self, entry: ShardEntry, ids: NDArray[np.uint64] | None) -> None:
        """Adds the rows of one part, in the order of the source.

        Args:
            entry: Its shard.
            ids: Ids of rows that are members of their own; None where rows are counted.

        Raises:
            SourceError: One of its records was counted before.
        """
        if ids is not None:
            self._ids.append(ids)
            return
        for span in entry.source:
            if span.start < self._stops.get(span.name, 0):
                raise self._refuse(f"records of {span.name} from {span.start} on")
            self._stops[span.name] = span.stop

    def check(self) -> None:
        """Checks that no member came twice.

        Raises:
            SourceError: One did.
        """
        if not self._ids:
            return
        ids = np.concatenate(self._ids)
        twice = len(ids) - len(np.unique(ids))
        if twice:
            raise self._refuse(f"{twice} members")

    def _refuse(self, what: str) -> SourceError:
        return SourceError(
            f"source ({self._display}) must hold each record once; got {what} twice; give its "
            "members names that differ"
        )
