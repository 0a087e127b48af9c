"""What simpler means answer to the same rows: shown beside every model, and what a model must beat.

Nothing is chosen here: each baseline is fitted once, on training rows, in closed form where there is one.
"""

from collections.abc import Callable, Iterable

import numpy as np
import torch
from numpy.typing import NDArray

from lightning_modules.row_head import RowHead
from lightning_modules.rows import Samples
from lightning_modules.samples import AnySample, RowSample
from lightning_modules.specs import HeadSpec

Floats = NDArray[np.float64]
Batches = Iterable[Samples]
MOST_ROWS = 20_000
RIDGE = 1e-3


def answer_baselines(sample: AnySample, train: Callable[[], Batches], asked: Batches) -> dict[str, NDArray[np.float32]]:
    """Answers of every baseline that suits the task.

    Args:
        sample: What a sample is.
        train: Opens the training rows; called once or twice.
        asked: The rows to be answered, as often as they stand there.

    Returns:
        By name, in the order of the asked rows: probabilities (N, K), scores (N,), or values in the user's units.
    """
    if not isinstance(sample, RowSample):
        return _answer_majority(sample.classes, train(), asked)
    answers = {
        "classification": _answer_classes,
        "regression": _answer_values,
        "forecasting": _answer_forecasts,
        "reconstruction": _answer_distances,
    }[sample.task](sample, train, list(asked))
    return {name: values.astype(np.float32) for name, values in answers.items()}


def _answer_majority(classes: int, train: Batches, asked: Batches) -> dict[str, NDArray[np.float32]]:
    """Every row gets the shares of the classes among the training rows."""
    counts = sum((np.bincount(batch.truth, minlength=classes) for batch in train), np.zeros(classes))
    rows = sum(len(batch.truth) for batch in asked)
    return {"majority": np.repeat((counts / max(counts.sum(), 1.0))[None], rows, axis=0).astype(np.float32)}


def _answer_classes(sample: RowSample, train: Callable[[], Batches], asked: list[Samples]) -> dict[str, Floats]:
    """The majority, and logistic regression on normalised columns."""
    from sklearn.linear_model import LogisticRegression

    answers = {
        name: values.astype(np.float64) for name, values in _answer_majority(sample.classes, train(), asked).items()
    }
    features, truth = _read_features(sample, train(), MOST_ROWS)
    if len(np.unique(truth)) < 2:
        return answers
    model = LogisticRegression(max_iter=1000).fit(features, truth)
    probabilities = np.zeros((sum(len(batch.truth) for batch in asked), sample.classes))
    probabilities[:, model.classes_.astype(np.int64)] = model.predict_proba(_read_features(sample, asked)[0])
    return {**answers, "linear": probabilities}


def _answer_values(sample: RowSample, train: Callable[[], Batches], asked: list[Samples]) -> dict[str, Floats]:
    """The mean, and ridge regression on normalised columns."""
    features, truth = _read_features(sample, train(), MOST_ROWS)
    rows = _read_features(sample, asked)[0]
    weights = solve_ridge(_add_one(features).T @ _add_one(features), _add_one(features).T @ truth)
    return {"mean": np.full(len(rows), sample.target_mean), "linear": _add_one(rows) @ weights}


def _answer_forecasts(sample: RowSample, train: Callable[[], Batches], asked: list[Samples]) -> dict[str, Floats]:
    """The last value, the last season, and a linear map of the past that all columns share.

    The linear map is of what lies between each step and the last one (NLinear; Zeng et al., 2023), at its least squares.
    """
    if sample.window is None:
        raise ValueError("a forecast must have a window; got none")
    horizon, season = sample.window.horizon, sample.window.season
    past = _read_past(sample, asked)
    last = past[:, -1:]
    answers = {"persistence": np.repeat(last, horizon, axis=1)}
    if season is not None:
        answers["seasonal naive"] = past[:, -season + np.arange(horizon) % season]
    weights = _fit_past(sample, train())
    changes = np.swapaxes(past - last, 1, 2)
    answers["linear"] = np.swapaxes(_add_one(changes) @ weights, 1, 2) + last
    mean, std = (np.array(part) for part in sample.scales)
    return {name: values * std + mean for name, values in answers.items()}


def _answer_distances(sample: RowSample, train: Callable[[], Batches], asked: list[Samples]) -> dict[str, Floats]:
    """Mean squared distance from the training mean, in standard deviations."""
    del train
    return {"distance": np.square(_read_features(sample, asked)[0]).mean(1)}


def _read_features(sample: RowSample, batches: Batches, most_rows: int | None = None) -> tuple[Floats, Floats]:
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
    return np.concatenate([_standardise(sample, batch.sample[..., : sample.forecast]) for batch in batches])


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


def order_rows(batches: list[Samples]) -> NDArray[np.int64]:
    """Places of the rows of some batches in the order of their ids."""
    return np.argsort(np.concatenate([batch.row_id for batch in batches]), kind="stable")
