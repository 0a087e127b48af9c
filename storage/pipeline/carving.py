"""Says below which draw what is kept together is held out, or validates.

A draw a group follows the asked shares only on average: of few groups it may hold out none at all,
let none validate, or leave none to learn from. Then the group whose draw is nearest goes there;
where each split gets one, the shares are those of the recipe, and a group keeps its side when
others come and go.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from storage.forms.base import RowsSpec
from storage.forms.registry import find_form
from storage.forms.rules import SplitSpec
from storage.shards.row_ids import draw_uniform

Keys = NDArray[np.uint64]
Key = tuple[int, ...]
Part = tuple[Keys, NDArray[np.int64] | None]
"""Keys of some rows that the split is drawn for, (N, 2), and their times (N,), if they have any."""


@dataclass(frozen=True)
class Shares:
    """Where draws end up.

    Attributes:
        held_out: Draws below are held out.
        validation: Draws below validate, of what is not held out.
        validation_from: First time that validates, where all training rows are of one group; None
            where draws say it.
    """

    held_out: float
    validation: float
    validation_from: int | None = None


def list_shares(spec: SplitSpec) -> Shares:
    """Return the shares that a recipe asks for."""
    return Shares(spec.held_out or 0.0, spec.validation)


def is_grouped(spec: RowsSpec) -> bool:
    """Return whether rows are kept together by something other than their content."""
    if spec.split.by == "source":
        return spec.split.field is not None or find_form(spec).ordered
    return spec.split.by in ("group", "entity")


def find_shares(parts: Iterable[Part], spec: SplitSpec) -> Shares:
    """Return shares by which some are held out and validate, where there are groups enough.

    Args:
        parts: Rows that splits are drawn for, part by part; no more of them are read than needed.
        spec: The recipe's rule.
    """
    seen = _Seen(spec)
    times: list[NDArray[np.int64]] = []
    for keys, moments in parts:
        seen.add(keys)
        if seen.are_enough:
            return list_shares(spec)
        if moments is not None and seen.is_one and spec.by == "source":
            times.append(moments)
    if times and seen.is_one and spec.validation:
        found = np.sort(np.concatenate(times))
        place = min(len(found) - 1, round(len(found) * (1 - spec.validation)))
        return Shares(0.0, 0.0, int(found[place]))
    return seen.find_shares()


class _Seen:
    """Keeps the smallest and the largest draws of the groups that were seen.

    Of few groups these are all of them; only there may a split be empty.
    """

    def __init__(self, spec: SplitSpec) -> None:
        self._spec, self._asked = spec, list_shares(spec)
        self._held: dict[Key, float] = {}
        self._others: dict[Key, float] = {}
        self._later: dict[Key, float] = {}
        self._trains = False

    def add(self, keys: Keys) -> None:
        """Adds groups: the two draws of each."""
        unique = np.unique(keys, axis=0)
        held = draw_uniform(unique, f"held_out:{self._spec.seed}")
        later = draw_uniform(unique, f"validation:{self._spec.seed}")
        names = [tuple(key) for key in unique.tolist()]
        free = held >= self._asked.held_out
        self._held = _keep_ends(self._held | dict(zip(names, held.tolist(), strict=True)))
        draws = dict(zip(names, later.tolist(), strict=True))
        kept = {name: draws[name] for name, is_free in zip(names, free, strict=True) if is_free}
        self._others = _keep_ends(self._others | kept)
        ends = set(self._held)
        self._later = {name: each for name, each in (self._later | draws).items() if name in ends}
        self._trains |= bool((free & (later >= self._asked.validation)).any())

    @property
    def is_one(self) -> bool:
        """Whether all rows were of one group."""
        return len(self._held) == 1

    @property
    def are_enough(self) -> bool:
        """Whether each split has a group already."""
        held_out, validation = self._asked.held_out, self._asked.validation
        return (
            self._trains
            and (not held_out or min(self._held.values(), default=1.0) < held_out)
            and (not validation or min(self._others.values(), default=1.0) < validation)
        )

    def find_shares(self) -> Shares:
        """Return the shares by which each split gets a group, if there are enough."""
        held_out, others = self._choose_held()
        validation, draws = self._asked.validation, sorted(others.values())
        if not validation or not draws:
            return Shares(held_out, validation)
        if len(draws) > 1 and draws[0] >= validation:
            validation = float(np.nextafter(draws[0], 2.0))
        elif draws[-1] < validation and (len(draws) > 1 or len(self._held) > 1):
            validation = draws[-1]
        return Shares(held_out, validation)

    def _choose_held(self) -> tuple[float, dict[Key, float]]:
        """Return the share that is held out, and the second draws of the groups that are not."""
        held_out, others = self._asked.held_out, dict(self._others)
        if not held_out or len(self._held) < 2:
            return held_out, others
        by_draw = sorted(self._held, key=lambda name: self._held[name])
        if self._held[by_draw[0]] >= held_out:
            others.pop(by_draw[0], None)
            return float(np.nextafter(self._held[by_draw[0]], 2.0)), others
        needed = 2 if self._asked.validation else 1
        for name in reversed(by_draw[1:]):
            if len(others) < needed and name not in others:
                held_out = self._held[name]
                others[name] = self._later[name]
        return held_out, others


def _keep_ends(draws: dict[Key, float]) -> dict[Key, float]:
    order = sorted(draws, key=lambda name: draws[name])
    return {name: draws[name] for name in (order if len(order) < 6 else order[:3] + order[-3:])}
