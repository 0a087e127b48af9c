"""A quick race of forecasts: windows before a time teach, those of the validation rows judge."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.drafting.race import one_thread
from tasks.drafting.windows import PERIODS_NS, Floats, Run, cut_windows, fill

LINEAR, NAIVE, LEARNED = "closed_linear", "seasonal_naive", "mlp"
BASELINES = (LINEAR, NAIVE)
WORTH = 0.03
"""Share of the error that a network must save before its training is worth its time."""
MOST_OUTPUTS, MOST_INPUTS = 400, 3000
_RIDGE = 1e-3


@dataclass(frozen=True)
class Frame:
    """What a window is.

    Attributes:
        lookback: Steps of the past.
        horizon: Steps that are forecast.
        season: Steps of a season within the lookback; None where there is none.
        calendar: Periods of the calendar that a network is told.
    """

    lookback: int
    horizon: int
    season: int | None
    calendar: tuple[str, ...] = ()


@dataclass(frozen=True)
class Forecast:
    """Who won the race.

    Attributes:
        family: Of networks.
        frame: Its window.
        mae: Mean absolute error over validation windows, in standard deviations, and that of each
            family of the frame.
        windows: Validation windows.
    """

    family: str
    frame: Frame
    mae: float
    others: Mapping[str, float]
    windows: int


def race_forecasts(
    runs: Sequence[Run], targets: int, frames: Sequence[Frame], cutoffs: tuple[int, int]
) -> Forecast | None:
    """Race families over frames; None where no frame has windows on both sides.

    Args:
        runs: Rows, in standard deviations, the columns that are forecast first.
        targets: How many are.
        frames: Windows to try.
        cutoffs: First time that validates, and first that is held out.
    """
    with one_thread():
        raced = [_race(runs, targets, frame, cutoffs) for frame in frames]
    found = [each for each in raced if each is not None]
    if not found:
        return None
    plain = min(found, key=lambda each: each.mae if each.family != LEARNED else np.inf)
    best = min(found, key=lambda each: each.mae)
    worth = best.mae < (1 - WORTH) * plain.mae or plain.family == LEARNED
    return best if worth else plain


def _race(
    runs: Sequence[Run], targets: int, frame: Frame, cutoffs: tuple[int, int]
) -> Forecast | None:
    asked = (frame.lookback, frame.horizon)
    past, future, ends = cut_windows(runs, *asked, -(1 << 62), cutoffs[0])
    later, truth, later_ends = cut_windows(runs, *asked, *cutoffs)
    if len(past) < 10 or len(later) < 5:
        return None
    wanted, truth = fill(future)[..., :targets], truth[..., :targets]
    past, later = fill(past), fill(later)
    answers = {LINEAR: forecast_linear(past[..., :targets], wanted, later[..., :targets])}
    if frame.season is not None:
        back = frame.season - np.arange(frame.horizon) % frame.season
        answers[NAIVE] = later[:, frame.lookback - back, :targets]
    inputs = past.shape[1] * past.shape[2]
    if wanted[0].size <= MOST_OUTPUTS and inputs <= MOST_INPUTS and len(past) >= 200:
        known = tell_calendar(ends, frame.calendar), tell_calendar(later_ends, frame.calendar)
        answers[LEARNED] = forecast_learned(past, wanted, later, known)
    errors = {name: float(np.nanmean(np.abs(given - truth))) for name, given in answers.items()}
    plain = min((name for name in errors if name != LEARNED), key=lambda name: errors[name])
    learned = errors.get(LEARNED, np.inf) < (1 - WORTH) * errors[plain]
    family = LEARNED if learned else plain
    return Forecast(family, frame, errors[family], errors, len(later))


def forecast_linear(past: Floats, future: Floats, later: Floats) -> Floats:
    """Return what one map of all columns, from their last value on, says of later windows."""
    rows = np.swapaxes(past - past[:, -1:], 1, 2).reshape(-1, past.shape[1])
    aim = np.swapaxes(future - past[:, -1:], 1, 2).reshape(-1, future.shape[1])
    square = rows.T @ rows
    scale = float(np.trace(square)) / len(square) or 1.0
    weights = np.linalg.solve(square + _RIDGE * scale * np.eye(len(square)), rows.T @ aim)
    asked = np.swapaxes(later - later[:, -1:], 1, 2) @ weights
    return np.asarray(np.swapaxes(asked, 1, 2) + later[:, -1:])


def forecast_learned(
    past: Floats, future: Floats, later: Floats, known: tuple[Floats, Floats]
) -> Floats:
    """Return what a small network says of later windows.

    Args:
        past: Windows to learn from, (N, L, C), the columns that are forecast first.
        future: What became of them, (N, H, T).
        later: Windows that are asked, (M, L, C).
        known: What else is told of both, (N, K) and (M, K).
    """
    from sklearn.neural_network import MLPRegressor

    model = MLPRegressor(
        hidden_layer_sizes=(128, 64), early_stopping=True, max_iter=40, random_state=0
    )
    rows = [
        np.concatenate([part.reshape(len(part), -1), times], axis=1)
        for part, times in zip((past, later), known, strict=True)
    ]
    last, later_last = past[:, -1:, : future.shape[2]], later[:, -1:, : future.shape[2]]
    aim = (future - last).reshape(len(future), -1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(rows[0], aim.ravel() if aim.shape[1] == 1 else aim)
        given = model.predict(rows[1]).reshape(len(later), *future.shape[1:])
    return np.asarray(given + later_last)


def tell_calendar(ends: NDArray[np.int64], periods: Sequence[str]) -> Floats:
    """Return sine and cosine of times (N,) within each period, (N, 2 * periods)."""
    parts = [np.zeros((len(ends), 0))]
    for period in periods:
        turns = 2 * np.pi * (ends % PERIODS_NS[period]) / PERIODS_NS[period]
        parts.append(np.stack([np.sin(turns), np.cos(turns)], axis=1))
    return np.concatenate(parts, axis=1)
