"""A quick race over windows of series: their values as they are, or what sums them up.

Whole groups are left out in turn, as entities or subjects will be held out: what is learned of one
window would else be asked of its neighbour. Rows that will be held out are not seen.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.drafting.race import one_thread
from tasks.drafting.windows import Floats, fill

LINEAR, LEARNED = "closed_linear", "trees over summaries"
FOLDS, MOST_WINDOWS, BANDS, MOST_INPUTS = 3, 1500, 8, 2000


@dataclass(frozen=True)
class Windows:
    """Windows of series, and what is asked of each.

    Attributes:
        values: (N, L, C), NaN where a number is missing.
        answers: Classes or numbers, (N,).
        groups: What stays together, (N,).
        classes: Number of classes; 0 where numbers are asked for.
    """

    values: Floats
    answers: NDArray[Any]
    groups: NDArray[np.int64]
    classes: int = 0

    def take(self, places: NDArray[Any]) -> "Windows":
        """Return some of them."""
        parts = (self.values[places], self.answers[places], self.groups[places])
        return Windows(*parts, self.classes)


@dataclass(frozen=True)
class WindowRace:
    """What a quick race over windows showed.

    Attributes:
        windows: How many raced.
        groups: Of how many groups.
        figures: Accuracy, or mean absolute error, of each racer.
        base: The same of always the same answer.
        proven: Whether the best racer surely did better than that.
        better: Skill of what sums windows up over the linear map of their values.
        spread: Standard error of that skill, from groups.
        recalls: Of classes: share of each class's windows that the best racer answered right.
        worst: Of numbers: least skill of the best racer over the others in a group.
    """

    windows: int
    groups: int
    figures: Mapping[str, float]
    base: float
    proven: bool
    better: float
    spread: float
    recalls: tuple[float, ...] = ()
    worst: float = 0.0

    @property
    def winner(self) -> str:
        """The racer that surely did better, or the linear map."""
        return LEARNED if self.better > max(0.02, 2 * self.spread) else LINEAR


def race_windows(windows: Windows) -> WindowRace:
    """Race a linear map of all values against boosted trees over what sums a window up."""
    if len(windows.answers) > MOST_WINDOWS:
        drawn = np.random.default_rng(0).choice(len(windows.answers), MOST_WINDOWS, replace=False)
        windows = windows.take(np.sort(drawn))
    with one_thread():
        answers = {
            LINEAR: _answer(windows, _flatten(windows.values), linear=True),
            LEARNED: _answer(windows, sum_up(windows.values), linear=False),
        }
    errors = {name: _find_errors(given, windows) for name, given in answers.items()}
    same = _find_same(windows)
    better, spread = _compare(errors[LINEAR], errors[LEARNED], windows.groups)
    best = min(errors, key=lambda name: errors[name].mean())
    # Which class a group has is no chance, as the errors of the best racer are.
    base = np.full_like(same, same.mean()) if windows.classes else same
    gain, chance = _compare(base, errors[best], windows.groups)
    figures = {
        name: float(1 - error.mean() if windows.classes else error.mean())
        for name, error in errors.items()
    }
    return WindowRace(
        len(windows.answers),
        len(np.unique(windows.groups)),
        figures,
        float(1 - same.mean() if windows.classes else same.mean()),
        gain > 2 * chance,
        better,
        spread,
        _find_recalls(errors[best], windows),
        _find_worst(errors[best], [same, errors[LINEAR]], windows.groups),
    )


def sum_up(values: Floats) -> Floats:
    """Return what sums windows (N, L, C) up: level, spread, ends, slope, roughness, spectrum."""
    given = fill(values)
    steps = np.linspace(-1, 1, given.shape[1])[None, :, None]
    mean = given.mean(axis=1)
    flat = given - mean[:, None]
    parts = [
        mean,
        given.std(axis=1),
        given.min(axis=1),
        given.max(axis=1),
        given[:, 0],
        given[:, -1],
        (flat * steps).mean(axis=1),
        np.abs(np.diff(given, axis=1)).mean(axis=1) if given.shape[1] > 1 else mean * 0,
    ]
    power = np.square(np.abs(np.fft.rfft(flat, axis=1)))[:, 1:]
    bands = np.array_split(np.arange(power.shape[1]), max(1, min(BANDS, power.shape[1])))
    parts += [np.log1p(power[:, band].sum(axis=1)) for band in bands]
    return np.concatenate(parts, axis=1)


def _flatten(values: Floats) -> Floats:
    flat = fill(values).reshape(len(values), -1)
    if flat.shape[1] > MOST_INPUTS:
        flat = flat[:, :: -(-flat.shape[1] // MOST_INPUTS)]
    return flat


def _answer(windows: Windows, features: Floats, *, linear: bool) -> NDArray[Any]:
    """Return probabilities (N, classes), or numbers (N,), for windows of groups left out."""
    truth = windows.answers
    given = (
        np.full((len(truth), windows.classes), 1e-6) if windows.classes else np.zeros(len(truth))
    )
    for fold in _fold(windows.groups):
        train = ~fold
        if windows.classes and len(np.unique(truth[train])) < 2:
            continue
        rows = _scale(features, train) if linear else features
        model = _make(linear=linear, classes=bool(windows.classes))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(rows[train], truth[train])
            if windows.classes:
                given[np.ix_(fold, model.classes_)] = model.predict_proba(rows[fold])
            else:
                given[fold] = model.predict(rows[fold])
    return given


def _make(*, linear: bool, classes: bool) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.linear_model import LogisticRegression, Ridge

    if linear:
        return LogisticRegression(max_iter=100) if classes else Ridge(10.0)
    boosted = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
    return boosted(max_iter=40, max_leaf_nodes=15, early_stopping=False, random_state=0)


def _fold(groups: NDArray[np.int64]) -> list[NDArray[np.bool_]]:
    """Return folds of whole groups, or of windows where there are too few groups."""
    names, places = np.unique(groups, return_inverse=True)
    if len(names) < 2 * FOLDS:
        places = np.arange(len(groups))
    draws = np.random.default_rng(1).permutation(int(places.max()) + 1) % FOLDS
    return [draws[places] == fold for fold in range(FOLDS)]


def _scale(features: Floats, train: NDArray[np.bool_]) -> Floats:
    mean, std = features[train].mean(axis=0), features[train].std(axis=0)
    return np.asarray((features - mean) / np.where(std > 0, std, 1.0))


def _find_errors(given: NDArray[Any], windows: Windows) -> Floats:
    if windows.classes:
        return np.asarray(given.argmax(axis=1) != windows.answers, np.float64)
    return np.asarray(np.abs(given - windows.answers))


def _find_same(windows: Windows) -> Floats:
    """Return the errors of the commonest class, or of the mean."""
    if not windows.classes:
        return np.asarray(np.abs(windows.answers - windows.answers.mean()))
    common = int(np.bincount(windows.answers, minlength=windows.classes).argmax())
    return np.asarray(windows.answers != common, np.float64)


def _compare(base: Floats, own: Floats, groups: NDArray[np.int64]) -> tuple[float, float]:
    """Return the skill over others, and its standard error from what groups differ by."""
    scale = float(base.mean())
    if not scale:
        return 0.0, 0.0
    _, places = np.unique(groups, return_inverse=True)
    sums = np.bincount(places, weights=base - own)
    skill = float((base - own).mean()) / scale
    rest = sums - np.bincount(places) * (base - own).mean()
    return skill, float(np.sqrt(np.square(rest).sum())) / len(base) / scale


def _find_recalls(errors: Floats, windows: Windows) -> tuple[float, ...]:
    if not windows.classes:
        return ()
    found = (errors[windows.answers == label] for label in range(windows.classes))
    return tuple(float(1 - each.mean()) if len(each) else 0.0 for each in found)


def _find_worst(own: Floats, others: list[Floats], groups: NDArray[np.int64]) -> float:
    """Return the least skill in a group of 20 windows or more, over what is best there."""
    worst = 0.0
    for group in np.unique(groups):
        inside = groups == group
        base = min(float(other[inside].mean()) for other in others)
        if inside.sum() >= 20 and base > 0:
            worst = min(worst, 1 - float(own[inside].mean()) / base)
    return worst
