"""Hints that checks of several forms end with."""

from collections.abc import Sequence


def hint_undeclared(names: Sequence[str]) -> str:
    """Return what to do about classes that are in the source and not in the recipe."""
    if not names:
        return ""
    return f"data.labels lacks {', '.join(map(repr, names))}: add it, or mend the source"
