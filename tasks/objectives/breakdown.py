"""Where a model errs: by column, by step, by what rows are parts of, and along the threshold."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightning_modules.specs.metrics import compute_average_precision, decide_classes
from lightning_modules.specs.samples import Sample
from tasks.objectives.base import STANDARD_DEVIATIONS, HeldOut
from tasks.objectives.sheets import AnswerSheet
from tasks.rendering.answers import Breakdown, PrecisionRecall, StepErrors

MOST_PARTS, MOST_SLICES, MOST_POINTS, FEWEST_ROWS = 12, 6, 200, 5
MODEL = "model"
Array = NDArray[Any]


def break_by_slice(held_out: HeldOut[Any], errors: Mapping[str, Array]) -> Iterator[Breakdown]:
    """Yield the mean absolute error of the parts of each column of slices.

    Args:
        held_out: The answers.
        errors: One absolute error a row, (N,), by who answers; the model's come first.
    """
    for name, parts in list(held_out.slices.items())[:MOST_SLICES]:
        yield _break_rows(name, "MAE", parts, errors, rate=False)


def break_classes(held_out: HeldOut[Any]) -> Iterator[Breakdown]:
    """Yield the accuracy of the parts of each column of slices."""
    sheet = held_out.sheet
    predicted = decide_classes(sheet.values, held_out.sample)
    right = {MODEL: (predicted == sheet.truth).astype(np.float64)}
    for name, parts in list(held_out.slices.items())[:MOST_SLICES]:
        yield _break_rows(name, "accuracy", parts, right, rate=True)


def _break_rows(
    by: str, figure: str, parts: Array, values: Mapping[str, Array], *, rate: bool
) -> Breakdown:
    """Return the mean of values of rows (N,) for each part, the worst of the model's first."""
    names, place = np.unique(parts, return_inverse=True)
    rows = np.bincount(place)
    means: list[Array] = []
    for each in values.values():
        known = ~np.isnan(each)
        sums = np.bincount(place[known], each[known], len(names))
        counts = np.bincount(place[known], minlength=len(names))
        means.append(np.where(counts > 0, sums / np.maximum(counts, 1), np.nan))
    worst = np.argsort(means[0] if rate else -means[0], kind="stable")
    order = [at for at in worst.tolist() if rows[at] >= min(FEWEST_ROWS, rows.max())]
    return Breakdown(
        by=by,
        figure=figure,
        rate=rate,
        answerers=tuple(values),
        rows=tuple(
            (str(names[at]), int(rows[at]), tuple(_read(mean[at]) for mean in means))
            for at in order[:MOST_PARTS]
        ),
        more=len(names) - len(order[:MOST_PARTS]),
    )


def _read(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def break_columns(held_out: HeldOut[Any], names: tuple[str, ...], scale: Array) -> Breakdown:
    """Return the mean absolute error of each forecast column in its own unit, the worst first.

    Args:
        held_out: The answers, (N, H, T).
        names: Of the columns.
        scale: Standard deviation of each over the training rows, (T,): what is worst goes by it.
    """
    errors = list_errors(held_out.sheet, held_out.best_baseline)
    means = {by: mean_known(error, (0, 1)) for by, error in errors.items()}
    order = np.argsort(-(means[MODEL] / scale), kind="stable").tolist()
    count = len(held_out.sheet.truth)
    return Breakdown(
        by="column",
        figure="MAE",
        answerers=tuple(errors),
        rows=tuple(
            (names[at], count, tuple(_read(mean[at]) for mean in means.values()))
            for at in order[:MOST_PARTS]
        ),
        more=len(names) - len(order[:MOST_PARTS]),
    )


def break_steps(held_out: HeldOut[Any], scale: Array) -> StepErrors:
    """Return the mean absolute error of each step ahead.

    It is in the column's own unit where there is one, else in standard deviations.
    """
    alone = held_out.sheet.truth.shape[2] == 1
    unit = np.ones(1) if alone else scale
    errors = list_errors(held_out.sheet, held_out.best_baseline)
    lines = {
        by: tuple(float(value) for value in mean_known(error / unit, (0, 2)))
        for by, error in errors.items()
    }
    return StepErrors(unit="" if alone else STANDARD_DEVIATIONS, lines=lines)


def mean_known(values: Array, axes: int | tuple[int, ...]) -> Array:
    """Return the means over some axes of what is known; NaN, without a warning, where nothing is.

    A window may be a part of a page of which no step has a truth.
    """
    known = ~np.isnan(values)
    sums, counts = np.where(known, values, 0.0).sum(axes), known.sum(axes)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def list_errors(sheet: AnswerSheet, best_baseline: str | None) -> dict[str, Array]:
    """Return the absolute errors of the model and of the best baseline, of the truth's shape."""
    answers = {MODEL: sheet.values}
    if best_baseline in sheet.baselines:
        answers[str(best_baseline)] = sheet.baselines[str(best_baseline)]
    return {by: np.abs(values - sheet.truth) for by, values in answers.items()}


def trace_precision(
    sheet: AnswerSheet, sample: Sample, positive: str, called: NDArray[np.bool_] | None
) -> PrecisionRecall | None:
    """Trace precision over recall of the positive class (scikit-learn's definition).

    Args:
        sheet: Probabilities (N, 2) or scores (N,), and the truth (N,).
        sample: Which class is the positive one.
        positive: Its name.
        called: The rows that were answered so, (N,); None where nothing was decided.

    Returns:
        None where no row is of that class, or where a score is no number.
    """
    scores = sheet.values if sheet.values.ndim == 1 else sheet.values[:, sample.positive]
    truth = sheet.truth == sample.positive
    if not truth.any() or truth.all() or not np.isfinite(scores).all():
        return None
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    found = np.cumsum(truth[order])[ends]
    points = np.stack([found / truth.sum(), found / (ends + 1)], axis=1)
    kept = np.unique(np.linspace(0, len(points) - 1, min(MOST_POINTS, len(points))).astype(int))
    at, threshold = None, None
    if called is not None and called.any():
        hits = int((called & truth).sum())
        at = (hits / int(truth.sum()), hits / int(called.sum()))
        threshold = float(scores[called].min()) if sample.threshold is None else sample.threshold
    return PrecisionRecall(
        positive=positive,
        base=float(truth.mean()),
        average_precision=compute_average_precision(sheet.values, sheet.truth, sample),
        points=tuple((float(recall), float(precision)) for recall, precision in points[kept]),
        threshold=threshold,
        at=at,
    )
