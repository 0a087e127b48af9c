"""Whether weights of classes help where one is rare and a threshold is chosen.

`python -m benchmarks.imbalance` trains each family with `train.loss.class_weights` none and
balanced, in turns on folds, and prints a table: average precision of the rare class, and what wrong
answers cost at the threshold that was chosen by this cost on the fold that chooses the epoch. A
missed row costs as many false alarms as there are other rows to a rare one. No figure of a fold is
of rows that anything was chosen on. Data of scikit-learn alone; no network is needed.
"""

from collections.abc import Iterator

import numpy as np
import sklearn.datasets as sets
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from lightning_modules.data.readers import SampleBatch
from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.samples import NumberColumn, RowSample
from lightning_modules.specs.training import TrainSpec
from lightning_modules.training.folds import Crossing, PoolReader
from lightning_modules.training.inference import predict_rows
from lightning_modules.training.trainer import fit_learner

ROTATIONS, RARE = 5, 0.06
FAMILIES = ("closed_linear", "trees", "mlp")
WEIGHTS = ("none", "balanced")
Table = tuple[NDArray[np.float64], NDArray[np.int64]]


def main() -> None:
    """Prints a row for each data set and family, and how often each weighting did better."""
    print("| data | family | AP none | AP balanced | cost none | cost balanced |")
    print("| --- | --- | --- | --- | --- | --- |")
    better = {"AP": 0, "cost": 0}
    count = 0
    for name, rows in make_tables():
        for family in FAMILIES:
            found = {weights: measure(*rows, family, weights) for weights in WEIGHTS}
            (plain_ap, plain_cost), (ap, cost) = (found[weights] for weights in WEIGHTS)
            shown = f"{plain_ap:.3f} | {ap:.3f} | {plain_cost:.4f} | {cost:.4f}"
            print(f"| {name} | {family} | {shown} |", flush=True)
            better["AP"] += ap > plain_ap
            better["cost"] += cost < plain_cost
            count += 1
    print(f"\nbalanced was better by AP in {better['AP']}, by cost in {better['cost']} of {count}")


def make_tables() -> Iterator[tuple[str, Table]]:
    """Yields tables whose class 1 is rare."""
    tumours = sets.load_breast_cancer()
    yield "tumours", thin_out(tumours.data, (tumours.target == 0).astype(np.int64))
    digits = sets.load_digits()
    yield "digit 8", thin_out(digits.data, (digits.target == 8).astype(np.int64))
    made = sets.make_classification(
        2500, 12, n_informative=5, weights=[1 - RARE], class_sep=0.8, flip_y=0.01, random_state=3
    )
    yield "made", (made[0], made[1].astype(np.int64))


def thin_out(features: NDArray[np.float64], labels: NDArray[np.int64]) -> Table:
    """Return the rows with as many of class 1 left out as make it rare."""
    draw = np.random.default_rng(0)
    rare = draw.permutation(np.flatnonzero(labels == 1))
    kept = rare[: int(RARE / (1 - RARE) * (labels == 0).sum())]
    places = np.sort(np.concatenate([np.flatnonzero(labels == 0), kept]))
    return features[places], labels[places]


def measure(
    features: NDArray[np.float64], labels: NDArray[np.int64], family: str, weights: str
) -> tuple[float, float]:
    """Return the average precision, and the cost a row, as means over rotations."""
    counts = np.bincount(labels)
    missed = float(counts[0] / counts[1])
    sample = RowSample(
        objective="classes",
        numbers=tuple(
            NumberColumn(name=str(n), mean=float(column.mean()), std=float(column.std()))
            for n, column in enumerate(features.T)
        ),
        classes=2,
        class_weights=tuple((len(labels) / (2 * counts)).tolist()),
        positive=1,
    )
    model = ModelSpec.model_validate(
        {
            "network": {"family": family},
            "threshold": {"cost": {"missed": missed, "false_alarm": 1}},
        }
    )
    train = TrainSpec.model_validate(
        {
            "batch_size": 32,
            "precision": "fp32",
            "threads": 1,
            "select_by": "average_precision",
            "loss": {"class_weights": weights},
        }
    )
    pool = SampleBatch(features, labels, np.arange(len(labels), dtype=np.uint64))
    found = [judge(model, train, sample, pool, turn, missed) for turn in range(ROTATIONS)]
    ranked, costs = np.array(found).T
    return float(ranked.mean()), float(costs.mean())


def judge(
    model: ModelSpec, train: TrainSpec, sample: RowSample, pool: SampleBatch, turn: int, miss: float
) -> tuple[float, float]:
    """Return both figures of one rotation."""
    trains, chooses, judged = Crossing(pool).open_streams(turn, train)
    fitted = fit_learner(
        model,
        train,
        sample,
        train_stream=trains,
        validation_stream=chooses,
        reader=PoolReader(),
    )
    answers = predict_rows(fitted.learner, judged, PoolReader())
    scores, asked = answers.values[:, 1], answers.truth == 1
    called = scores >= fitted.result.threshold
    cost = miss * (asked & ~called).sum() + (~asked & called).sum()
    return float(average_precision_score(asked, scores)), float(cost / len(asked))


if __name__ == "__main__":
    main()
