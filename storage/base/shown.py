"""Tells a value that somebody wrote in a few words, without what may be secret."""

from collections.abc import Mapping
from typing import Any

from storage.base.redaction import redact_said, show_name

MOST_CHARACTERS = 80
MOST_NAMED = 5


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
