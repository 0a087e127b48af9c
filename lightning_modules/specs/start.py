"""Weights that a network starts from, as a recipe says it."""

import re
from typing import Any

from pydantic import ValidationInfo, field_validator, model_validator

from lightning_modules.specs.base import Spec


class StartSpec(Spec):
    """Weights that the network starts from, instead of drawn ones.

    All that `fresh` does not name must be there and fit.

    The head is always fitted to the training rows at hand.
    """

    model: str | None = None
    """Id of a model that was promoted in this workspace, its first 8 digits or more. No held-out
    row may be one that it learned from: the prepared gate looks."""
    url: str | None = None
    """Instead of that a safetensors file at a path or an fsspec URL, with a network's tensors under
    their names in it, as `layer1.0.conv1.weight`. What that network learned from, nobody here can
    know."""
    sha256: str | None = None
    """What the file's bytes must hash to. None takes any; the receipt says which they were."""
    fresh: tuple[str, ...] = ()
    """Parts of the network that are drawn all the same, by the first words of their names, as
    `classifier` or `fc`: the last layer, where other classes are to be told apart; `head` for
    embeddings of texts. Of what the file alone has: parts to pass over."""
    freeze: tuple[str, ...] = ()
    """Parts that stay as they come, normalisation and dropout included, as `features` of the CNN or
    `layer1` of the ResNet."""

    @field_validator("model", "sha256", mode="before")
    @classmethod
    def _check_digits(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, int | float):
            raise ValueError(  # noqa: TRY004 - pydantic takes no other
                f"{info.field_name} ({value}) must be text; got a number, as YAML reads digits "
                "alone; write it in quotes"
            )
        return value

    @model_validator(mode="after")
    def _check_origin(self) -> "StartSpec":
        if (self.model is None) == (self.url is None):
            raise ValueError(
                "name a model, or the url of a file, and not both; write model: ID, or url: FILE"
            )
        for name, value, fewest in (("model", self.model, 8), ("sha256", self.sha256, 64)):
            if value is not None and not re.fullmatch(f"[0-9a-f]{{{fewest},64}}", value):
                digits = "64" if fewest == 64 else f"{fewest} to 64"
                raise ValueError(
                    f"{name} ({value}) must be {digits} digits of 0-9 and a-f; got others; mend it"
                )
        if self.sha256 is not None and self.model is not None:
            raise ValueError(
                f"sha256 ({self.sha256}) must go with a url; got a model, whose id says it; leave "
                "it out"
            )
        both = [part for part in self.freeze if any(_overlap(part, other) for other in self.fresh)]
        if both:
            raise ValueError(
                f"freeze ({', '.join(both)}) must not name what is drawn: it would never learn; "
                "take it out of one"
            )
        return self


def _overlap(part: str, other: str) -> bool:
    """Tells whether one of two parts of a network lies in the other."""
    return f"{part}.".startswith(f"{other}.") or f"{other}.".startswith(f"{part}.")
