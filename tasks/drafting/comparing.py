"""Holds what raced against each other, and against always the same answer, row by row."""

import numpy as np
from numpy.typing import NDArray


def lose(given: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the log loss of each row."""
    losses: NDArray[np.float64] = -np.log(np.clip(given[np.arange(len(labels)), labels], 1e-6, 1))
    return losses


def is_surely_better(base: NDArray[np.float64], own: NDArray[np.float64]) -> bool:
    """Return whether errors a row are less than others by more than two standard errors."""
    better = base - own
    return bool(better.mean() > 2 * better.std() / max(1, len(better)) ** 0.5)


def compare_errors(
    linear: NDArray[np.float64], boosted: NDArray[np.float64]
) -> tuple[float, float]:
    """Return the skill of the trees over the linear map, and its spread, from errors a row.

    Args:
        linear: Errors of the linear map, (N,).
        boosted: Errors of the trees, (N,).
    """
    base = float(linear.mean())
    better = linear - boosted
    return (float(better.mean()) / base, float(better.std()) / base) if base else (0.0, 0.0)


def compare_ranks(
    truth: NDArray[np.bool_], linear: NDArray[np.float64], boosted: NDArray[np.float64]
) -> tuple[float, float]:
    """Return the same by average precision, its spread from rows drawn again and again."""
    draws = np.random.default_rng(2)
    skills = []
    for turn in range(41):
        rows = draws.integers(0, len(truth), len(truth)) if turn else np.arange(len(truth))
        base = 1 - rank(truth[rows], linear[rows])
        better = base - 1 + rank(truth[rows], boosted[rows])
        skills.append(better / base if base > 0 else 0.0)
    return skills[0], float(np.std(skills[1:])) * len(truth) ** 0.5


def rank(truth: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    """Return the average precision of scores; 0 where nothing is true."""
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(truth, scores)) if truth.any() else 0.0
