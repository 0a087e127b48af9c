"""Versions that are no longer kept: the log says so, then a collection deletes their files.

The log is not rewritten: it goes on saying what a version was, and since when it is gone.
"""

from collections.abc import Sequence
from typing import Any

from storage.base.errors import Conflict
from storage.datasets.dataset import Dataset
from storage.datasets.log import LoggedEntry


def drop_versions(dataset: Dataset, numbers: Sequence[int], *, reason: str) -> tuple[int, ...]:
    """Lets versions go; what only they need is garbage from then on.

    Args:
        dataset: The dataset.
        numbers: The versions; those that are gone already are no fault.
        reason: Why; kept in the log.

    Returns:
        The versions that went now.

    Raises:
        Conflict: One is the latest, or has a tag.
        NotFound: There is no such version.
    """
    done: tuple[int, ...] = ()

    def change(head: LoggedEntry | None) -> dict[str, Any] | None:
        nonlocal done
        gone = head.entry.dropped if head else ()
        done = tuple(sorted(set(numbers) - set(gone)))
        for number in done:
            dataset.open(number)
            _require_unneeded(dataset, number, head)
        if not done:
            return None
        return {
            "kind": "drop",
            "dropped": tuple(sorted({*gone, *done})),
            "info": {"versions": list(done), "reason": reason},
            "message": f"{len(done)} versions dropped",
        }

    if set(numbers):
        dataset.record(change)
    return done


def _require_unneeded(dataset: Dataset, number: int, head: LoggedEntry | None) -> None:
    entry = head.entry if head else None
    tags = [tag for tag, named in entry.tags.items() if named == number] if entry else []
    if tags or (entry is not None and entry.version == number):
        raise Conflict(
            f"version {number} of dataset {dataset.name} must have no tag and not be the latest to "
            f"be dropped; got {f'tag {tags[0]}' if tags else 'the latest'}; remove the tag, or "
            "keep it"
        )
