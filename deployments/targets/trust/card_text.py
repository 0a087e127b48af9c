"""The bytes of a card before anything of them is believed: how many parts, and which format."""

import json
from typing import Final

from deployments.targets.errors import BadArtifact

MOST_PARTS: Final = 2**18
"""Most commas: what a card costs is known before it is parsed."""


def check_format(data: bytes, wanted: int) -> None:
    """Checks that a card states the format that is known here.

    Raises:
        BadArtifact: The bytes are no JSON, have too many parts, or are of another format.
    """
    if data.count(b",") > MOST_PARTS:
        raise BadArtifact(
            f"model card must have at most {MOST_PARTS} parts; got more; publish the model again"
        )
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadArtifact(
            f"model card must be JSON; got {error}; publish the model again"
        ) from error
    found = document.get("format") if isinstance(document, dict) else None
    if found != wanted:
        older = found in range(wanted)
        remedy = "run the recipe again" if older else "read it with a newer Lepton"
        raise BadArtifact(f"model card must have format {wanted}; got {found!r}; {remedy}")
