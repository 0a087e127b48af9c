"""Linear maps of what a head makes of rows, in closed form: shared by several baselines."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightning_modules.heads.registry import HEADS
from lightning_modules.objectives.base import Batches, Floats
from lightning_modules.specs.samples import Sample

MOST_ROWS = 20_000
RIDGE = 1e-3


def read_features(
    sample: Sample, batches: Batches, most_rows: int | None = None
) -> tuple[Floats, NDArray[Any]]:
    """Returns normalised features (N, features) of rows, and their truth (N,)."""
    head = HEADS.find(sample.form)
    parts, truths, rows = [], [], 0
    for batch in batches:
        parts.append(head.flatten_features(sample, batch.sample))
        truths.append(batch.truth)
        rows += len(batch.truth)
        if most_rows is not None and rows >= most_rows:
            break
    return np.concatenate(parts), np.concatenate(truths)


def add_one(values: Floats) -> Floats:
    """Returns the values with a last column of ones, for an offset."""
    return np.concatenate([values, np.ones((*values.shape[:-1], 1))], axis=-1)


def solve_ridge(square: Floats, cross: Floats) -> Floats:
    """Returns the weights of least squares with a little ridge, from the normal equations."""
    scale = float(np.trace(square)) / len(square)
    return np.asarray(np.linalg.solve(square + RIDGE * scale * np.eye(len(square)), cross))
