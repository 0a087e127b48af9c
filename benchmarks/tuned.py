"""What scikit-learn's models reach, tuned, on the very rows that a drafted recipe was judged on.

A small random search over boosting, forests and linear models chooses by cross-validation over
training and validation rows; the chosen one is fitted to all of these and answers the held-out
rows, once. Of forecasts, whose rows have an order, it is chosen on the validation windows: a ridge
regression per column from the last value on, or the values of a season ago.
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, average_precision_score, mean_absolute_error
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from flows.recipe.load import load_recipe
from lightning_modules.specs.samples import RowSample
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.pipeline.fitted import Fitted
from tasks.forms.describe import describe_sample
from tasks.forms.streams import HELD_OUT, TRAIN, VALIDATION, SampleRows

DRAWS, FOLDS, SEED = 8, 5, 0
"""Settings that are drawn of each family, and folds that judge them."""
RIDGES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
Array = NDArray[Any]


@dataclass(frozen=True)
class Peer:
    """What a tuned model reached.

    Attributes:
        name: Its family.
        figure: Of the held-out rows.
    """

    name: str
    figure: float


def measure_tuned(recipe: str, figure: str, workspace: Path) -> Peer:
    """Return what the tuned model reaches on the held-out rows of a run.

    Args:
        recipe: The drafted recipe.
        figure: Name of the figure: accuracy, average_precision or mae.
        workspace: Where it was run.

    Raises:
        TypeError: The recipe is not of a table, and forecasts nothing.
    """
    loaded = load_recipe(recipe)
    version = Dataset(Store(str(workspace)), f"{loaded.name}-prepared").open()
    fitted = Fitted.model_validate(version.info["fitted"])
    sample = describe_sample(loaded.objective, loaded.data, loaded.model, fitted, version)
    if not isinstance(sample, RowSample) or not (sample.form == "table" or sample.forecast):
        raise TypeError(f"recipe {recipe} must be of a table or a forecast; got {loaded.kind}")
    splits = {split: read_split(SampleRows(version, sample), split) for split in SPLITS}
    if sample.forecast:
        standard = loaded.model.figures_in == "standard"
        return forecast_tuned(splits, sample, standard=standard)
    return choose_tuned(splits, sample, figure)


SPLITS = (TRAIN, VALIDATION, HELD_OUT)


def read_split(rows: SampleRows, split: str) -> tuple[Array, Array]:
    """Return samples and truth of all rows of a split."""
    parts = list(rows.read(split))
    samples, truth = zip(*((part.sample, part.truth) for part in parts), strict=True)
    return np.concatenate(samples), np.concatenate(truth)


def choose_tuned(splits: dict[str, tuple[Array, Array]], sample: RowSample, figure: str) -> Peer:
    """Return the best of the random search over rows of a table."""
    rows, truth = (
        np.concatenate(found) for found in zip(splits[TRAIN], splits[VALIDATION], strict=True)
    )
    score = make_score(figure, sample)
    folds = StratifiedKFold if sample.classes else KFold
    cuts = list(folds(FOLDS, shuffle=True, random_state=SEED).split(rows, truth))
    best: tuple[float, str, Any] | None = None
    for name, model in draw_models(sample, np.random.default_rng(SEED)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = [
                score(clone(model).fit(rows[learn], truth[learn]), rows[judge], truth[judge])
                for learn, judge in cuts
            ]
        if best is None or np.mean(found) > best[0]:
            best = float(np.mean(found)), name, model
    if best is None:
        raise RuntimeError("a model must be drawn; got none; raise DRAWS")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reached = score(best[2].fit(rows, truth), *splits[HELD_OUT])
    return Peer(best[1], abs(reached))


def make_score(figure: str, sample: RowSample) -> Callable[[Any, Array, Array], float]:
    """Return what rates a fitted model: more is better, and an error is negative."""
    if figure == "mae":
        return lambda model, rows, truth: -float(mean_absolute_error(truth, model.predict(rows)))
    if figure == "average_precision":
        rare = sample.positive
        return lambda model, rows, truth: float(
            average_precision_score(truth == rare, model.predict_proba(rows)[:, rare])
        )
    return lambda model, rows, truth: float(accuracy_score(truth, model.predict(rows)))


def draw_models(sample: RowSample, draw: np.random.Generator) -> Iterator[tuple[str, Any]]:
    """Yield models with settings drawn at random, each family as often."""
    classes = bool(sample.classes)
    numbers = list(range(len(sample.numbers)))
    texts = list(range(len(numbers), len(numbers) + len(sample.categories)))
    boosting = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
    forest = RandomForestClassifier if classes else RandomForestRegressor
    for _ in range(DRAWS):
        yield (
            "boosting",
            boosting(
                learning_rate=float(10 ** draw.uniform(-1.7, -0.7)),
                max_leaf_nodes=int(draw.integers(4, 32)),
                min_samples_leaf=int(draw.integers(4, 30)),
                l2_regularization=float(10 ** draw.uniform(-3, 1)),
                max_iter=int(draw.integers(40, 250)),
                categorical_features=texts or None,
                random_state=SEED,
            ),
        )
        yield (
            "forest",
            make_pipeline(
                SimpleImputer(keep_empty_features=True),
                forest(
                    100,
                    min_samples_leaf=int(draw.integers(1, 10)),
                    max_features=float(draw.uniform(0.2, 1.0)),
                    random_state=SEED,
                ),
            ),
        )
        strength = float(10 ** draw.uniform(-3, 2))
        linear = LogisticRegression(C=strength, max_iter=2000) if classes else Ridge(strength)
        plain = make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler())
        apart = OneHotEncoder(handle_unknown="ignore")
        yield (
            "linear",
            make_pipeline(
                ColumnTransformer([("numbers", plain, numbers), ("texts", apart, texts)]), linear
            ),
        )


def forecast_tuned(
    splits: dict[str, tuple[Array, Array]], sample: RowSample, *, standard: bool
) -> Peer:
    """Return the best of linear maps and the last season over windows."""
    scale = np.array([column.std or 1.0 for column in sample.numbers[: sample.forecast]])
    past, truth = {}, {}
    for split, (samples, later) in splits.items():
        past[split] = fill(samples[..., : sample.forecast]) / scale
        truth[split] = later / scale
    candidates: dict[str, Callable[[Array], Array]] = {}
    for ridge in RIDGES:
        candidates[f"linear, ridge {ridge:g}"] = fit_linear(past[TRAIN], truth[TRAIN], ridge)
    season = sample.window.season if sample.window is not None else None
    if season is not None and season <= past[TRAIN].shape[1]:
        steps = -season + np.arange(truth[TRAIN].shape[1]) % season
        candidates["seasonal"] = lambda asked: asked[:, steps]

    def rate(answer: Callable[[Array], Array], split: str) -> float:
        error = np.abs(answer(past[split]) - truth[split])
        return float(np.nanmean(error if standard else error * scale))

    name = min(candidates, key=lambda each: rate(candidates[each], VALIDATION))
    return Peer(name, rate(candidates[name], HELD_OUT))


def fit_linear(past: Array, truth: Array, ridge: float) -> Callable[[Array], Array]:
    """Return one linear map of all columns, from their last value on."""
    last = past[:, -1:]
    rows = np.swapaxes(past - last, 1, 2).reshape(-1, past.shape[1])
    aims = np.swapaxes(truth - last, 1, 2).reshape(-1, truth.shape[1])
    known = np.isfinite(aims).all(axis=1)
    model = Ridge(ridge * len(rows) / 1000).fit(rows[known], aims[known])

    def answer(asked: Array) -> Array:
        flat = np.swapaxes(asked - asked[:, -1:], 1, 2)
        given = model.predict(flat.reshape(-1, flat.shape[2]))
        return np.swapaxes(given.reshape(*flat.shape[:2], -1), 1, 2) + asked[:, -1:]

    return answer


def fill(values: Array) -> Array:
    """Return windows in which the last value that was seen stands for what is missing, else 0."""
    filled = values.copy()
    for step in range(1, filled.shape[1]):
        gone = np.isnan(filled[:, step])
        filled[:, step][gone] = filled[:, step - 1][gone]
    return np.nan_to_num(filled)
