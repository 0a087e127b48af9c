"""Compares two models' answers to the same rows, with what chance may have done."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

SEED = 20260101  # the interval of the same answers is the same in every run
_ACCURACY_RESAMPLES = 2000
_ERROR_RESAMPLES = 1000
_MOST_BLOCKS = 1000


def bootstrap_accuracy(correct: "np.ndarray[Any, Any]") -> tuple[float, float]:
    """Return the 95 % percentile bootstrap interval of an accuracy.

    Resampling n answers that are right or wrong with replacement is one binomial draw, so no row is
    copied (Efron and Tibshirani, 1993, chapter 13).

    Args:
        correct: (N,) 0 or 1, with N >= 1.
    """
    import numpy as np

    rows, share = len(correct), float(correct.mean())
    draws = np.random.default_rng(SEED).binomial(rows, share, _ACCURACY_RESAMPLES) / rows
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)


def compare_classes(lost: int, won: int) -> float:
    """Return the one-sided p-value of McNemar's exact test (1947) that the champion is no better.

    Args:
        lost: rows that only the champion answers right.
        won: rows that only the candidate answers right.
    """
    from scipy.stats import binomtest

    pairs = lost + won
    return float(binomtest(lost, pairs, alternative="greater").pvalue) if pairs else 1.0


def bootstrap_skill(
    own: "np.ndarray[Any, Any]", base: "np.ndarray[Any, Any]"
) -> tuple[float, float]:
    """Return the 95 % paired bootstrap interval of the skill.

    Skill is 1 - own error / error of the baseline.

    Args:
        own: (N,) errors of the model.
        base: (N,) errors of the baseline on the same rows.
    """
    import numpy as np

    skills = [1 - divide_errors(mine, theirs) for mine, theirs in _draw_means(own, base)]
    low, high = np.quantile(skills, [0.025, 0.975])
    return float(low), float(high)


def compare_errors(own: "np.ndarray[Any, Any]", champion: "np.ndarray[Any, Any]") -> float:
    """Return the one-sided p-value of a paired bootstrap that the champion is no better.

    Args:
        own: (N,) errors of the candidate.
        champion: (N,) errors of the champion on the same rows.
    """
    no_better = sum(mine <= theirs for mine, theirs in _draw_means(own, champion))
    return (no_better + 1) / (_ERROR_RESAMPLES + 1)


def divide_errors(error: float, base: float) -> float:
    """Return a ratio of errors: 1 of two perfect answers, infinity beside one perfect answer."""
    if base == 0:
        return 1.0 if error == 0 else float("inf")
    return error / base


def _draw_means(
    own: "np.ndarray[Any, Any]", other: "np.ndarray[Any, Any]"
) -> list[tuple[float, float]]:
    """Return mean errors of both on the same resampled rows.

    Rows next to each other are alike in a series, so that blocks of them are drawn (Kuensch, 1989),
    at most 1000; with fewer rows a block is a row, and this is the ordinary paired bootstrap (Efron
    and Tibshirani, 1993).
    """
    import numpy as np

    blocks = min(_MOST_BLOCKS, len(own))
    starts = np.linspace(0, len(own), blocks, endpoint=False).astype(int)
    sums = np.stack([np.add.reduceat(own, starts), np.add.reduceat(other, starts)])
    sizes = np.diff([*starts, len(own)])
    chosen = np.random.default_rng(SEED).integers(0, blocks, (_ERROR_RESAMPLES, blocks))
    rows = sizes[chosen].sum(axis=1)
    totals = np.stack([sums[0][chosen].sum(axis=1), sums[1][chosen].sum(axis=1)], axis=1)
    return [(float(mine), float(theirs)) for mine, theirs in totals / rows[:, np.newaxis]]
