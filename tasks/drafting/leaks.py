"""Looks for columns that give the answer away: made from it, or written when it was known."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tasks.drafting.columns import Column

MOST_ROWS = 20_000
_CERTAIN = 0.9995
_SUM = 1e-4
_RARE, _SHARE_SURE, _LEAST_ROWS = 0.25, 0.97, 10


def find_leaks(columns: Sequence[Column], answer: Column, *, classes: bool) -> dict[str, str]:
    """Return why each column that gives the answer away is suspected, by its name."""
    some = np.linspace(0, answer.rows - 1, min(answer.rows, MOST_ROWS)).astype(int)
    if classes:
        return _leak_classes(columns, answer, some)
    return _leak_numbers(columns, answer, some)


def _leak_classes(
    columns: Sequence[Column], answer: Column, some: NDArray[np.intp]
) -> dict[str, str]:
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.tree import DecisionTreeClassifier

    labels = answer.codes[some]
    known = labels >= 0
    found: dict[str, str] = {}
    for column in columns:
        values = (column.numbers if column.numbers is not None else column.codes)[some]
        good = known & np.isfinite(values)
        if good.sum() < 50 or len(np.unique(labels[good])) < 2:
            continue
        tree = DecisionTreeClassifier(
            max_leaf_nodes=max(2, answer.distinct), class_weight="balanced"
        )
        given = tree.fit(values[good, None], labels[good]).predict(values[good, None])
        score = float(balanced_accuracy_score(labels[good], given))
        if score >= _CERTAIN:
            found[column.name] = f"alone it tells {score:.1%} of the answers"
        elif (told := _find_sure_value(column, answer)) is not None:
            found[column.name] = told
    return found


def _find_sure_value(column: Column, answer: Column) -> str | None:
    """Return what a mark says of the answer, where it makes a rare class certain."""
    if column.distinct != 2:
        return None
    shares = np.bincount(answer.codes[answer.codes >= 0], minlength=answer.distinct) / answer.rows
    for value in range(2):
        labels = answer.codes[(column.codes == value) & (answer.codes >= 0)]
        if not _LEAST_ROWS <= len(labels) <= answer.rows * _RARE:
            continue
        counts = np.bincount(labels, minlength=answer.distinct)
        top = int(counts.argmax())
        if shares[top] <= _RARE and counts[top] >= _SHARE_SURE * len(labels):
            return (
                f"of {len(labels)} rows where it is {column.texts[value]}, {counts[top]} are "
                f"{answer.texts[top]}, which only {shares[top]:.1%} of all rows are"
            )
    return None


def _leak_numbers(
    columns: Sequence[Column], answer: Column, some: NDArray[np.intp]
) -> dict[str, str]:
    target = answer.numbers[some] if answer.numbers is not None else np.zeros(0)
    numeric = [c for c in columns if c.numbers is not None]
    values = {c.name: c.numbers[some] for c in numeric if c.numbers is not None}
    found: dict[str, str] = {}
    for name, given in values.items():
        good = np.isfinite(given) & np.isfinite(target)
        if good.sum() > 50 and given[good].std() and target[good].std():
            strength = abs(float(np.corrcoef(given[good], target[good])[0, 1]))
            if strength >= _CERTAIN:
                found[name] = f"it goes with the answer at a correlation of {strength:.4f}"
    rest = {name: given for name, given in values.items() if name not in found}
    return found | _find_parts(rest, target)


def _find_parts(
    values: Mapping[str, NDArray[np.float64]], target: NDArray[np.float64]
) -> dict[str, str]:
    """Return the columns that the answer is a sum of: the largest parts, until it is none."""
    found: dict[str, str] = {}
    left = dict(values)
    while len(left) > 1 and (parts := _explain(left, target)) is not None:
        most = max(parts, key=lambda name: parts[name])
        found[most] = "the answer is a sum of this column and others"
        del left[most]
    return found


def _explain(
    values: Mapping[str, NDArray[np.float64]], target: NDArray[np.float64]
) -> dict[str, float] | None:
    """Return how much each column adds, if all together they explain the answer wholly."""
    matrix = np.stack([*values.values(), np.ones(len(target))], axis=1)
    good = np.isfinite(matrix).all(axis=1) & np.isfinite(target)
    if good.sum() <= 3 * matrix.shape[1] + 50:
        return None
    matrix, wanted = matrix[good], target[good]
    weights, *_ = np.linalg.lstsq(matrix, wanted, rcond=None)
    rest = wanted - matrix @ weights
    if not wanted.std() or rest.std() > _SUM * wanted.std():
        return None
    spread = matrix[:, :-1].std(axis=0) * np.abs(weights[:-1])
    return dict(zip(values, spread.tolist(), strict=True))
