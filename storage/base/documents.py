"""Records as plain data that older readers take, too."""

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import BaseModel


def leave_out_defaults(
    record: BaseModel, document: Mapping[str, Any], kept: Collection[str]
) -> dict[str, Any]:
    """Return the document of a record without keys that stand at their default.

    Args:
        record: The record.
        document: All of its keys.
        kept: Those that stand there in any case.
    """
    fields = type(record).model_fields
    return {
        name: value
        for name, value in document.items()
        if name in kept or getattr(record, name) != fields[name].default
    }
