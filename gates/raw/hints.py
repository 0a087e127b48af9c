"""Hints that checks of several forms end with."""

from collections.abc import Mapping, Sequence

from gates.raw.column_facts import UnreadableFacts
from storage.base.cells import explain_unreadable

VAST = (
    "numbers beyond 3.4e38 count as infinite, since a model computes in float32; mend them, or "
    "read them as missing (data.missing)"
)


def hint_undeclared(names: Sequence[str]) -> str:
    """Return what to do about classes that are in the source and not in the recipe."""
    if not names:
        return ""
    return f"data.labels lacks {', '.join(map(repr, names))}: add it, or mend the source"


def hint_unreadable(found: Mapping[str, UnreadableFacts], rows: int) -> str:
    """Return which values cannot be read, where the first ones stand, and what to do about them."""
    columns = {name: column for name, column in found.items() if column.count}
    if not columns:
        return ""
    told = "; ".join(f"{name} has {_tell(column)}" for name, column in columns.items())
    values = [value for column in columns.values() for value in column.values]
    whys = dict.fromkeys(filter(None, map(explain_unreadable, values)))
    worst = max(column.count for column in columns.values()) / max(1, rows)
    remedies = [
        *whys,
        "mend the source, name texts that mean that there is no value in data.missing, or raise "
        f"max_unreadable_fraction to {worst:.3g} to learn without these values",
    ]
    return f"{told}: {'; '.join(remedies)}"


def _tell(column: UnreadableFacts) -> str:
    pairs = zip(column.values, column.places, strict=True)
    return ", ".join(f"{value!r} at {place}" for value, place in pairs)
