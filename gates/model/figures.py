"""Figures of a model's predictions: confidence interval, calibration, slices, and the paired test with the champion."""

from collections.abc import Sequence
from fractions import Fraction
from math import comb
from typing import TYPE_CHECKING, Any

from gates.engine.tables import Table

if TYPE_CHECKING:
    import numpy as np

_BINS = 15
_RESAMPLES = 2000
_SEED = 20260101  # the interval of the same predictions is the same in every run


def tabulate_figures(predictions: Table) -> Table:
    """Return one row: accuracy, accuracy_low, accuracy_high, calibration_error, and with a champion worse_p_value."""
    import numpy as np
    import pandas as pd

    frame = predictions.frame
    correct = frame["correct"].to_numpy(dtype=np.float64)
    low, high = bootstrap_accuracy(correct)
    figures: dict[str, float] = {
        "accuracy": float(correct.mean()),
        "accuracy_low": low,
        "accuracy_high": high,
        "calibration_error": measure_calibration(
            frame["confidence"].to_numpy(dtype=np.float64), correct
        ),
    }
    if "average_precision" in frame:
        figures["average_precision"] = float(frame["average_precision"].iloc[0])
    if "gain" in frame:
        lost, won = int((frame["gain"] < 0).sum()), int((frame["gain"] > 0).sum())
        figures["worse_p_value"] = compare_paired(lost, won)
    return Table(pd.DataFrame([figures]))


def tabulate_slices(
    predictions: Table, labels: Sequence[str], columns: Sequence[str], min_rows: int
) -> Table:
    """Return one row for each class and each value of each metadata column with enough rows: slice, rows, accuracy.

    Args:
        predictions: of `gates.model.tabulate_predictions`.
        labels: names of the declared classes.
        columns: metadata columns.
        min_rows: fewest rows of a slice that is kept.
    """
    import pandas as pd

    records: list[dict[str, object]] = []
    for column in ("label", *columns):
        for value, group in predictions.frame.groupby(column)["correct"]:
            if len(group) >= min_rows:
                name = _name_class(value, labels) if column == "label" else f"{column} {value}"
                records.append({"slice": name, "rows": len(group), "accuracy": float(group.mean())})
    frame = pd.DataFrame.from_records(records, columns=["slice", "rows", "accuracy"])
    return Table(frame, identity=("slice",))


def _name_class(value: Any, labels: Sequence[str]) -> str:
    """Return `class <name>`, or the label itself if it is not declared."""
    known = float(value).is_integer() and 0 <= int(value) < len(labels)
    return f"class {labels[int(value)]}" if known else f"label {value}"


def bootstrap_accuracy(correct: "np.ndarray[Any, Any]") -> tuple[float, float]:
    """Return the 95 % percentile bootstrap interval of an accuracy (Efron and Tibshirani, 1993, chapter 13).

    Resampling n answers that are right or wrong with replacement is one binomial draw, so no row is
    copied.

    Args:
        correct: (N,) 0 or 1, with N >= 1.
    """
    import numpy as np

    rows = len(correct)
    draws = np.random.default_rng(_SEED).binomial(rows, float(correct.mean()), _RESAMPLES) / rows
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)


def measure_calibration(
    confidence: "np.ndarray[Any, Any]", correct: "np.ndarray[Any, Any]"
) -> float:
    """Return the expected calibration error over 15 equal bins (Guo et al., 2017); NaN if a confidence is not finite.

    Args:
        confidence: (N,) probability of the answer, 0 to 1.
        correct: (N,) 0 or 1.
    """
    import numpy as np

    if not np.isfinite(confidence).all():
        return float("nan")
    bins = np.clip((confidence * _BINS).astype(int), 0, _BINS - 1)
    gaps = np.bincount(bins, weights=confidence - correct, minlength=_BINS)
    return float(np.abs(gaps).sum() / len(correct))


def compare_paired(lost: int, won: int) -> float:
    """Return the one-sided p-value of McNemar's exact test (1947) that the champion is no better.

    Args:
        lost: rows that only the champion answers right.
        won: rows that only the candidate answers right.
    """
    pairs = lost + won
    tail = sum(comb(pairs, count) for count in range(lost, pairs + 1))
    return float(Fraction(tail, 2**pairs))
