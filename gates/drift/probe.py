"""Asks whether labels still go with what they label.

The probe is a ridge regression on one column a class (Hoerl and Kennard, 1970; least-squares
classification) over the features and random rectified ones of them (Rahimi and Recht, 2008,
"Weighted sums of random kitchen sinks"), because its sums merge over shards: no row is kept, and no
model is trained. It need not be good. It must only be as good as before. Two are learned, each from
half of the rows by their content, and each answers the other half: a row that both versions hold is
never answered by heart.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

from gates.drift.divergence import find_normal_deviate
from gates.prepared.resemblance import average_cells
from gates.raw.predictors import measure_balance

if TYPE_CHECKING:
    import numpy as np

_SIDE = 14
_RIDGE = 1e-3
_RANDOM_FEATURES = 768
_SEED = 20261121
STRENGTH_BINS = 32
_FEWEST_OF_CLASS = 50
_SURE = 5


@dataclass(frozen=True)
class Sums:
    """Sums that the probe is learned from: (F + 1, F + 1) and (F + 1, K)."""

    features: "np.ndarray[Any, Any]"
    answers: "np.ndarray[Any, Any]"

    def merge(self, other: "Sums") -> "Sums":
        """Return the sums of both."""
        return Sums(self.features + other.features, self.answers + other.answers)


def shrink_images(
    images: "np.ndarray[Any, Any]", limits: tuple[float, float]
) -> "np.ndarray[Any, Any]":
    """Return features of images, (N, F): mean brightness, 0 to 1, of cells.

    There are at most 14 x 14 cells of each of up to 3 channels.
    """
    import numpy as np

    cells = average_cells(images[:, :3].astype(np.float32), _SIDE)
    low, high = limits
    scaled = (cells.reshape(len(cells), -1) - low) / max(high - low, 1e-12)
    features: np.ndarray[Any, Any] = np.clip(np.nan_to_num(scaled), -1, 2)
    return features


def expand_features(features: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Return features with random rectified mixtures of them and a one, (N, F + 769) float32.

    The mixtures are the same always.
    """
    import numpy as np

    rng = np.random.default_rng(_SEED)
    given = features.astype(np.float32)
    mixtures = rng.normal(size=(given.shape[1], _RANDOM_FEATURES)) / math.sqrt(
        max(1, given.shape[1])
    )
    offsets = rng.normal(0, 0.5, _RANDOM_FEATURES)
    mixed = given @ mixtures.astype(np.float32) + offsets.astype(np.float32)
    parts = [given, np.maximum(mixed, 0, out=mixed), np.ones((len(given), 1), np.float32)]
    return np.concatenate(parts, axis=1)


def sum_rows(features: "np.ndarray[Any, Any]", label: "np.ndarray[Any, Any]", classes: int) -> Sums:
    """Return the sums of some rows of expanded features, without those of undeclared labels."""
    import numpy as np

    known = (label >= 0) & (label < classes)
    rows = features[known]
    targets = np.eye(classes, dtype=np.float32)[label[known]]
    return Sums((rows.T @ rows).astype(np.float64), (rows.T @ targets).astype(np.float64))


def learn_probe(sums: Iterable[Sums]) -> "np.ndarray[Any, Any]":
    """Return the probe's weights, (F + 769, K)."""
    import numpy as np

    total = reduce(Sums.merge, sums)
    ridge = _RIDGE * max(float(np.trace(total.features)) / len(total.features), 1e-12)
    weights: np.ndarray[Any, Any] = np.linalg.solve(
        total.features + ridge * np.eye(len(total.features)), total.answers
    )
    return weights


def measure_loss(accepted: tuple[int, int], current: tuple[int, int], p_value: float) -> float:
    """Return how much the share of agreed labels has fallen; 0 if chance may have made it fall.

    Args:
        accepted: agreed labels of the accepted version, and all.
        current: the same of the current version.
        p_value: below which a fall is certain, by a normal approximation of two shares.
    """
    before, after = (agreed / max(1, rows) for agreed, rows in (accepted, current))
    both = (accepted[0] + current[0]) / max(1, accepted[1] + current[1])
    error = math.sqrt(both * (1 - both) * sum(1 / max(1, rows) for _, rows in (accepted, current)))
    return before - after if before - after > find_normal_deviate(p_value) * error else 0.0


def count_agreed(
    weights: "np.ndarray[Any, Any]", features: "np.ndarray[Any, Any]", label: "np.ndarray[Any, Any]"
) -> tuple[int, int]:
    """Return on how many rows the probe answers the label, and how many have a declared one."""
    import numpy as np

    known = (label >= 0) & (label < weights.shape[1])
    answers = np.argmax(features[known] @ weights.astype(np.float32), axis=1)
    return int((answers == label[known]).sum()), int(known.sum())


def bin_features(
    features: "np.ndarray[Any, Any]", label: "np.ndarray[Any, Any]", classes: int
) -> "np.ndarray[Any, Any]":
    """Return rows by feature, bin and class, (F, 32, K).

    Args:
        features: (N, F) from 0 to 1; what lies beyond counts as the nearest end.
        label: (N,) class of each row; those that are not declared are left out.
        classes: number of classes.
    """
    import numpy as np

    known = (label >= 0) & (label < classes)
    places = np.clip(features[known] * STRENGTH_BINS, 0, STRENGTH_BINS - 1).astype(np.int64)
    flat = places * classes + label[known].astype(np.int64)[:, np.newaxis]
    size = STRENGTH_BINS * classes
    counts = [np.bincount(flat[:, number], minlength=size) for number in range(flat.shape[1])]
    return np.stack(counts).reshape(flat.shape[1], STRENGTH_BINS, classes)


def find_class_change(
    accepted: "np.ndarray[Any, Any]",
    current: "np.ndarray[Any, Any]",
    names: Sequence[str],
    labels: Sequence[str],
) -> tuple[float, str]:
    """Return the largest certain change of how nearly one feature tells one class from the others.

    A logo that stands on one class of ten hardly moves the balanced accuracy over all ten. How
    nearly is the balanced accuracy of that class against the rest; a change counts beyond five of
    the errors that its rows leave.

    Args:
        accepted: (F, 32, K) of `bin_features`.
        current: the same of the current version.
        names: of the features.
        labels: of the classes.
    """
    import numpy as np

    strengths, rows = [], []
    for version in (accepted, current):
        of_class = version.sum(axis=1, keepdims=True)
        rest = version.sum(axis=2, keepdims=True) - version
        density = version / np.maximum(of_class, 1)
        others = rest / np.maximum(rest.sum(axis=1, keepdims=True), 1)
        strengths.append(np.maximum(density, others).sum(axis=1) / 2)
        rows.append(of_class[:, 0])
    error = 0.5 * np.sqrt(1 / np.maximum(rows[0], 1) + 1 / np.maximum(rows[1], 1))
    change = np.abs(strengths[1] - strengths[0])
    enough = np.minimum(*rows) >= _FEWEST_OF_CLASS
    change = np.where(enough & (change > _SURE * error), change, 0.0)
    if not change.size or not change.any():
        return 0.0, ""
    feature, label = np.unravel_index(int(np.argmax(change)), change.shape)
    about = f"{names[int(feature)]}, of {labels[int(label)]} alone"
    return float(change[feature, label]), about


def find_strength_change(
    accepted: "np.ndarray[Any, Any]", current: "np.ndarray[Any, Any]", names: Sequence[str]
) -> tuple[float, str]:
    """Return the largest change of a feature's balanced accuracy in giving the label away.

    Args:
        accepted: (F, 32, K) of `bin_features`.
        current: the same of the current version.
        names: of the features.
    """
    strengths = [[measure_balance(counts) for counts in version] for version in (accepted, current)]
    changes = [abs(after - before) for before, after in zip(*strengths, strict=True)]
    if not changes:
        return 0.0, ""
    largest = max(range(len(changes)), key=changes.__getitem__)
    return changes[largest], names[largest]
