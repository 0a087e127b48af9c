"""Tells a value that somebody wrote in a few words, without what may be secret."""

from collections.abc import Mapping, Sequence
from typing import Any

from storage.base.redaction import redact, redact_said, show_name

MOST_CHARACTERS = 80
MOST_NAMED = 5
MOST_LISTED = 20


def show_value(value: Any) -> str:
    """Return a value in a few words: short, without secrets, and of sections only the names.

    Args:
        value: Of a key that is known; of any other, `name_type` is all that may be told.
    """
    if isinstance(value, Mapping):
        names = [show_name(name) for name in value]
        more = ", ..." if len(names) > MOST_NAMED else ""
        return f"a section of {', '.join(names[:MOST_NAMED])}{more}" if names else "{}"
    if isinstance(value, list | tuple) and any(
        isinstance(item, Mapping | list | tuple) for item in value
    ):
        return f"a list of {len(value)}"
    text = redact_said(value if isinstance(value, str) and "://" in value else repr(value))
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 3] + "..."


def list_names(names: Sequence[str]) -> str:
    """Return names that stand in a file: the first ones, each cut and without secrets."""
    shown = [show_text(name) for name in names[:MOST_LISTED]]
    more = f" and {len(names) - MOST_LISTED:,} more" if len(names) > MOST_LISTED else ""
    return ", ".join(shown) + more


def show_text(text: str) -> str:
    """Return a text as it stands, cut where it is long, and without secrets."""
    found = redact(text[: 4 * MOST_CHARACTERS])
    return found if len(found) <= MOST_CHARACTERS else found[: MOST_CHARACTERS - 3] + "..."


def name_type(value: Any) -> str:
    """Return what a value is, and nothing of it."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "a section"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, int | float):
        return "a number"
    return "a text" if isinstance(value, str) else f"of type {type(value).__name__}"
