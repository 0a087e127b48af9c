"""Windows of a series for a quick race: seasons, even steps, what lies behind and ahead."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gates.drift.profile import DAY_NS

Floats = NDArray[np.float64]
MOST_WINDOWS = 4000
PERIODS_NS = {"day": DAY_NS, "week": 7 * DAY_NS, "year": int(365.2425 * DAY_NS)}
"""Periods that a head knows as `calendar`, as long as it takes them; a head's file needs torch."""
_LEAST_CORRELATION = 0.25


@dataclass(frozen=True)
class Run:
    """Rows of one entity at even steps, without a gap.

    Attributes:
        values: (N, C), the columns that are forecast first; NaN where one is missing.
        times: (N,) nanoseconds since 1970.
        start: Place of the first row among all rows in the order of entity and time.
    """

    values: Floats
    times: NDArray[np.int64]


def cut_runs(
    values: Floats, entities: NDArray[np.int64], times: NDArray[np.int64], step_ns: int
) -> list[Run]:
    """Cut rows into runs without a gap, in the order of entity and time."""
    order = np.lexsort((times, entities))
    values, entities, times = values[order], entities[order], times[order]
    far = np.diff(times) > 1.5 * step_ns
    ends = np.flatnonzero(far | (np.diff(entities) != 0)) + 1
    return [
        Run(values[start:stop], times[start:stop])
        for start, stop in zip([0, *ends], [*ends, len(times)], strict=True)
    ]


def list_seasons(step_ns: int) -> list[int]:
    """List the steps of a day, a week and a year, as far as they are seasons."""
    month = 28 * DAY_NS
    if step_ns >= month:
        return [12] if step_ns < 32 * DAY_NS else [4]
    day = round(DAY_NS / step_ns)
    return [steps for steps in (day, 7 * day) if 4 <= steps <= 2000]


def find_season(runs: Sequence[Run], step_ns: int) -> tuple[int | None, float]:
    """Return the steps of the shortest season that shows, and how much of it does.

    It shows where changes from step to step go with those a season earlier.
    """
    best: tuple[int | None, float] = (None, 0.0)
    for season in list_seasons(step_ns):
        strength = _correlate(runs, season)
        if strength > max(_LEAST_CORRELATION, best[1] + 0.15):
            best = season, strength
    return best


def _correlate(runs: Sequence[Run], lag: int) -> float:
    found, weights = [], []
    for run in runs[:200]:
        moves = np.diff(run.values, axis=0)
        if len(moves) < 2 * lag:
            continue
        early, late = moves[:-lag], moves[lag:]
        for column in range(early.shape[1]):
            good = np.isfinite(early[:, column]) & np.isfinite(late[:, column])
            one, two = early[good, column], late[good, column]
            if len(one) > lag and one.std() and two.std():
                found.append(float(np.corrcoef(one, two)[0, 1]))
                weights.append(len(one))
    return float(np.average(found, weights=weights)) if found else 0.0


def cut_windows(
    runs: Sequence[Run], lookback: int, horizon: int, first_ns: int, stop_ns: int
) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Cut windows that lie between two times, evenly drawn where they are many.

    Returns:
        Past (N, L, C), future (N, H, C), and the time of the last step of each past.
    """
    span = lookback + horizon
    places = []
    for number, run in enumerate(runs):
        inside = np.flatnonzero((run.times >= first_ns) & (run.times < stop_ns))
        if len(inside) >= span:
            starts = np.arange(inside[0], inside[-1] - span + 2)
            places.append(np.stack([np.full(len(starts), number), starts], axis=1))
    if not places:
        columns = runs[0].values.shape[1]
        empty = np.zeros((0, 1, columns))
        return empty, empty, np.zeros(0, dtype=np.int64)
    every = np.concatenate(places)
    chosen = every[np.linspace(0, len(every) - 1, min(len(every), MOST_WINDOWS)).astype(int)]
    cut = np.stack([runs[n].values[start : start + span] for n, start in chosen])
    ends = np.array([runs[n].times[start + lookback - 1] for n, start in chosen])
    return cut[:, :lookback], cut[:, lookback:], ends


def fill(values: Floats) -> Floats:
    """Put the last value that was seen in place of what is missing; 0 where none was."""
    filled = values.copy()
    for step in range(1, filled.shape[1]):
        gone = np.isnan(filled[:, step])
        filled[:, step][gone] = filled[:, step - 1][gone]
    return np.nan_to_num(filled)
