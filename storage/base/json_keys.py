"""Refuses JSON in which an object names a key twice: one of the values would be lost unsaid."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from storage.base.redaction import redact

MOST_SHOWN = 60


class RepeatedKey(ValueError):
    """An object names a key twice.

    Attributes:
        key: That key, without secrets and not at any length, in quotes.
    """

    def __init__(self, name: str) -> None:
        self.key = repr(redact(name)[:MOST_SHOWN])
        super().__init__(f"key {self.key} stands twice; write it once")


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
        counts = Counter(name for name, _ in pairs)
        raise RepeatedKey(next(name for name, count in counts.items() if count > 1))
    return found
