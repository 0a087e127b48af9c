"""The metrics of answers, by scikit-learn; importing them costs neither it nor torch.

Each is a function `(answers, truth, sample) -> float`. Answers are probabilities (N, K) or scores
(N,) of classes, or values (N,) or (N, H, T). A value that is NaN in the truth does not count. What
is not defined, as a ranking without a row of the class, is NaN.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightning_modules.specs.samples import Sample

Floats = NDArray[Any]
Metric = Callable[[Floats, Floats, Sample], float]
Ranking = Callable[[NDArray[np.bool_], Floats], float]
RowMetric = Callable[[Floats, Floats, Sample], tuple[Floats, Floats]]
"""From answers, truth and sample to what each row adds: a sum (N,), and of how many values it is,
(N,)."""
NOT_DEFINED = float("nan")


def decide_classes(answers: Floats, sample: Sample) -> NDArray[np.int64]:
    """Returns the class (N,) that probabilities (N, K) are answered with.

    It is the most probable one, or what the sample's threshold says.
    """
    if sample.threshold is None:
        return np.asarray(answers.argmax(1), dtype=np.int64)
    positive = answers[:, sample.positive] >= sample.threshold
    return np.where(positive, sample.positive, 1 - sample.positive).astype(np.int64)


def compute_accuracy(answers: Floats, truth: Floats, sample: Sample) -> float:
    """Returns the fraction of rows whose answered class is the truth."""
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(truth, decide_classes(answers, sample)))


def compute_recall(answers: Floats, truth: Floats, sample: Sample) -> float:
    """Returns the share of the positive rows that are answered so."""
    called, asked = decide_classes(answers, sample) == sample.positive, truth == sample.positive
    return float((called & asked).sum() / asked.sum()) if asked.any() else NOT_DEFINED


def compute_precision(answers: Floats, truth: Floats, sample: Sample) -> float:
    """Returns the share of the rows that are answered as positive that are."""
    called, asked = decide_classes(answers, sample) == sample.positive, truth == sample.positive
    return float((called & asked).sum() / called.sum()) if called.any() else NOT_DEFINED


def compute_macro_f1(answers: Floats, truth: Floats, sample: Sample) -> float:
    """Returns the unweighted mean of the classes' F1; a class that nowhere occurs counts 0."""
    from sklearn.metrics import f1_score

    classes = np.arange(answers.shape[1])
    predicted = decide_classes(answers, sample)
    found = f1_score(truth, predicted, labels=classes, average="macro", zero_division=0)
    return float(found)


def compute_average_precision(answers: Floats, truth: Floats, sample: Sample) -> float:
    """Returns the average precision of the positive class: of two, or of scores (N,)."""
    return _rank_average_precision(truth == sample.positive, _score_positive(answers, sample))


def compute_auroc(answers: Floats, truth: Floats, sample: Sample) -> float:
    """Returns the area under the positive class's ROC curve; ties count half."""
    return _rank_auroc(truth == sample.positive, _score_positive(answers, sample))


def compute_macro_average_precision(answers: Floats, truth: Floats, sample: Sample) -> float:
    """Returns the unweighted mean of the classes' average precisions."""
    del sample
    return _average_classes(_rank_average_precision, answers, truth)


def compute_macro_auroc(answers: Floats, truth: Floats, sample: Sample) -> float:
    """Returns the unweighted mean of the classes' areas under the ROC curve."""
    del sample
    return _average_classes(_rank_auroc, answers, truth)


def compute_mae(answers: Floats, truth: Floats, sample: Sample) -> float:
    """Returns the mean absolute error."""
    from sklearn.metrics import mean_absolute_error

    del sample
    return _compare_known(mean_absolute_error, answers, truth)


def compute_mse(answers: Floats, truth: Floats, sample: Sample) -> float:
    """Returns the mean squared error."""
    from sklearn.metrics import mean_squared_error

    del sample
    return _compare_known(mean_squared_error, answers, truth)


def compute_rmse(answers: Floats, truth: Floats, sample: Sample) -> float:
    """Returns the root of the mean squared error."""
    from sklearn.metrics import root_mean_squared_error

    del sample
    return _compare_known(root_mean_squared_error, answers, truth)


def count_right(answers: Floats, truth: Floats, sample: Sample) -> tuple[Floats, Floats]:
    """Returns 1 for each row (N,) whose answered class is the truth, else 0, of 1 each."""
    right = (decide_classes(answers, sample) == truth).astype(np.float64)
    return right, np.ones_like(right)


def add_errors(answers: Floats, truth: Floats, sample: Sample) -> tuple[Floats, Floats]:
    """Returns each row's sum of absolute errors over the values that its truth knows, (N,)."""
    del sample
    return _add_known(np.abs(answers.astype(np.float64) - truth), truth)


def add_squares(answers: Floats, truth: Floats, sample: Sample) -> tuple[Floats, Floats]:
    """Returns each row's sum of squared errors over the values that its truth knows, (N,)."""
    del sample
    return _add_known(np.square(answers.astype(np.float64) - truth), truth)


def add_pinball(levels: Sequence[float], answers: Floats, truth: Floats) -> tuple[Floats, Floats]:
    """Returns each row's sum of pinball losses over the values that its truth knows, (N,).

    Args:
        levels: Q quantiles.
        answers: (N, Q, ...), the quantiles of each row.
        truth: (N, ...), NaN where there is none.
    """
    shaped = np.array(levels).reshape(-1, *[1] * (truth.ndim - 1))
    above = truth[:, None] - answers
    lost = np.maximum(shaped * above, (shaped - 1) * above)
    return _add_known(lost, np.broadcast_to(truth[:, None], lost.shape))


def share_below(answers: Floats, truth: Floats) -> Floats:
    """Returns the share of the known truths (N, ...) that are at most each quantile's, (Q,)."""
    known = ~np.isnan(truth)
    below = (truth[:, None] <= answers) & known[:, None]
    return np.asarray(below.sum((0, *range(2, below.ndim))) / max(1, int(known.sum())))


def _add_known(gaps: Floats, truth: Floats) -> tuple[Floats, Floats]:
    known, axes = ~np.isnan(truth), tuple(range(1, truth.ndim))
    return np.where(known, gaps, 0.0).sum(axes), known.sum(axes).astype(np.float64)


def _score_positive(answers: Floats, sample: Sample) -> Floats:
    """Returns the scores (N,) of the positive class."""
    scores: Floats = answers if answers.ndim == 1 else answers[:, sample.positive]
    return scores


def _average_classes(rank: Ranking, answers: Floats, truth: Floats) -> float:
    classes = range(answers.shape[1])
    return float(np.mean([rank(truth == label, answers[:, label]) for label in classes]))


def _rank_average_precision(positive: NDArray[np.bool_], scores: Floats) -> float:
    from sklearn.metrics import average_precision_score

    if not positive.any() or not np.isfinite(scores).all():
        return NOT_DEFINED
    # Sums of steps can end a rounding above 1.
    return min(1.0, float(average_precision_score(positive, scores)))


def _rank_auroc(positive: NDArray[np.bool_], scores: Floats) -> float:
    from sklearn.metrics import roc_auc_score

    if not positive.any() or positive.all() or not np.isfinite(scores).all():
        return NOT_DEFINED
    return float(roc_auc_score(positive, scores))


def _compare_known(
    compare: Callable[[Floats, Floats], float], answers: Floats, truth: Floats
) -> float:
    """Returns the error over the values that the truth knows."""
    known = ~np.isnan(truth)
    found = answers.astype(np.float64)[known]
    if not found.size or not np.isfinite(found).all():
        return NOT_DEFINED
    return float(compare(truth[known], found))
