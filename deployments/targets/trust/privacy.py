"""How much may be kept of what a model is asked: the recipe says it, and its receipt has signed it.

A receipt lies beside each model; what keeps records reads there the most that may be kept.
"""

import json
from typing import Any, Final

from deployments.targets.specs import Records

LEVELS: Final[tuple[Records, ...]] = ("off", "metadata", "full")
"""From nothing to all."""


def read_privacy(receipt: bytes, channel: str) -> Records:
    """Return the most that may be kept of what a model is asked on a channel.

    Args:
        receipt: The bytes of the receipt that cleared it, verified.
        channel: Name of the channel.

    Returns:
        "full" where the recipe says nothing; "off" of what cannot be read, or is not known here.
    """
    try:
        recipe = json.loads(receipt)["signed"]["recipe"]
        targets: Any = recipe.get("document", {}).get("targets") or {}
        said = (targets.get(channel) or {}).get("records", "full")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return "off"
    return next((level for level in LEVELS if level == said), "off")


def find_least(one: Records, other: Records) -> Records:
    """Return what keeps less of both."""
    return min(one, other, key=LEVELS.index)
