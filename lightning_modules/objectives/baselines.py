"""What simpler means answer to the same rows: shown beside every model, and what a model must beat.

Nothing is chosen here: each baseline is fitted once, on training rows, in closed form where there
is one.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from lightning_modules.data.readers import Samples
from lightning_modules.heads.rows import RowHead
from lightning_modules.specs.forms import AnySample
from lightning_modules.specs.model import HeadSpec
from lightning_modules.specs.samples import RowSample

Floats = NDArray[np.float64]
Batches = Iterable[Samples]
Baseline = Callable[[Samples], Floats]
MOST_ROWS = 20_000
RIDGE = 1e-3


def fit_baselines(sample: AnySample, train: Callable[[], Batches]) -> dict[str, Baseline]:
    """Every baseline that suits the task, by name, ready to answer batch by batch.

    Args:
        sample: What a sample is.
        train: Opens the training rows, if they are needed.
    """
    if not isinstance(sample, RowSample):
        return _fit_majority(sample.classes, sample.class_weights)
    fitters = {
        "classes": _fit_classes,
        "values": _fit_values,
        "forecast": _fit_forecasts,
        "reconstruction": _fit_distances,
    }
    return fitters[sample.objective](sample, train)


def answer_baselines(
    baselines: Mapping[str, Baseline], asked: Batches
) -> dict[str, NDArray[np.float32]]:
    """What each baseline answers, ordered by row id: probabilities (N, K), scores (N,), or values in the user's units."""
    parts: dict[str, list[NDArray[np.float32]]] = {name: [] for name in baselines}
    ids = []
    for batch in asked:
        ids.append(batch.row_id)
        for name, answer in baselines.items():
            parts[name].append(answer(batch).astype(np.float32))
    order = np.argsort(np.concatenate(ids) if ids else np.empty(0), kind="stable")
    return {name: np.concatenate(found)[order] for name, found in parts.items() if found}


def _fit_majority(classes: int, class_weights: Sequence[float]) -> dict[str, Baseline]:
    """Every row gets the shares of the classes among the training rows, which their weights tell."""
    if not class_weights:
        return {}
    shares = np.array([1.0 / (classes * weight) if weight else 0.0 for weight in class_weights])
    return {"majority": lambda batch: np.repeat(shares[None], len(batch.row_id), axis=0)}


def _fit_classes(sample: RowSample, train: Callable[[], Batches]) -> dict[str, Baseline]:
    """The majority, and logistic regression on normalised columns."""
    from sklearn.linear_model import LogisticRegression

    baselines = _fit_majority(sample.classes, sample.class_weights)
    features, truth = _read_features(sample, train(), MOST_ROWS)
    if len(np.unique(truth)) < 2:
        return baselines
    model = LogisticRegression(max_iter=1000).fit(features, truth)
    places = model.classes_.astype(np.int64)

    def answer(batch: Samples) -> Floats:
        probabilities = np.zeros((len(batch.row_id), sample.classes))
        probabilities[:, places] = model.predict_proba(_read_features(sample, [batch])[0])
        return probabilities

    return {**baselines, "linear": answer}


def _fit_values(sample: RowSample, train: Callable[[], Batches]) -> dict[str, Baseline]:
    """The mean, and ridge regression on normalised columns."""
    features, truth = _read_features(sample, train(), MOST_ROWS)
    weights = solve_ridge(_add_one(features).T @ _add_one(features), _add_one(features).T @ truth)
    return {
        "mean": lambda batch: np.full(len(batch.row_id), sample.target_mean),
        "linear": lambda batch: np.asarray(_add_one(_read_features(sample, [batch])[0]) @ weights),
    }


def _fit_forecasts(sample: RowSample, train: Callable[[], Batches]) -> dict[str, Baseline]:
    """The last value, the last season, and a linear map of the past that all columns share.

    The linear map is of what lies between each step and the last one (NLinear; Zeng et al., 2023),
    at its least squares.
    """
    if sample.window is None:
        raise ValueError("a forecast must have a window; got none")
    horizon, season = sample.window.horizon, sample.window.season
    weights = _fit_past(sample, train())
    mean, std = (np.array(part) for part in sample.scales)

    def follow_line(past: Floats) -> Floats:
        last = past[:, -1:]
        return np.swapaxes(_add_one(np.swapaxes(past - last, 1, 2)) @ weights, 1, 2) + last

    steps: dict[str, Callable[[Floats], Floats]] = {
        "persistence": lambda past: np.repeat(past[:, -1:], horizon, axis=1)
    }
    if season is not None:
        steps["seasonal naive"] = lambda past: past[:, -season + np.arange(horizon) % season]
    steps["linear"] = follow_line

    def in_units(forecast: Callable[[Floats], Floats]) -> Baseline:
        return lambda batch: np.asarray(forecast(_read_past(sample, [batch])) * std + mean)

    return {name: in_units(forecast) for name, forecast in steps.items()}


def _fit_distances(sample: RowSample, train: Callable[[], Batches]) -> dict[str, Baseline]:
    """Mean squared distance from the training mean, in standard deviations."""
    del train
    return {"distance": lambda batch: np.square(_read_features(sample, [batch])[0]).mean(1)}


def _read_features(
    sample: RowSample, batches: Batches, most_rows: int | None = None
) -> tuple[Floats, Floats]:
    """Normalised columns (N, features), flattened, and the truth (N,)."""
    head = RowHead(sample, HeadSpec())
    parts, truths, rows = [], [], 0
    with torch.inference_mode():
        for batch in batches:
            parts.append(head(torch.from_numpy(batch.sample)).flatten(1).double().numpy())
            truths.append(batch.truth)
            rows += len(batch.truth)
            if most_rows is not None and rows >= most_rows:
                break
    return np.concatenate(parts), np.concatenate(truths)


def _read_past(sample: RowSample, batches: Batches) -> Floats:
    """Windows (N, L, T) of the forecast columns in standard deviations; what is missing is the mean."""
    return np.concatenate(
        [_standardise(sample, batch.sample[..., : sample.forecast]) for batch in batches]
    )


def _standardise(sample: RowSample, values: Floats) -> Floats:
    mean, std = (np.array(part) for part in sample.scales)
    return np.asarray(np.nan_to_num((values - mean) / std))


def _fit_past(sample: RowSample, train: Batches) -> Floats:
    """Least squares over all training windows and columns, batch by batch: (L + 1, H)."""
    square, cross = np.zeros(()), np.zeros(())
    for batch in train:
        more_square, more_cross = _multiply(sample, batch)
        square, cross = square + more_square, cross + more_cross
    return solve_ridge(square, cross)


def _multiply(sample: RowSample, batch: Samples) -> tuple[Floats, Floats]:
    past = _standardise(sample, batch.sample[..., : sample.forecast])
    changes = np.swapaxes(past - past[:, -1:], 1, 2).reshape(-1, past.shape[1])
    future = np.swapaxes(_standardise(sample, batch.truth) - past[:, -1:], 1, 2)
    rows = _add_one(changes)
    return rows.T @ rows, rows.T @ future.reshape(len(rows), -1)


def _add_one(values: Floats) -> Floats:
    return np.concatenate([values, np.ones((*values.shape[:-1], 1))], axis=-1)


def solve_ridge(square: Floats, cross: Floats) -> Floats:
    """Weights of least squares with a little ridge, from the normal equations."""
    scale = float(np.trace(square)) / len(square)
    return np.asarray(np.linalg.solve(square + RIDGE * scale * np.eye(len(square)), cross))
