"""What of a model's held-out answers is worth a picture: forecasts beside the truth, answers over truths."""

import numpy as np

from storage.files import Store
from tasks.answers import AnswerSheet, read_predictions
from tasks.pages.model import Forecast, Scatter
from tasks.results import Evaluated

DOTS = 600
SHOWN = 4


def read_sheet(store: Store, evaluated: Evaluated) -> AnswerSheet:
    """The held-out answers, in the source's units."""
    return read_predictions(store, evaluated.predictions_path, evaluated.predictions)


def pick_forecasts(store: Store, evaluated: Evaluated) -> tuple[Forecast, ...]:
    """Windows with the largest error, then typical ones: each in the column in which it is worst."""
    if not evaluated.confusion and evaluated.headline == "mae":
        sheet = read_sheet(store, evaluated)
        if sheet.truth.ndim == 3 and sheet.truth.shape[1] > 1:
            return _draw_windows(sheet, evaluated)
    return ()


def _draw_windows(sheet: AnswerSheet, evaluated: Evaluated) -> tuple[Forecast, ...]:
    errors = np.abs(sheet.values - sheet.truth)
    scale = np.nanstd(sheet.truth, axis=(0, 1)) + 1e-12
    by_window = np.nanmean(errors / scale, axis=(1, 2))
    order = np.argsort(by_window)
    middle = len(order) // 2
    chosen = dict.fromkeys(int(place) for place in (*order[::-1][:2], *order[middle : middle + 2]))
    names = [column.name for column in getattr(evaluated.sample, "numbers", ())]
    best = min(evaluated.baselines, key=lambda name: evaluated.baselines[name]["mae"], default=None)
    found = []
    for number, place in enumerate(list(chosen)[:SHOWN]):
        column = int(np.nanargmax(np.nanmean(errors[place] / scale, axis=0)))
        lines = {"truth": sheet.truth[place, :, column], "answer": sheet.values[place, :, column]}
        if best is not None:
            lines[best] = sheet.baselines[best][place, :, column]
        word = "largest error" if number < 2 else "typical"
        found.append(
            Forecast(
                title=f"{names[column]}, {word}", lines={name: tuple(line.tolist()) for name, line in lines.items()}
            )
        )
    return tuple(found)


def pick_scatter(store: Store, evaluated: Evaluated) -> Scatter | None:
    """Answers over truths, of one value a row or of the next step's first column."""
    if evaluated.headline != "mae":
        return None
    sheet = read_sheet(store, evaluated)
    truth, values = (part if part.ndim == 1 else part[:, 0, 0] for part in (sheet.truth, sheet.values))
    kept = np.linspace(0, len(truth) - 1, min(DOTS, len(truth))).astype(np.int64)
    names = [column.name for column in getattr(evaluated.sample, "numbers", ())]
    title = "Answers over truths" if sheet.truth.ndim == 1 else f"{names[0]}, one step ahead"
    return Scatter(title=title, points=tuple((float(truth[place]), float(values[place])) for place in kept))
