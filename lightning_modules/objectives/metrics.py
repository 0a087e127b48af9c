"""Figures of answers against the truth, in numpy: what epochs are chosen by and what reports show. No torch.

Answers are probabilities (N, K) or scores (N,) for classes, (N,) or (N, H, T) for values; a value
that is NaN in the truth does not count.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightning_modules.specs.components import load_component

Floats = NDArray[Any]
Metric = Callable[[Floats, Floats], float]
LOWER_IS_BETTER = frozenset({"loss", "mae", "mse", "rmse"})


def compute_accuracy(answers: Floats, truth: Floats) -> float:
    """Fraction of rows whose most probable class is the truth."""
    return float((answers.argmax(1) == truth).mean())


def compute_macro_f1(answers: Floats, truth: Floats) -> float:
    """F1 of each class (van Rijsbergen, 1979), unweighted mean; a class that nowhere occurs counts 0."""
    classes = answers.shape[1]
    confusion = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(confusion, (truth.astype(np.int64), answers.argmax(1)), 1)
    total = confusion.sum(axis=0) + confusion.sum(axis=1)
    return float((2 * confusion.diagonal() / np.maximum(total, 1)).mean())


def compute_average_precision(answers: Floats, truth: Floats) -> float:
    """Area under precision over recall, as a sum of steps; of more than two classes, the unweighted mean.

    NaN without rows of a class.
    """
    return _average_classes(_average_precision, answers, truth)


def compute_auroc(answers: Floats, truth: Floats) -> float:
    """Probability that a row of the class scores above another row, ties counting half (Hanley and McNeil, 1982)."""
    return _average_classes(_auroc, answers, truth)


def _average_classes(metric: Metric, answers: Floats, truth: Floats) -> float:
    """Of the second class where there are two; of scores (N,), of the label 1."""
    if answers.ndim == 1:
        return metric(answers, truth == 1)
    wanted = range(1, 2) if answers.shape[1] == 2 else range(answers.shape[1])
    return float(np.mean([metric(answers[:, label], truth == label) for label in wanted]))


def _average_precision(scores: Floats, positive: Floats) -> float:
    if not positive.any():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(positive[order])
    # Rows of one score are taken together.
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    precision, recall = hits[ends] / (ends + 1), hits[ends] / hits[-1]
    return float((np.diff(recall, prepend=0.0) * precision).sum())


def _auroc(scores: Floats, positive: Floats) -> float:
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if not positives or not negatives:
        return float("nan")
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return float(
        (ranks[positive].sum() - positives * (positives + 1) / 2) / (positives * negatives)
    )


def compute_mae(answers: Floats, truth: Floats) -> float:
    """Mean absolute error."""
    return float(np.abs(_errors(answers, truth)).mean())


def compute_mse(answers: Floats, truth: Floats) -> float:
    """Mean squared error."""
    return float(np.square(_errors(answers, truth)).mean())


def compute_rmse(answers: Floats, truth: Floats) -> float:
    """Root of the mean squared error."""
    return float(np.sqrt(compute_mse(answers, truth)))


def _errors(answers: Floats, truth: Floats) -> Floats:
    errors = answers.astype(np.float64) - truth
    return errors[~np.isnan(truth)]


METRICS: dict[str, Metric] = {
    "accuracy": compute_accuracy,
    "macro_f1": compute_macro_f1,
    "average_precision": compute_average_precision,
    "auroc": compute_auroc,
    "macro_average_precision": compute_average_precision,
    "macro_auroc": compute_auroc,
    "mae": compute_mae,
    "mse": compute_mse,
    "rmse": compute_rmse,
}


def load_metric(name: str) -> Metric:
    """The metric that a name or an import path stands for.

    Raises:
        SpecError: It cannot be imported or called.
    """
    return load_component(name, what="metric", known=METRICS)


def compute_figures(answers: Floats, truth: Floats, names: tuple[str, ...]) -> dict[str, float]:
    """Several metrics by name."""
    return {name: METRICS[name](answers, truth) for name in names}
