"""Statistics of the training split that the head and the loss are built from. Nothing else is ever fitted on."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from storage.forms.base import RowsSpec
from storage.forms.columns import NUMBERS, TARGET, name_field
from storage.forms.image import ImageSpec
from storage.forms.table import TableSpec
from storage.shards.row_ids import LABEL, VALID_SUFFIX, Rows, count_rows

MOST_TEXTS = 1000


class Moments(BaseModel):
    """Count, mean and sum of squared deviations of each channel or column, of shape (C,).

    Merging is exact up to rounding (Chan, Golub and LeVeque, 1979), and always done in the order of
    the shards, so that the result is the same to the last bit however many workers measured.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: tuple[int, ...] = ()
    mean: tuple[float, ...] = ()
    m2: tuple[float, ...] = ()

    def merge(self, other: "Moments") -> "Moments":
        """Moments of both sets of values together."""
        if not self.count or not other.count:
            return self if self.count else other
        left, right = np.array(self.count), np.array(other.count)
        count = np.maximum(left + right, 1)
        shift = np.array(other.mean) - np.array(self.mean)
        mean = np.array(self.mean) + shift * (right / count)
        m2 = np.array(self.m2) + np.array(other.m2) + shift**2 * (left * right / count)
        return Moments(
            count=tuple((left + right).tolist()), mean=tuple(mean.tolist()), m2=tuple(m2.tolist())
        )

    @property
    def std(self) -> tuple[float, ...]:
        """Standard deviation of each (population, no Bessel correction)."""
        return tuple(np.sqrt(np.array(self.m2) / np.maximum(np.array(self.count), 1)).tolist())


class Fitted(BaseModel):
    """What preparing learned from the training split, and what became of all other rows.

    Attributes:
        rows: Training rows.
        mean: Mean of each channel of the images, or of each column of `numbers` over its valid
            values, in the source's unit.
        std: Standard deviation of each; 0 where there is no value.
        vocabularies: Texts of each text field, sorted; fields of more than 1,000 texts are left
            out.
        target_mean: Mean of the target.
        target_std: Standard deviation of the target.
        class_counts: Training rows of each class, by name.
        class_weights: Weight of each class, in the order of the labels, that evens out how often it
            occurs: rows / (classes * rows of the class); 0 for a class without rows.
        dropped: Rows dropped from all splits, by reason.
        label_conflicts: Duplicates that were dropped although their label differed from the kept
            row's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    vocabularies: dict[str, tuple[str, ...]] = Field(default={})
    target_mean: float | None = None
    target_std: float | None = None
    class_counts: dict[str, int] = Field(default={})
    class_weights: tuple[float, ...] = ()
    dropped: dict[str, int]
    label_conflicts: int = 0


class Figures(BaseModel):
    """What one shard of the training split contributes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int
    moments: Moments = Moments()
    target: Moments = Moments()
    class_counts: tuple[int, ...] = ()
    texts: dict[str, tuple[str, ...] | None] = Field(default={})


def measure_rows(rows: Rows, spec: RowsSpec) -> Figures:
    """Figures of some training rows."""
    count = count_rows(rows)
    labels = spec.labels if isinstance(spec, ImageSpec | TableSpec) else ()
    classes = (
        np.bincount(rows[LABEL], minlength=len(labels)) if labels else np.empty(0, dtype=np.int64)
    )
    figures = Figures(rows=count, class_counts=tuple(classes.tolist()))
    if isinstance(spec, ImageSpec):
        return figures.model_copy(update={"moments": measure_channels(rows["image"])})
    if not isinstance(spec, TableSpec):
        return figures
    update: dict[str, object] = {
        "texts": {
            field: _list_texts(rows[field])
            for field in map(name_field, spec.texts)
            if field in rows
        }
    }
    if NUMBERS in rows:
        update["moments"] = measure_columns(rows[NUMBERS], rows[NUMBERS + VALID_SUFFIX])
    if TARGET in rows:
        update["target"] = measure_columns(
            rows[TARGET].reshape(-1, 1), np.ones((count, 1), dtype=np.bool_)
        )
    return figures.model_copy(update=update)


def measure_channels(values: NDArray[np.generic]) -> Moments:
    """Moments of each channel of values (N, C, ...), in float64."""
    return _measure(
        values[:, channel].astype(np.float64).reshape(-1) for channel in range(values.shape[1])
    )


def measure_columns(values: NDArray[np.float64], valid: NDArray[np.bool_]) -> Moments:
    """Moments of the valid, finite values of each column of (N, D)."""
    usable = valid & np.isfinite(values)
    return _measure(values[usable[:, column], column] for column in range(values.shape[1]))


def _measure(columns: Iterable[NDArray[np.float64]]) -> Moments:
    counts, means, squares = [], [], []
    for values in columns:
        mean = float(values.mean()) if len(values) else 0.0
        deviations = values - mean
        counts.append(len(values))
        means.append(mean)
        squares.append(float(np.square(deviations, out=deviations).sum()))
    return Moments(count=tuple(counts), mean=tuple(means), m2=tuple(squares))


def _list_texts(values: NDArray[np.generic]) -> tuple[str, ...] | None:
    found = sorted(set(values.tolist()))
    return tuple(found) if len(found) <= MOST_TEXTS else None


def fit_statistics(
    figures: Sequence[Figures], spec: RowsSpec, dropped: Mapping[str, int], label_conflicts: int
) -> Fitted:
    """Merges the figures of all training shards, in their order."""
    rows = sum(figure.rows for figure in figures)
    labels = spec.labels if isinstance(spec, ImageSpec | TableSpec) else ()
    moments, target = Moments(), Moments()
    for figure in figures:
        moments, target = moments.merge(figure.moments), target.merge(figure.target)
    found = [sum(figure.class_counts[label] for figure in figures) for label in range(len(labels))]
    return Fitted(
        rows=rows,
        mean=moments.mean,
        std=moments.std,
        vocabularies=_merge_texts(figures),
        target_mean=target.mean[0] if target.mean else None,
        target_std=target.std[0] if target.std else None,
        class_counts=dict(zip(labels, found, strict=True)),
        class_weights=tuple(rows / (len(labels) * count) if count else 0.0 for count in found),
        dropped=dict(dropped),
        label_conflicts=label_conflicts,
    )


def _merge_texts(figures: Sequence[Figures]) -> dict[str, tuple[str, ...]]:
    merged: dict[str, set[str] | None] = {}
    for figure in figures:
        for name, texts in figure.texts.items():
            known = merged.setdefault(name, set())
            merged[name] = None if known is None or texts is None else known | set(texts)
    return {
        name: tuple(sorted(texts))
        for name, texts in merged.items()
        if texts is not None and len(texts) <= MOST_TEXTS
    }
