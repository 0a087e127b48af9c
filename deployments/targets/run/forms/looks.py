"""Tells when a picture looks unlike all that a model learned from: too dark, too light, too flat.

The golden samples of a card are made of values that validation rows have at each place, so they are
as light, and as varied, as what was learned from.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.targets.run.forms.arrays import Raw
from deployments.targets.trust.card import Card
from deployments.targets.trust.golden import ArrayText
from storage.base.registry import Registry

FAR = 0.35
"""Part of the range of values by which a picture's mean may differ from that of golden samples.
Photographs of one kind of thing stay below; ink on paper, asked of a model of light on dark, does
not."""
FLAT = 0.1
"""Part of the golden samples' spread that a picture has at least."""
_TOGETHER = 256
"""Pictures that are measured at once: few enough for their floats to be no load."""

Notes = tuple[tuple[int, str], ...]
Noter = Callable[[Raw, Card], Notes]
"""From raw samples (N, *shape) and the card to what a person should know of single ones."""

NOTERS: Registry[Noter] = Registry("form of input that is looked at", "targets")
"""Every such function by its form; most forms have none."""


@dataclass(frozen=True)
class Look:
    """How light pictures are, and how varied, both as parts of the range of values."""

    mean: float
    spread: float


def note_looks(raw: Raw, card: Card) -> Notes:
    """Note pictures that are far lighter, darker or flatter than those that were learned from."""
    if card.input.value_range is None:
        return ()
    known = _measure_golden(card.golden.input, card.input.bounds)
    looks = (
        look
        for start in range(0, len(raw), _TOGETHER)
        for look in _measure_each(raw[start : start + _TOGETHER], card.input.bounds)
    )
    told = ((number, _compare(look, known)) for number, look in enumerate(looks))
    return tuple((number, words) for number, words in told if words)


def _compare(found: Look, known: Look) -> str:
    if found.spread < FLAT * known.spread:
        return (
            f"a picture of nearly one value: its spread is {found.spread:.2f} of the range, where "
            f"{known.spread:.2f} was learned from; is it scaled otherwise?"
        )
    if abs(found.mean - known.mean) <= FAR:
        return ""
    how = "lighter" if found.mean > known.mean else "darker"
    turned = abs(found.mean - (1 - known.mean)) < abs(found.mean - known.mean)
    return (
        f"a picture far {how} than those that were learned from: its mean is {found.mean:.2f} of "
        f"the range, theirs {known.mean:.2f}"
        + ("; are dark and light the other way round?" if turned else "")
    )


def _measure(values: NDArray[Any], bounds: tuple[float, float]) -> Look:
    return _measure_each(values[np.newaxis], bounds)[0]


def _measure_each(pictures: NDArray[Any], bounds: tuple[float, float]) -> list[Look]:
    """Measure pictures (N, ...), each for itself."""
    low, high = bounds
    scaled = (pictures.reshape(len(pictures), -1).astype(np.float64) - low) / (high - low)
    return list(map(Look, scaled.mean(axis=1).tolist(), scaled.std(axis=1).tolist()))


@lru_cache(maxsize=16)
def _measure_golden(golden: ArrayText, bounds: tuple[float, float]) -> Look:
    """Measure golden samples; once a card, for a server is asked again and again."""
    return _measure(golden.read(), bounds)


NOTERS.register("image", note_looks)
