"""Looks at weights that a network of pictures may start from: of which network they are."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec

from storage.base.errors import StorageError
from storage.base.redaction import redact
from storage.sources.faults import translated
from tasks.drafting.guesses import DraftError

MOST_HEADER_BYTES = 16 << 20
_BLOCK = re.compile(r"layer([1-4])\.(\d+)\.conv1\.weight")
_FAULTS = (
    StorageError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
)
REMEDY = (
    "give a safetensors file of a residual network under torchvision's names, such as resnet18; "
    "of others write the recipe by hand, as in docs/recipe.md"
)


@dataclass(frozen=True)
class Weights:
    """A residual network's weights.

    Attributes:
        url: Where they lie.
        params: Of the family `resnet` that takes them.
        channels: Of the pictures that it takes.
    """

    url: str
    params: Mapping[str, Any]
    channels: int


def look_at_weights(url: str) -> Weights:
    """Read names and shapes of the tensors of a safetensors file, and nothing else of it.

    Raises:
        DraftError: It cannot be read, or is of no residual network of basic blocks.
    """
    if redact(url) != url:
        raise DraftError(
            f"--start-from ({redact(url)}) must be an address without a secret, for it is written "
            "into the recipe; give a file on this machine, or leave the secret to the environment"
        )
    if "://" not in url:
        url = str(Path(url).expanduser().absolute())
    shapes = _read_shapes(url)
    stem = shapes.get("conv1.weight", ())
    blocks: dict[int, int] = {}
    widths: dict[int, int] = {}
    for name, shape in shapes.items():
        found = _BLOCK.fullmatch(name)
        if found is not None and len(shape) == 4:
            stage = int(found[1])
            blocks[stage] = max(blocks.get(stage, 0), int(found[2]) + 1)
            widths[stage] = int(shape[0])
    stages = sorted(blocks)
    odd = any(".conv3." in name for name in shapes)
    if len(stem) != 4 or odd or not stages or stages != list(range(1, len(stages) + 1)):
        what = "one of bottlenecks" if odd else f"{len(shapes)} tensors of something else"
        raise DraftError(
            f"--start-from ({redact(url)}) must hold a residual network of basic blocks; got "
            f"{what}; {REMEDY}"
        )
    if stem[1] not in (1, 3) or stem[2] not in (3, 7) or stem[0] != widths[1]:
        raise DraftError(
            f"--start-from ({redact(url)}) must begin with a convolution of 3 or 7 pixels over 1 "
            f"or 3 channels; got the shape {list(stem)}; {REMEDY}"
        )
    params = {
        "blocks": [blocks[stage] for stage in stages],
        "widths": [widths[stage] for stage in stages],
        "stem": "large" if stem[2] == 7 else "small",
    }
    return Weights(url, params, int(stem[1]))


def _read_shapes(url: str) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor, by its name."""
    try:
        return {
            name: tuple(int(edge) for edge in about["shape"])
            for name, about in json.loads(_read_header(url)).items()
            if name != "__metadata__"
        }
    except _FAULTS as error:
        told = redact(str(error))[:200] or type(error).__name__
        raise DraftError(
            f"--start-from ({redact(url)}) must be a safetensors file that can be read; got: "
            f"{told}; {REMEDY}"
        ) from error


def _read_header(url: str) -> bytes:
    with translated(redact(url)), fsspec.open(url, "rb") as file:
        size_bytes = int.from_bytes(file.read(8), "little")
        # What is larger is no header: its JSON would be cut, and refused.
        return bytes(file.read(min(size_bytes, MOST_HEADER_BYTES)))
