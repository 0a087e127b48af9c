"""Refuses JSON in which an object names a key twice: one of the values would be lost unsaid."""

import json
from collections.abc import Sequence
from typing import Any

from storage.base.redaction import redact

MOST_SHOWN = 60


class RepeatedKey(ValueError):
    """An object names a key twice; the message says which."""


def load_json(text: str | bytes) -> Any:
    """Return what a JSON text holds.

    Raises:
        RepeatedKey: An object of it names a key twice.
        ValueError: It is no JSON.
        RecursionError: It is nested too deeply.
    """
    return json.loads(text, object_pairs_hook=_require_single)


def _require_single(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))
        raise RepeatedKey(f"key {redact(twice)[:MOST_SHOWN]!r} stands twice; write it once")
    return found
