"""Statistics of the training split that the head and the loss are built from. Nothing else is ever fitted on."""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from storage.rows import LABEL, Rows
from storage.specs import DataSpec, RowsSpec


class Moments(BaseModel):
    """Count, mean and sum of squared deviations of each channel, of shape (C,).

    Merging is exact up to rounding (Chan, Golub and LeVeque, 1979), and always done in the order of the shards, so that
    the result is the same to the last bit however many workers measured.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: int
    mean: tuple[float, ...]
    m2: tuple[float, ...]

    def merge(self, other: "Moments") -> "Moments":
        """Moments of both sets of values together."""
        if not self.count or not other.count:
            return self if self.count else other
        count = self.count + other.count
        mean, other_mean = np.array(self.mean), np.array(other.mean)
        shift = other_mean - mean
        merged = mean + shift * (other.count / count)
        m2 = np.array(self.m2) + np.array(other.m2) + shift**2 * (self.count * other.count / count)
        return Moments(count=count, mean=tuple(merged.tolist()), m2=tuple(m2.tolist()))

    @property
    def std(self) -> tuple[float, ...]:
        """Standard deviation of each channel (population, no Bessel correction)."""
        return tuple(np.sqrt(np.array(self.m2) / self.count).tolist()) if self.count else ()


class Fitted(BaseModel):
    """What preparing learned from the training split, and what became of all other rows.

    Attributes:
        rows: Training rows.
        mean: Mean of each channel, in the source's unit.
        std: Standard deviation of each channel.
        class_counts: Training rows of each class, by name.
        class_weights: Weight of each class, in the order of the labels, that evens out how often it occurs:
            rows / (classes * rows of the class); 0 for a class without rows.
        dropped: Rows dropped from all splits, by reason.
        label_conflicts: Duplicates that were dropped although their label differed from the kept row's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    class_counts: dict[str, int] = {}
    class_weights: tuple[float, ...] = ()
    dropped: dict[str, int]
    label_conflicts: int = 0


class Figures(BaseModel):
    """What one shard of the training split contributes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int
    moments: Moments
    class_counts: tuple[int, ...]


def measure_rows(rows: Rows, spec: RowsSpec) -> Figures | None:
    """Figures of some training rows; None where the kind of data has none."""
    if not isinstance(spec, DataSpec):
        return None
    counts = np.bincount(rows[LABEL], minlength=len(spec.labels))
    return Figures(rows=len(rows[LABEL]), moments=measure_channels(rows["image"]), class_counts=tuple(counts.tolist()))


def measure_channels(values: NDArray[np.generic]) -> Moments:
    """Moments of each channel of values (N, C, ...), in float64."""
    if not len(values):
        return Moments(count=0, mean=(), m2=())
    means, squares = [], []
    for channel in range(values.shape[1]):
        flat = values[:, channel].astype(np.float64)
        means.append(float(flat.mean()))
        flat -= means[-1]
        squares.append(float(np.square(flat, out=flat).sum()))
    return Moments(count=values[:, 0].size, mean=tuple(means), m2=tuple(squares))


def fit_statistics(
    figures: Iterable[Figures | None], spec: RowsSpec, rows: int, dropped: Mapping[str, int], label_conflicts: int
) -> Fitted:
    """Merges the figures of all training shards, in their order."""
    found = [figure for figure in figures if figure is not None]
    if not isinstance(spec, DataSpec) or not found:
        return Fitted(rows=rows, dropped=dict(dropped), label_conflicts=label_conflicts)
    moments = Moments(count=0, mean=(), m2=())
    for figure in found:
        moments = moments.merge(figure.moments)
    counts = np.sum([figure.class_counts for figure in found], axis=0)
    weights = [rows / (len(counts) * count) if count else 0.0 for count in counts.tolist()]
    return Fitted(
        rows=rows,
        mean=moments.mean,
        std=moments.std,
        class_counts=dict(zip(spec.labels, counts.tolist(), strict=True)),
        class_weights=tuple(weights),
        dropped=dict(dropped),
        label_conflicts=label_conflicts,
    )
