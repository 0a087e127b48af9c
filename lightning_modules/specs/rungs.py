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
        what: What it is, in a few words.
        learns: Whether a network is trained for it, within `compress.max_minutes`.
    """

    name: str
    what: str
    learns: bool = False


RUNGS: Registry[RungSpec] = Registry("artifact", "specs")
for _rung in (
    RungSpec(FP32, "float32, as it was trained"),
    RungSpec("fp16", "weights of 16 bits, floating arithmetic"),
    RungSpec("int8", "8-bit weights; of pixels 8-bit activations, too"),
    RungSpec("int8_dynamic", "8-bit products, ranges of activations taken from each batch"),
    RungSpec("int8_weights", "8-bit weights, floating arithmetic"),
    RungSpec("int4_weights", "4-bit weights of products, floating arithmetic"),
    RungSpec("pruned", "its weakest channels cut off, trained on", learns=True),
    RungSpec("pruned_int8", "the pruned network in 8 bits", learns=True),
    RungSpec("distilled", "a smaller network, taught by it", learns=True),
    RungSpec("distilled_int8", "the taught network in 8 bits", learns=True),
    RungSpec("int8_aware", "8 bits, trained on with them in mind", learns=True),
):
    RUNGS.register(_rung.name, _rung)


def list_rungs() -> tuple[str, ...]:
    """Returns the names of all artifacts, in the order in which they are made."""
    return tuple(RUNGS)
