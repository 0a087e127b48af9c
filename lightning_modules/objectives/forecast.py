"""To predict the next steps of some columns of a series."""

from collections.abc import Callable

import numpy as np

from lightning_modules.data.readers import SampleBatch
from lightning_modules.objectives.base import Baseline, Batches, Floats
from lightning_modules.objectives.linear import add_one, solve_ridge
from lightning_modules.objectives.values import ValueObjective
from lightning_modules.specs.samples import Sample


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
        weights = fit_past(sample, train())

        def follow_line(past: Floats) -> Floats:
            last = past[:, -1:]
            return np.swapaxes(add_one(np.swapaxes(past - last, 1, 2)) @ weights, 1, 2) + last

        steps: dict[str, Callable[[Floats], Floats]] = {
            "persistence": lambda past: np.repeat(past[:, -1:], horizon, axis=1)
        }
        if season is not None:
            steps["seasonal naive"] = lambda past: past[:, -season + np.arange(horizon) % season]
        steps["linear"] = follow_line
        return {name: Baseline(_in_units(sample, forecast)) for name, forecast in steps.items()}


def _in_units(
    sample: Sample, forecast: Callable[[Floats], Floats]
) -> Callable[[SampleBatch], Floats]:
    """Returns a forecast of standardised windows as one in the columns' own units."""
    mean, std = (np.array(part) for part in sample.scales)

    def answer(batch: SampleBatch) -> Floats:
        return np.asarray(forecast(_read_past(sample, batch)) * std + mean)

    return answer


def _read_past(sample: Sample, batch: SampleBatch) -> Floats:
    """Returns windows (N, L, T) of the forecast columns; what is missing is the mean."""
    return _standardise(sample, batch.sample[..., : len(sample.scales[0])])


def _standardise(sample: Sample, values: Floats) -> Floats:
    mean, std = (np.array(part) for part in sample.scales)
    return np.asarray(np.nan_to_num((values - mean) / std))


def fit_past(sample: Sample, train: Batches) -> Floats:
    """Fits least squares over all training windows and columns, batch by batch: (L + 1, H)."""
    square, cross = np.zeros(()), np.zeros(())
    for batch in train:
        more_square, more_cross = _multiply(sample, batch)
        square, cross = square + more_square, cross + more_cross
    return solve_ridge(square, cross)


def _multiply(sample: Sample, batch: SampleBatch) -> tuple[Floats, Floats]:
    past = _read_past(sample, batch)
    changes = np.swapaxes(past - past[:, -1:], 1, 2).reshape(-1, past.shape[1])
    future = np.swapaxes(_standardise(sample, batch.truth) - past[:, -1:], 1, 2)
    rows = add_one(changes)
    return rows.T @ rows, rows.T @ future.reshape(len(rows), -1)
