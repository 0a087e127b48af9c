"""What of a model's held-out answers is worth a picture: forecasts beside the truth, answers over truths."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.base.store import Store
from tasks.data.open_versions import open_version
from tasks.forms.streams import HELD_OUT, SampleRows
from tasks.pages.parts.page_data import Forecast, Scatter
from tasks.runtime.outcomes import Evaluated, Prepared
from tasks.training.answers import AnswerSheet, read_predictions

DOTS = 600
SHOWN = {
    "largest error": 1.0,
    "worse than three in four": 0.75,
    "typical": 0.5,
    "smallest error": 0.0,
}
"""Which windows are drawn, by the share of the windows with a smaller error."""
PAST_STEPS = 24


def read_sheet(store: Store, evaluated: Evaluated) -> AnswerSheet:
    """The held-out answers, in the source's units."""
    return read_predictions(store, evaluated.predictions_path, evaluated.predictions)


def pick_forecasts(store: Store, prepared: Prepared, evaluated: Evaluated) -> tuple[Forecast, ...]:
    """The windows of `SHOWN`, each in the column in which it is worst, after its past."""
    if evaluated.headline != "mae":
        return ()
    sheet = read_sheet(store, evaluated)
    if sheet.truth.ndim != 3 or sheet.truth.shape[1] == 1:
        return ()
    rows = SampleRows(open_version(store, prepared.dataset), evaluated.sample)
    chosen = _choose_windows(sheet)
    return _draw_windows(sheet, evaluated, chosen, read_pasts(rows, sheet.row_id[list(chosen)]))


def _choose_windows(sheet: AnswerSheet) -> dict[int, str]:
    """What the windows of `SHOWN` are called, by their numbers; all columns count alike."""
    scale = np.nanstd(sheet.truth, axis=(0, 1)) + 1e-12
    order = np.argsort(np.nanmean(np.abs(sheet.values - sheet.truth) / scale, axis=(1, 2)))
    found: dict[int, str] = {}
    for word, share in SHOWN.items():
        found.setdefault(int(order[int(share * (len(order) - 1))]), word)
    return found


def read_pasts(rows: SampleRows, wanted: NDArray[np.uint64]) -> dict[int, NDArray[Any]]:
    """What the model was given of some held-out windows, (L, D) each by row id."""
    found: dict[int, NDArray[Any]] = {}
    for samples in rows.read(HELD_OUT):
        for place in np.flatnonzero(np.isin(samples.row_id, wanted)):
            found[int(samples.row_id[place])] = samples.sample[place].copy()
        if len(found) == len(wanted):
            break
    return found


def _draw_windows(
    sheet: AnswerSheet, evaluated: Evaluated, chosen: dict[int, str], pasts: dict[int, NDArray[Any]]
) -> tuple[Forecast, ...]:
    errors = np.abs(sheet.values - sheet.truth)
    scale = np.nanstd(sheet.truth, axis=(0, 1)) + 1e-12
    names = [column.name for column in getattr(evaluated.sample, "numbers", ())]
    best = min(evaluated.baselines, key=lambda name: evaluated.baselines[name]["mae"], default=None)
    shown = max(sheet.truth.shape[1], PAST_STEPS)
    found = []
    for place, word in chosen.items():
        column = int(np.nanargmax(np.nanmean(errors[place] / scale, axis=0)))
        lines = {"truth": sheet.truth[place, :, column], "answer": sheet.values[place, :, column]}
        if best is not None:
            lines[best] = sheet.baselines[best][place, :, column]
        found.append(
            Forecast(
                title=f"{names[column]}, {word}",
                lines={name: tuple(line.tolist()) for name, line in lines.items()},
                past=tuple(pasts[int(sheet.row_id[place])][-shown:, column].tolist()),
            )
        )
    return tuple(found)


def pick_scatter(store: Store, evaluated: Evaluated) -> Scatter | None:
    """Answers over truths, of one value a row or of the next step's first column."""
    if evaluated.headline != "mae":
        return None
    sheet = read_sheet(store, evaluated)
    truth, values = (
        part if part.ndim == 1 else part[:, 0, 0] for part in (sheet.truth, sheet.values)
    )
    kept = np.linspace(0, len(truth) - 1, min(DOTS, len(truth))).astype(np.int64)
    names = [column.name for column in getattr(evaluated.sample, "numbers", ())]
    title = "Answers over truths" if sheet.truth.ndim == 1 else f"{names[0]}, one step ahead"
    return Scatter(
        title=title, points=tuple((float(truth[place]), float(values[place])) for place in kept)
    )
