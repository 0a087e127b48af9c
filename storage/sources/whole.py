"""Tells a source that was written down without its secrets from one that can be read."""

from collections.abc import Mapping

from storage.base.errors import SourceUnavailable
from storage.base.redaction import MASK
from storage.sources.base import Source


def require_whole(source: Source) -> None:
    """Checks that nothing of a source was left out because it is secret.

    Raises:
        SourceUnavailable: It was, as in what a lost run wrote down, or a receipt.
    """
    if _holds_mask(source.model_dump()):
        raise SourceUnavailable(
            f"source ({source.display}) must be given whole; got {MASK} where a secret was left "
            "out; run the recipe again, or leave secrets to the environment"
        )


def _holds_mask(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(map(_holds_mask, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_holds_mask, value))
    return isinstance(value, str) and MASK in value
