"""The artifacts that can be made of a network: a table that plug-ins can add to, without torch."""

from dataclasses import dataclass

from storage.base.registry import Registry

FP32 = "fp32"
"""The reference that all others are measured against."""


@dataclass(frozen=True)
class RungSpec:
    """One artifact that can be made of a network.

    Attributes:
        name: As in `compress.candidates`, and its file without the ending.
        learns: Whether a network is trained for it, within `compress.max_minutes`.
    """

    name: str
    learns: bool = False


RUNGS: Registry[RungSpec] = Registry("artifact", "specs")
for _rung in (
    *map(RungSpec, (FP32, "fp16", "int8", "int8_dynamic", "int8_weights", "int4_weights")),
    RungSpec("pruned", learns=True),
    RungSpec("pruned_int8", learns=True),
    RungSpec("distilled", learns=True),
    RungSpec("distilled_int8", learns=True),
    RungSpec("int8_aware", learns=True),
):
    RUNGS.register(_rung.name, _rung)


def list_rungs() -> tuple[str, ...]:
    """Returns the names of all artifacts, in the order in which they are made."""
    return tuple(RUNGS)
