"""To predict the next steps of some columns of a series."""

from collections.abc import Callable

import numpy as np

from lightning_modules.data.readers import SampleBatch
from lightning_modules.networks.fitted import solve_ridge
from lightning_modules.objectives.base import Baseline, Batches, Floats
from lightning_modules.objectives.linear import add_one
from lightning_modules.objectives.values import ValueObjective
from lightning_modules.specs.samples import RowSample, Sample


class ForecastObjective(ValueObjective):
    """Forecasts steps of columns, better than the last value, the season and a linear map do."""

    name = "forecast"

    def fit_baselines(self, sample: Sample, train: Callable[[], Batches]) -> dict[str, Baseline]:
        """Returns the last value, the last season, and a linear map that all columns share.

        The linear map is of what lies between each step and the last one (NLinear; Zeng et al.,
        2023), at its least squares.
        """
        if sample.window is None:
            raise ValueError("a forecast must have a window; got none")
        horizon, season = sample.window.horizon, sample.window.season
        lead = sample.window.lead
        weights = fit_past(sample, train())

        def follow_line(past: Floats) -> Floats:
            past = carry_forward(past)
            last = past[:, -1:]
            return np.swapaxes(add_one(np.swapaxes(past - last, 1, 2)) @ weights, 1, 2) + last

        steps: dict[str, Callable[[Floats], Floats]] = {
            "persistence": lambda past: np.repeat(carry_forward(past)[:, -1:], horizon, axis=1)
        }
        if season is not None:
            steps["seasonal naive"] = lambda past: repeat_season(past, season, horizon, lead)
        steps["linear"] = follow_line
        found = {name: Baseline(_in_units(sample, forecast)) for name, forecast in steps.items()}
        if season is not None and season > sample.window.lookback:
            longer = lengthen_past(sample, season)
            answer = _in_units(longer, steps["seasonal naive"])
            found["seasonal naive"] = Baseline(answer, sample=longer)
        return found


def lengthen_past(sample: Sample, lookback: int) -> Sample:
    """Returns the sample of longer windows of the same asked steps, of what is forecast alone."""
    if not isinstance(sample, RowSample) or sample.window is None:
        raise TypeError(f"sample ({sample.form}) must be a window; got none")
    changes = {"lookback": lookback, "known": (), "held_out": "all", "held_out_stride": 1}
    return sample.model_copy(
        update={
            "numbers": sample.numbers[: sample.forecast],
            "categories": (),
            "time": False,
            "window": sample.window.model_copy(update=changes),
        }
    )


def carry_forward(past: Floats) -> Floats:
    """Returns windows (N, L, T) whose missing values are the last that was seen before them.

    Before the first one that is seen, it is that one; of a column without any, 0, the mean.
    """
    steps = np.arange(past.shape[1])[None, :, None]
    known = ~np.isnan(past)
    last = np.maximum.accumulate(np.where(known, steps, -1), axis=1)
    first = known.argmax(axis=1)[:, None]
    filled = np.take_along_axis(past, np.where(last < 0, first, last), axis=1)
    return np.asarray(np.nan_to_num(filled))


def repeat_season(past: Floats, season: int, horizon: int, lead: int = 0) -> Floats:
    """Returns what was seen whole seasons before each step (N, H, T), the latest that is known.

    The first step is `lead` steps behind the one that follows the past.

    Where a step of the season is nowhere known, it is the last value that was seen.
    """
    found = np.repeat(carry_forward(past)[:, -1:], horizon, axis=1)
    back = season - (lead + np.arange(horizon)) % season
    for seasons in reversed(range(past.shape[1] // season)):
        places = past.shape[1] - back - seasons * season
        earlier = past[:, np.maximum(places, 0)]
        use = ~np.isnan(earlier) & (places >= 0)[None, :, None]
        found = np.where(use, earlier, found)
    return found


def _in_units(
    sample: Sample, forecast: Callable[[Floats], Floats]
) -> Callable[[SampleBatch], Floats]:
    """Returns a forecast of standardised windows as one in the columns' own units."""
    mean, std = (np.array(part) for part in sample.scales)

    def answer(batch: SampleBatch) -> Floats:
        return np.asarray(forecast(_read_past(sample, batch)) * std + mean)

    return answer


def _read_past(sample: Sample, batch: SampleBatch) -> Floats:
    """Returns windows (N, L, T) of the forecast columns, standardised; NaN where one is missing."""
    lookback = sample.window.lookback if sample.window is not None else None
    return _standardise(sample, batch.sample[:, :lookback, : len(sample.scales[0])])


def _standardise(sample: Sample, values: Floats) -> Floats:
    mean, std = (np.array(part) for part in sample.scales)
    return np.asarray((values - mean) / std)


def fit_past(sample: Sample, train: Batches) -> Floats:
    """Fits least squares over all training windows and columns, batch by batch: (L + 1, H).

    A window and column of which a step to be forecast is missing teaches nothing.
    """
    square, cross = np.zeros(()), np.zeros(())
    for batch in train:
        more_square, more_cross = _multiply(sample, batch)
        square, cross = square + more_square, cross + more_cross
    return solve_ridge(square, cross)


def _multiply(sample: Sample, batch: SampleBatch) -> tuple[Floats, Floats]:
    past = carry_forward(_read_past(sample, batch))
    changes = np.swapaxes(past - past[:, -1:], 1, 2).reshape(-1, past.shape[1])
    future = np.swapaxes(_standardise(sample, batch.truth) - past[:, -1:], 1, 2)
    future = future.reshape(len(changes), -1)
    known = ~np.isnan(future).any(axis=1)
    rows = add_one(changes[known])
    return rows.T @ rows, rows.T @ future[known]
