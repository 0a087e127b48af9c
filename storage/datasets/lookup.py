"""Finds the number of a version by what people call it: a number, a tag, a date."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from storage.base.errors import NotFound
from storage.datasets.log import CommitLog, LogEntry, LoggedEntry

LATEST = "latest"


def find_version(
    history: CommitLog, version: int | str | datetime | None, head: LoggedEntry
) -> int:
    """Return the number of a version.

    Args:
        history: The log.
        version: Its number, also as text; a tag; a date or time; `name@` before any of these; None
            for the latest.
        head: The latest entry of the log.

    Raises:
        NotFound: There is no such version.
    """
    asked = version.removeprefix(f"{history.dataset}@") if isinstance(version, str) else version
    if asked is None or asked == LATEST:
        return require_version(head.entry)
    if isinstance(asked, str) and asked in head.entry.tags:
        return head.entry.tags[asked]
    if isinstance(asked, str):
        asked = (
            int(asked)
            if asked.isdecimal()
            else _parse_time(history.dataset, asked, head.entry.tags)
        )
    if isinstance(asked, datetime):
        return _find_time(history, asked if asked.tzinfo else asked.replace(tzinfo=UTC), head)
    if 0 <= asked <= head.entry.number and history.read(asked).entry.is_version:
        return asked
    raise NotFound(
        f"version {asked} of dataset {history.dataset} must exist; the latest is "
        f"{head.entry.version}; `lepton datasets log {history.dataset}` lists all"
    )


def require_version(entry: LogEntry) -> int:
    """Return the number of the latest version at an entry.

    Raises:
        NotFound: There is none yet.
    """
    if entry.version is None:
        raise NotFound(f"dataset {entry.dataset} must have a version; got none; collect data first")
    return entry.version


def _parse_time(name: str, text: str, tags: Mapping[str, int]) -> datetime:
    """Parses a date or time; a date means its end: what was the latest on that day."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise NotFound(
            f"version {text!r} of dataset {name} must be a number, a tag "
            f"({', '.join(sorted(tags)) or 'there is none'}) or an ISO date; `lepton datasets log "
            f"{name}` lists all"
        ) from None
    parsed = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    return parsed + timedelta(days=1, microseconds=-1) if len(text) <= len("2026-01-01") else parsed


def _find_time(history: CommitLog, when: datetime, head: LoggedEntry) -> int:
    """Finds the version of a time by bisection, for times in the log never go back."""
    low, high = -1, head.entry.number
    while low < high:
        middle = (low + high + 1) // 2
        if history.read(middle).entry.created_at <= when:
            low = middle
        else:
            high = middle - 1
    number = history.read(low).entry.version if low >= 0 else None
    if number is None:
        raise NotFound(
            f"dataset {history.dataset} must have had a version at {when.isoformat()}; the first "
            "came later; choose a later time"
        )
    return number
