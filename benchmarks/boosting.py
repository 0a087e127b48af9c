"""What scikit-learn's HistGradientBoosting reaches, tuned, on the very rows that a recipe's run was
trained and judged on.

The rows come from the run's own workspace: each of a modest grid of settings is fitted to the
training rows, one of them and its number of trees are chosen on the validation rows, and that one
answers the held-out rows, once. No random draw is in it, and the network of the recipe gets no
other rows either.
"""

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from flows.recipe.load import load_recipe
from lightning_modules.heads.columns import Combinations
from lightning_modules.specs.measure import load_metric
from lightning_modules.specs.samples import RowSample
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.pipeline.fitted import Fitted
from tasks.forms.describe import describe_sample
from tasks.forms.streams import HELD_OUT, TRAIN, VALIDATION, SampleRows

GRID = {
    "learning_rate": (0.03, 0.1),
    "max_leaf_nodes": (7, 15, 31),
    "min_samples_leaf": (5, 20),
}
TREES, LOOK_EVERY = 300, 10
Split = tuple[NDArray[Any], NDArray[Any]]


def measure_boosting(recipe: str, figure: str, workspace: Path, *, combined: bool = False) -> float:
    """A figure of the tuned boosting on the held-out rows of a run.

    Args:
        recipe: Name of the recipe, of kind tabular-classification.
        figure: Name of the figure, by which the settings are chosen too; more is better.
        workspace: Where it was run.
        combined: Whether it gets the products and differences that the recipe's head makes, too.
    """
    splits, categories, sample = read_splits(recipe, workspace, combined=combined)
    score = load_metric(figure, sample)
    best: tuple[float, HistGradientBoostingClassifier, int] | None = None
    for values in product(*GRID.values()):
        model = HistGradientBoostingClassifier(
            max_iter=TREES,
            early_stopping=False,
            categorical_features=categories,
            **dict(zip(GRID, values, strict=True)),
        ).fit(*splits[TRAIN])
        samples, truth = splits[VALIDATION]
        for trees, answers in enumerate(model.staged_predict_proba(samples), start=1):
            if trees % LOOK_EVERY == 0 and (best is None or score(answers, truth) > best[0]):
                best = (score(answers, truth), model, trees)
    if best is None:
        raise RuntimeError(f"trees ({TREES}) must be looked at; got none; set LOOK_EVERY below it")
    _, model, trees = best
    samples, truth = splits[HELD_OUT]
    answers = next(
        answers
        for at, answers in enumerate(model.staged_predict_proba(samples), start=1)
        if at == trees
    )
    return score(answers, truth)


def read_splits(
    recipe: str, workspace: Path, *, combined: bool
) -> tuple[dict[str, Split], list[int], RowSample]:
    """Rows (N, D) and labels (N,) of each split, which columns are categories, what a row is."""
    loaded = load_recipe(recipe)
    version = Dataset(Store(str(workspace)), f"{loaded.name}-prepared").open()
    fitted = Fitted.model_validate(version.info["fitted"])
    sample = describe_sample(loaded.objective, loaded.data, loaded.model, fitted, version)
    if not isinstance(sample, RowSample) or not sample.classes:
        raise TypeError(
            f"recipe {recipe} must classify rows of a table; got {loaded.kind}; choose another one"
        )
    rows = SampleRows(version, sample)
    splits = {}
    for split in (TRAIN, VALIDATION, HELD_OUT):
        parts = list(rows.read(split))
        samples, truth = (
            np.concatenate(found)
            for found in zip(*((p.sample, p.truth) for p in parts), strict=True)
        )
        if combined:
            made = Combinations(sample.numbers, loaded.model.head)(
                torch.from_numpy(samples)
            ).numpy()
            samples = np.concatenate([samples, made], axis=1)
        splits[split] = samples, truth
    numbers = len(sample.numbers)
    return splits, list(range(numbers, numbers + len(sample.categories))), sample
