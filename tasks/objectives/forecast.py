"""Answers that are the next steps of some columns, each in its own unit."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.targets.trust.card import OutputSpec
from lightning_modules.specs.samples import Sample
from storage.forms.base import RowsSpec
from tasks.forms.registry import FORMS
from tasks.forms.streams import HELD_OUT, SampleRows
from tasks.objectives.base import AnswerParts, HeldOut, TaskObjective
from tasks.objectives.breakdown import (
    break_by_slice,
    break_columns,
    break_steps,
    list_errors,
    mean_known,
)
from tasks.objectives.quantiles import describe_bands, find_band, measure_coverage
from tasks.objectives.sheets import AnswerSheet
from tasks.objectives.values import draw_scatter
from tasks.rendering.answers import Breakdown
from tasks.rendering.answers import Forecast as ForecastPart
from tasks.rendering.text import format_number

SHOWN = {
    "worst window": 1.0,
    "worse than three in four": 0.75,
    "typical window": 0.5,
    "best window": 0.0,
}
"""Which windows are drawn, by the share of the windows with a smaller error."""
PAST_STEPS = 24
MINUTE_NS = 60 * 10**9
DAY_NS = 1440 * MINUTE_NS


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
        """Describe the steps of the columns, and their quantiles."""
        del data
        names = _name_columns(sample)
        shape = (sample.window.horizon if sample.window is not None else 1, len(names))
        values = OutputSpec(name="values", shape=shape, meaning="values", unit="", labels=names)
        return describe_bands(values, sample)

    def pick_parts(self, held_out: HeldOut[Sample]) -> AnswerParts:
        """Choose the windows of `SHOWN`, one step ahead over the truths, and where errors lie."""
        sheet, names = held_out.sheet, _name_columns(held_out.sample)
        title = f"{names[0]}, one step ahead"
        scatter = draw_scatter(title, sheet.truth[:, 0, 0], sheet.values[:, 0, 0])
        parts = AnswerParts(
            scatter=scatter,
            breakdowns=tuple(_break_down(held_out, names)),
            coverage=measure_coverage(sheet),
        )
        if sheet.truth.shape[1] == 1:
            return parts
        chosen = choose_windows(sheet)
        pasts = read_pasts(held_out.rows, sheet.row_id[list(chosen)])
        forecasts = [
            _draw_window(held_out, place, word, pasts[int(sheet.row_id[place])])
            for place, word in chosen.items()
        ]
        steps = break_steps(held_out, self.find_scale(sheet, held_out.sample))
        return replace(parts, forecasts=tuple(forecasts), steps=steps)


def _break_down(held_out: HeldOut[Sample], names: tuple[str, ...]) -> Iterator[Breakdown]:
    """Yield the errors of each column, and of what windows are parts of."""
    scale = np.array(held_out.sample.scales[1])
    if len(names) > 1:
        yield break_columns(held_out, names, scale)
    unit = scale if len(names) > 1 else np.ones(1)
    errors = list_errors(held_out.sheet, held_out.best_baseline)
    rows = {by: mean_known(error / unit, (1, 2)) for by, error in errors.items()}
    yield from break_by_slice(held_out, rows)


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
    sheet, best, window = held_out.sheet, held_out.best_baseline, held_out.sample.window
    past = past[: window.lookback if window is not None else None]
    scale = np.nanstd(sheet.truth, axis=(0, 1)) + 1e-12
    errors = np.abs(sheet.values[place] - sheet.truth[place]) / scale
    column = int(np.nanargmax(mean_known(errors, 0)))
    lines = {"truth": sheet.truth[place, :, column], "answer": sheet.values[place, :, column]}
    if best is not None:
        lines[best] = sheet.baselines[best][place, :, column]
    shown = min(max(sheet.truth.shape[1], PAST_STEPS), len(past))
    return ForecastPart(
        title=f"{_name_columns(held_out.sample)[column]}, {word}",
        lines={name: tuple(line.tolist()) for name, line in lines.items()},
        past=tuple(past[-shown:, column].tolist()),
        moments=_name_moments(held_out, place, shown),
        band=tuple(
            tuple(sheet.bands[level][place, :, column].tolist()) for level in find_band(sheet) or ()
        ),
    )


def _name_moments(held_out: HeldOut[Sample], place: int, shown: int) -> tuple[str, ...]:
    """Name when a window's first shown row was, its last one, and the last step ahead."""
    if held_out.moments is None or not held_out.step_ns:
        return ()
    now, step = int(held_out.moments[place]), held_out.step_ns
    window = held_out.sample.window
    ahead = held_out.sheet.truth.shape[1] + (window.lead if window is not None else 0)
    moments = (now - (shown - 1) * step, now, now + ahead * step)
    return tuple(show_time(moment, step, counted=held_out.counted) for moment in moments)


def show_time(moment_ns: int, step_ns: int, *, counted: bool = False) -> str:
    """Return a time as exactly as steps of that length need: 2017-10-24, or with the clock.

    Of a time that only counts it is the number of the step.
    """
    if counted:
        return format_number(moment_ns // step_ns)
    exact = "D" if step_ns >= DAY_NS else "m" if step_ns >= MINUTE_NS else "ms"
    return str(np.datetime64(moment_ns, "ns").astype(f"datetime64[{exact}]")).replace("T", " ")
