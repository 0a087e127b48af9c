"""Chooses what a forecast is told beside numbers: whose a series is, its own scale, categories.

A quick network is asked with and without each of them on the same validation windows; what does not
make it surely better is left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.forms.base import RowsSpec
from storage.forms.columns import SERIES_ID, TIME, name_text_fields
from storage.shards.row_ids import VALID_SUFFIX, Rows
from tasks.drafting.guesses import LIKELY, Notes
from tasks.drafting.race import one_thread
from tasks.drafting.series_race import (
    LEARNED,
    WORTH,
    Forecast,
    Frame,
    forecast_learned,
    forecast_linear,
    tell_calendar,
)
from tasks.drafting.windows import Floats, cut_runs, cut_windows, fill

SHIFTED, RIDGE = "dlinear", 1e-4
MOST_TEXTS, MOST_ENTITIES, FEW_NAMES = 4, 200, 24
BLOCKS = 8
"""Stretches of validation time that a gain is seen in, since windows that overlap err alike."""


@dataclass(frozen=True)
class Told:
    """What a forecast is told.

    Attributes:
        won: The family and the window that did best with it.
        texts: Columns of categories, that of the entity first.
        embed: Features of each of them; None: one-hot.
        own_scale: Whether numbers are scaled by entity.
    """

    won: Forecast
    texts: tuple[str, ...] = ()
    embed: int | None = None
    own_scale: bool = False

    @property
    def head(self) -> dict[str, Any]:
        """What the head's section says of it."""
        scale = {"normalise": "entity"} if self.own_scale else {}
        return scale | ({} if self.embed is None else {"embed": self.embed})


class Asked:
    """Windows that a quick network is asked with, and what it can be told beside their numbers.

    Args:
        rows: All rows.
        spec: Their columns; texts are what may be told.
        scaled: Numbers in standard deviations, (N, C), those that are forecast first.
        targets: How many are forecast.
        frame: What a window is.
        cutoffs: First time that validates, and first that is held out.
        step_ns: Usual time between two rows of an entity.
    """

    def __init__(
        self,
        rows: Rows,
        spec: RowsSpec,
        scaled: Floats,
        targets: int,
        frame: Frame,
        cutoffs: tuple[int, int],
        step_ns: int,
    ) -> None:
        self.targets = targets
        count = scaled.shape[1]
        entities, owners = np.unique(rows[SERIES_ID], return_inverse=True)
        codes = [owners.reshape(-1), *(_number_texts(rows, spec, name) for name in spec.texts)]
        self.sizes = [len(entities), *(int(found.max(initial=0)) + 1 for found in codes[1:])]
        matrix = np.concatenate([scaled, np.stack(codes, 1).astype(np.float64)], 1)
        runs = cut_runs(matrix, rows[SERIES_ID], rows[TIME], step_ns)
        size = frame.lookback, frame.horizon
        parts = [
            cut_windows(runs, *size, first, stop)
            for first, stop in ((-(1 << 62), cutoffs[0]), cutoffs)
        ]
        self.past, self.future, self.codes, self.calendar = [], [], [], []
        for past, future, ends in parts:
            self.past.append(fill(past[..., :count]))
            self.future.append(future[..., :targets])
            self.codes.append(past[:, -1, count:].astype(np.int64))
            self.calendar.append(tell_calendar(ends, frame.calendar))
        # Windows of one stretch of time err alike, in whatever entity.
        self.blocks = np.argsort(np.argsort(parts[1][2], kind="stable")) * BLOCKS // len(ends)
        early = rows[TIME] < cutoffs[0]
        self.mean, self.std = _measure_entities(scaled[early], owners[early], len(entities))

    def ask(self, told: Sequence[int], *, own_scale: bool) -> dict[str, NDArray[np.float64]]:
        """Return the mean absolute error of each validation window, (N,), by family.

        Args:
            told: Places of what is told beside numbers: 0 is the entity, then the texts in order.
            own_scale: Whether numbers are scaled by entity.
        """
        past, future, scales = list(self.past), fill(self.future[0]), []
        for part in range(2):
            owner = self.codes[part][:, 0]
            level, scale = self.mean[owner][:, None], self.std[owner][:, None]
            scales.append((level[..., : self.targets], scale[..., : self.targets]))
            if own_scale:
                past[part] = (past[part] - level) / scale
        if own_scale:
            future = (future - scales[0][0]) / scales[0][1]
        known = [
            np.concatenate([self.calendar[part], *self._tell(part, told)], 1) for part in range(2)
        ]
        answers = {
            LEARNED: forecast_learned(past[0], future, past[1], (known[0], known[1])),
            SHIFTED: self._shift_linear(past, future, known),
        }
        errors = {}
        for name, given in answers.items():
            unscaled = given * scales[1][1] + scales[1][0] if own_scale else given
            errors[name] = np.nanmean(np.abs(unscaled - self.future[1]), axis=(1, 2))
        return errors

    def _shift_linear(self, past: list[Floats], future: Floats, known: list[Floats]) -> Floats:
        """Return what a linear map says, shifted by what is told: as a linear network learns it."""
        first, later = (
            forecast_linear(past[0][..., : self.targets], future, asked[..., : self.targets])
            for asked in past
        )
        told = [np.concatenate([part, np.ones((len(part), 1))], 1) for part in known]
        square = told[0].T @ told[0] + RIDGE * len(told[0]) * np.eye(told[0].shape[1])
        rest = (future - first).reshape(len(future), -1)
        shift = told[1] @ np.linalg.solve(square, told[0].T @ rest)
        return np.asarray(later + shift.reshape(later.shape))

    def _tell(self, part: int, told: Sequence[int]) -> list[Floats]:
        return [
            (self.codes[part][:, place, None] == np.arange(self.sizes[place])).astype(np.float64)
            for place in told
        ]


def tell_forecast(
    rows: Rows,
    spec: RowsSpec,
    scaled: Floats,
    targets: int,
    won: Forecast,
    cutoffs: tuple[int, int],
    step_ns: int,
    notes: Notes,
) -> Told:
    """Return what makes a quick network surely better than all that was raced without it.

    Args:
        rows: All rows.
        spec: Their columns; texts are what may be told.
        scaled: Numbers in standard deviations, (N, C), those that are forecast first.
        targets: How many are forecast.
        won: Who won without.
        cutoffs: First time that validates, and first that is held out.
        step_ns: Usual time between two rows of an entity.
        notes: Takes what was guessed.
    """
    several = spec.entity is not None
    if LEARNED not in won.others or not (several or spec.texts):
        return _say_texts(Told(won), spec, notes)
    asked = Asked(rows, spec, scaled, targets, won.frame, cutoffs, step_ns)
    with one_thread():
        own_scale, places, family, errors = _choose(asked, several=several, texts=len(spec.texts))
    best = float(np.nanmean(errors))
    if not (own_scale or places) or best >= (1 - WORTH) * won.mae:
        return _say_texts(Told(won), spec, notes)
    why = f"of networks that are told more than numbers it did best: {best:.3f}"
    notes.add("model.network", family, LIKELY, why)
    won = replace(won, family=family, mae=best)
    names = tuple(spec.texts[place - 1] for place in places if place)
    if spec.entity is not None and (own_scale or 0 in places):
        names = (spec.entity, *names)
    wide = max((asked.sizes[place] for place in places), default=0) > FEW_NAMES
    return _say_texts(Told(won, names, 8 if wide else None, own_scale), spec, notes)


def _choose(
    asked: Asked, *, several: bool, texts: int
) -> tuple[bool, tuple[int, ...], str, NDArray[np.float64]]:
    """Return whether numbers are scaled by entity, what is told, the best family and its errors."""
    own_scale, places = False, tuple[int, ...]()
    family, errors = _find_best(asked.ask((), own_scale=False))
    names = [0] if several and asked.sizes[0] <= MOST_ENTITIES else []
    names += range(1, 1 + min(texts, MOST_TEXTS))
    scales = [None] if several else []
    # What a text says may show only in each one's own scale, and that only beside the text.
    for place in (*scales, *names, *scales):
        if place is None and own_scale:
            continue
        told = places if place is None else (*places, place)
        name, found = _find_best(asked.ask(told, own_scale=own_scale or place is None))
        if _is_better(found, errors, asked.blocks):
            own_scale, places = own_scale or place is None, told
            family, errors = name, found
    return own_scale, places, family, errors


def _find_best(errors: Mapping[str, NDArray[np.float64]]) -> tuple[str, NDArray[np.float64]]:
    name = min(errors, key=lambda each: float(np.nanmean(errors[each])))
    return name, errors[name]


def _say_texts(told: Told, spec: RowsSpec, notes: Notes) -> Told:
    """Note what is told and why, and what is not."""
    before = min(told.won.others.values())
    gain = f"the error over validation windows falls from {before:.3f} to {told.won.mae:.3f}"
    if told.own_scale:
        why = f"levels of {spec.entity} differ: by each one's own mean and deviation {gain}"
        notes.add("model.head.normalise", "entity", LIKELY, why)
    if told.texts:
        why = (
            f"a quick network that is told them is better: {gain}; a model is then asked with them"
        )
        notes.add("data.texts", told.texts, LIKELY, why)
    if told.embed is not None:
        why = f"one-hot columns of more than {FEW_NAMES} names are wide"
        notes.add("model.head.embed", told.embed, LIKELY, why)
    for name in spec.texts:
        if name not in told.texts:
            why = (
                "a text that made a quick network no better; if it says something of the steps to "
            )
            why += "come, write it into data.texts and model.window.known"
            notes.add("data.texts", f"without {name}", LIKELY, why)
    return told


def _number_texts(rows: Rows, spec: RowsSpec, name: str) -> NDArray[np.int64]:
    """Return the place of each row's text among all, (N,); -1 where it is missing."""
    field = name_text_fields(spec)[name]
    places = np.unique(rows[field], return_inverse=True)[1].reshape(-1)
    return np.where(rows[field + VALID_SUFFIX], places, -1).astype(np.int64)


def _measure_entities(
    scaled: Floats, owners: NDArray[np.int64], count: int
) -> tuple[Floats, Floats]:
    """Return mean and deviation of each entity's numbers, (E, C); 0 and 1 where there are none."""
    columns = scaled.shape[1]
    mean, std = np.zeros((count, columns)), np.ones((count, columns))
    for place in range(count):
        mine = scaled[owners == place]
        for column in range(columns):
            values = mine[:, column][np.isfinite(mine[:, column])]
            if len(values):
                mean[place, column] = values.mean()
                std[place, column] = values.std() or 1.0
    return mean, std


def _is_better(
    new: NDArray[np.float64], old: NDArray[np.float64], blocks: NDArray[np.int64]
) -> bool:
    """Return whether an error is lower by what is worth it, and not by a few times' chance."""
    good = np.isfinite(new) & np.isfinite(old)
    gains = [
        float((old - new)[good & (blocks == block)].mean())
        for block in np.unique(blocks[good]).tolist()
    ]
    if len(gains) < 2:
        return False
    spread = float(np.std(gains, ddof=1)) / np.sqrt(len(gains))
    mean = float((old - new)[good].mean())
    return bool(mean > WORTH * float(old[good].mean()) and float(np.mean(gains)) > 2 * spread)
