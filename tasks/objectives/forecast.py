"""Answers that are the next steps of some columns, each in its own unit."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.targets.trust.card import OutputSpec
from lightning_modules.specs.samples import Sample
from storage.forms.base import RowsSpec
from tasks.forms.registry import FORMS
from tasks.forms.streams import HELD_OUT, SampleRows
from tasks.objectives.base import AnswerParts, HeldOut, TaskObjective
from tasks.objectives.sheets import AnswerSheet
from tasks.objectives.values import draw_scatter
from tasks.rendering.answers import Forecast as ForecastPart

SHOWN = {
    "largest error": 1.0,
    "worse than three in four": 0.75,
    "typical": 0.5,
    "smallest error": 0.0,
}
"""Which windows are drawn, by the share of the windows with a smaller error."""
PAST_STEPS = 24


class Forecast(TaskObjective[Sample]):
    """Answers and truths are (N, H, T): H steps of T columns."""

    name = "forecast"

    def find_scale(self, reference: AnswerSheet, sample: Sample) -> Any:
        """Return the standard deviation of each column over the training rows, (T,)."""
        del reference
        return np.array(sample.scales[1])

    def standardise(self, sheet: AnswerSheet, sample: Sample) -> AnswerSheet:
        """Return answers in standard deviations of the training rows, column by column."""
        return sheet.divide(self.find_scale(sheet, sample))

    def describe_outputs(self, sample: Sample, data: RowsSpec) -> tuple[OutputSpec, ...]:
        """Describe the steps of the columns."""
        del data
        names = _name_columns(sample)
        shape = (sample.window.horizon if sample.window is not None else 1, len(names))
        return (OutputSpec(name="values", shape=shape, meaning="values", unit="", labels=names),)

    def pick_parts(self, held_out: HeldOut[Sample]) -> AnswerParts:
        """Choose the windows of `SHOWN`, and one step ahead over the truths of the first column."""
        sheet, names = held_out.sheet, _name_columns(held_out.sample)
        title = f"{names[0]}, one step ahead"
        scatter = draw_scatter(title, sheet.truth[:, 0, 0], sheet.values[:, 0, 0])
        if sheet.truth.shape[1] == 1:
            return AnswerParts(scatter=scatter)
        chosen = choose_windows(sheet)
        pasts = read_pasts(held_out.rows, sheet.row_id[list(chosen)])
        forecasts = [
            _draw_window(held_out, place, word, pasts[int(sheet.row_id[place])])
            for place, word in chosen.items()
        ]
        return AnswerParts(forecasts=tuple(forecasts), scatter=scatter)


def _name_columns(sample: Sample) -> tuple[str, ...]:
    """Return the names of the columns that are forecast."""
    return FORMS.find(sample.form).name_asked(sample)


def choose_windows(sheet: AnswerSheet) -> dict[int, str]:
    """Return what the windows of `SHOWN` are called, by their places; all columns count alike."""
    answered = np.flatnonzero(~np.isnan(sheet.truth).all(axis=(1, 2)))
    truth = sheet.truth[answered]
    scale = np.nanstd(truth, axis=(0, 1)) + 1e-12
    errors = np.nanmean(np.abs(sheet.values[answered] - truth) / scale, axis=(1, 2))
    order = answered[np.argsort(errors)]
    found: dict[int, str] = {}
    for word, share in SHOWN.items():
        found.setdefault(int(order[int(share * (len(order) - 1))]), word)
    return found


def read_pasts(rows: SampleRows, wanted: NDArray[np.uint64]) -> dict[int, NDArray[Any]]:
    """Read what the model was given of some held-out windows, (L, D) each by row id."""
    found: dict[int, NDArray[Any]] = {}
    for samples in rows.read(HELD_OUT):
        for place in np.flatnonzero(np.isin(samples.row_id, wanted)):
            found[int(samples.row_id[place])] = samples.sample[place].copy()
        if len(found) == len(wanted):
            break
    return found


def _draw_window(
    held_out: HeldOut[Sample], place: int, word: str, past: NDArray[Any]
) -> ForecastPart:
    """Draw one window in the column in which it is worst, after its past."""
    sheet, best = held_out.sheet, held_out.best_baseline
    scale = np.nanstd(sheet.truth, axis=(0, 1)) + 1e-12
    errors = np.abs(sheet.values[place] - sheet.truth[place]) / scale
    column = int(np.nanargmax(np.nanmean(errors, axis=0)))
    lines = {"truth": sheet.truth[place, :, column], "answer": sheet.values[place, :, column]}
    if best is not None:
        lines[best] = sheet.baselines[best][place, :, column]
    shown = max(sheet.truth.shape[1], PAST_STEPS)
    return ForecastPart(
        title=f"{_name_columns(held_out.sample)[column]}, {word}",
        lines={name: tuple(line.tolist()) for name, line in lines.items()},
        past=tuple(past[-shown:, column].tolist()),
    )
