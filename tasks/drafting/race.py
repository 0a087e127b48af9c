"""A quick race of what can be fitted at once, by cross-validation inside the training rows.

It chooses a family and says what figures can be asked for; rows that will be held out are not seen.
"""

import warnings
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.forms.base import RowsSpec
from storage.forms.columns import NUMBERS, name_text_fields
from storage.shards.row_ids import Rows
from tasks.drafting.comparing import compare_errors, compare_ranks, is_surely_better, lose, rank

MOST_ROWS, MOST_CELLS, FOLDS = 6000, 600_000, 3
MOST_SEEN, MANY_COLUMNS = 100, 100
_WORTH = 0.05
"""Skill from which trees are taken though few held-out rows may not show it."""
TREES: tuple[dict[str, Any], ...] = ({"trees": 100}, {"trees": 200, "rate": 0.05, "leaves": 15})
LINEAR, BOOSTED = "closed_linear", "trees"


@dataclass(frozen=True)
class Raced:
    """Who won.

    Attributes:
        family: Of networks.
        params: Its parameters.
        rows: Rows that were raced on.
        figures: Its figures by name, over rows that each fold had left out.
        others: The figure that was raced by, of each family.
        skill: Skill of the trees over the linear map.
        spread: Standard error of that skill, times the root of the rows.
        recalls: Of classes: the share of each class's rows that were answered right.
        scale: What always the same answer gets: accuracy of the commonest class, or the mean
            absolute error of the mean.
        proven: Whether the winner surely did better than that.
    """

    family: str
    params: Mapping[str, Any]
    rows: int
    figures: Mapping[str, float]
    others: Mapping[str, float]
    skill: float
    spread: float
    recalls: tuple[float, ...] = ()
    scale: float = 0.0
    proven: bool = False

    def estimate_skill_end(self, rows: int) -> float:
        """Return the lower end of the trees' skill that so many held-out rows would show."""
        return self.skill - 2 * self.spread / float(np.sqrt(max(1, rows)))


def one_thread() -> AbstractContextManager[Any]:
    """Let no library compute in more threads than one: on few rows they only wait for each other.

    Beside other work that costs minutes: waiting threads spin.
    """
    # Only of what is loaded already the threads can be limited.
    import sklearn.ensemble
    import sklearn.linear_model
    import sklearn.neural_network  # noqa: F401
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[Any] = threadpool_limits(limits=1)
    return limits


def make_features(rows: Rows, spec: RowsSpec) -> NDArray[np.float64]:
    """Return the columns of numbers, NaN where missing, and a column a category, (N, D)."""
    parts = [rows[NUMBERS]] if NUMBERS in rows else []
    for name in spec.texts:
        values = rows[name_text_fields(spec)[name]]
        seen, codes = np.unique(values, return_inverse=True)
        parts.append((codes[:, None] == np.arange(min(len(seen), MOST_SEEN))).astype(np.float64))
    features: NDArray[np.float64] = np.concatenate(parts, axis=1)
    return features


def race_classes(
    features: NDArray[np.float64],
    labels: NDArray[np.int64],
    classes: int,
    held_out: int,
    *,
    rare: bool,
) -> Raced:
    """Race by accuracy, or, where a class is rare, by its average precision.

    Args:
        features: Of training rows, (N, D).
        labels: Their classes.
        classes: How many there are.
        held_out: How many rows will be held out: what they cannot show is not worth its cost.
        rare: Whether a class is so rare that accuracy says little.
    """
    chosen = _draw(*features.shape)
    features, labels = features[chosen], labels[chosen]
    found, params = _answer_all(features, labels, classes)
    rarest = int(np.bincount(labels, minlength=classes).argmin())
    ranked = {name: rank(labels == rarest, given[:, rarest]) for name, given in found.items()}
    right = {name: given.argmax(1) == labels for name, given in found.items()}
    figure = ranked if rare else {name: float(each.mean()) for name, each in right.items()}
    skill, spread = (
        compare_ranks(labels == rarest, *(found[name][:, rarest] for name in (LINEAR, BOOSTED)))
        if rare
        else compare_errors(*((~right[name]).astype(np.float64) for name in (LINEAR, BOOSTED)))
    )
    family = _choose(skill, spread, held_out)
    figures = {"accuracy": float(right[family].mean()), "average_precision": ranked[family]}
    shares = np.bincount(labels, minlength=classes) / len(labels)
    same = np.tile(shares, (len(labels), 1))
    return Raced(
        family,
        params[family],
        len(labels),
        figures,
        figure,
        skill,
        spread,
        _find_recalls(right[family], labels, classes),
        float(shares.max()),
        is_surely_better(lose(same, labels), lose(found[family], labels)),
    )


def _answer_all(
    features: NDArray[np.float64], labels: NDArray[np.int64], classes: int
) -> tuple[dict[str, NDArray[np.float64]], dict[str, Mapping[str, Any]]]:
    """Return what each family answers with the settings that suit it best, and these."""
    found: dict[str, NDArray[np.float64]] = {}
    losses: dict[str, float] = {}
    params: dict[str, Mapping[str, Any]] = {}
    for name, settings in _list_racers(features.shape[1]):
        with one_thread():
            given = answer_classes(name, settings, features, labels, classes)
        loss = float(lose(given, labels).mean())
        if name not in losses or loss < losses[name]:
            found[name], losses[name], params[name] = given, loss, settings
    return found, params


def _find_recalls(
    right: NDArray[np.bool_], labels: NDArray[np.int64], classes: int
) -> tuple[float, ...]:
    return tuple(
        float(right[labels == n].mean()) if (labels == n).any() else 0.0 for n in range(classes)
    )


def race_values(features: NDArray[np.float64], target: NDArray[np.float64], held_out: int) -> Raced:
    """Race by mean absolute error."""
    chosen = _draw(*features.shape)
    features, target = features[chosen], target[chosen]
    errors: dict[str, NDArray[np.float64]] = {}
    params: dict[str, Mapping[str, Any]] = {}
    for name, settings in _list_racers(features.shape[1]):
        with one_thread():
            error = np.abs(_answer_values(name, settings, features, target) - target)
        if name not in errors or error.mean() < errors[name].mean():
            errors[name], params[name] = error, settings
    skill, spread = compare_errors(errors[LINEAR], errors[BOOSTED])
    family = _choose(skill, spread, held_out)
    others = {name: float(error.mean()) for name, error in errors.items()}
    same = np.abs(target - target.mean())
    figures, scale = {"mae": others[family]}, float(same.mean())
    return Raced(
        family,
        params[family],
        len(target),
        figures,
        others,
        skill,
        spread,
        scale=scale,
        proven=is_surely_better(same, errors[family]),
    )


def _choose(skill: float, spread: float, held_out: int) -> str:
    """Return the trees where held-out rows will show their worth, or where that is great."""
    provable = skill - 2 * spread / max(1, held_out) ** 0.5 > 0.005
    return BOOSTED if provable or skill > _WORTH else LINEAR


def _list_racers(columns: int) -> list[tuple[str, Mapping[str, Any]]]:
    trees = TREES[:1] if columns > MANY_COLUMNS else TREES
    return [(LINEAR, {}), *((BOOSTED, settings) for settings in trees)]


def _draw(count: int, columns: int) -> NDArray[np.intp]:
    """Return the rows that are raced on, in their order."""
    most = max(1000, min(MOST_ROWS, MOST_CELLS // max(1, columns)))
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, most, replace=False))


def answer_classes(
    name: str,
    settings: Mapping[str, Any],
    features: NDArray[np.float64],
    labels: NDArray[np.int64],
    classes: int,
) -> NDArray[np.float64]:
    """Return probabilities for rows that each fold had left out, (N, classes)."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression

    given = np.full((len(labels), classes), 1 / classes)
    for fold in _fold(len(labels)):
        model = (
            LogisticRegression(max_iter=300)
            if name == LINEAR
            else HistGradientBoostingClassifier(**_name_settings(settings))
        )
        train = scale_features(features, ~fold) if name == LINEAR else features
        if len(np.unique(labels[~fold])) < 2:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(train[~fold], labels[~fold])
            given[fold] = 1e-6
            given[np.ix_(fold, model.classes_)] = model.predict_proba(train[fold])
    return given


def _answer_values(
    name: str,
    settings: Mapping[str, Any],
    features: NDArray[np.float64],
    target: NDArray[np.float64],
) -> NDArray[np.float64]:
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.linear_model import Ridge

    given = np.zeros(len(target))
    for fold in _fold(len(target)):
        linear = name == LINEAR
        model = Ridge(1.0) if linear else HistGradientBoostingRegressor(**_name_settings(settings))
        train = scale_features(features, ~fold) if linear else features
        given[fold] = model.fit(train[~fold], target[~fold]).predict(train[fold])
    return given


def _fold(count: int) -> list[NDArray[np.bool_]]:
    places = np.random.default_rng(1).permutation(count) % FOLDS
    return [places == fold for fold in range(FOLDS)]


def scale_features(features: NDArray[np.float64], train: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return features in standard deviations, the mean in place of what is missing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mean, std = np.nanmean(features[train], axis=0), np.nanstd(features[train], axis=0)
    scaled = (features - mean) / np.where(std > 0, std, 1.0)
    return np.asarray(np.nan_to_num(scaled, nan=0.0, posinf=0.0, neginf=0.0))


def _name_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "max_iter": settings.get("trees", 100),
        "learning_rate": settings.get("rate", 0.1),
        "max_leaf_nodes": settings.get("leaves", 31),
        "max_depth": 8,
        "early_stopping": False,
        "random_state": 0,
    }
