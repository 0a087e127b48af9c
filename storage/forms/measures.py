"""What is measured of one shard of the training split: moments, classes, texts."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from storage.base.cells import LARGEST
from storage.forms.columns import name_field
from storage.shards.row_ids import Rows

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
        """Return the moments of both sets of values together."""
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


class Measured(BaseModel):
    """What one shard of the training split contributes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int
    moments: Moments = Moments()
    target: Moments = Moments()
    class_counts: tuple[int, ...] = ()
    texts: dict[str, tuple[str, ...] | None] = Field(default={})
    entities: dict[str, Moments] | None = Field(default={})


def measure_channels(values: NDArray[np.generic]) -> Moments:
    """Measures each channel of values (N, C, ...), in float64."""
    return _measure(
        values[:, channel].astype(np.float64).reshape(-1) for channel in range(values.shape[1])
    )


def measure_columns(values: NDArray[np.float64], valid: NDArray[np.bool_]) -> Moments:
    """Measures the valid values of each column of (N, D) that a model can take."""
    usable = valid & (np.abs(values) <= LARGEST)
    return _measure(values[usable[:, column], column] for column in range(values.shape[1]))


def measure_target(values: NDArray[np.float64]) -> Moments:
    """Measures a target, shape (N,)."""
    return measure_columns(values.reshape(-1, 1), np.ones((len(values), 1), dtype=np.bool_))


def list_texts(rows: Rows, texts: Sequence[str]) -> dict[str, tuple[str, ...] | None]:
    """Lists the texts of each field of text, sorted; None for a field of more than 1,000."""
    listed: dict[str, tuple[str, ...] | None] = {}
    for field in (name_field(text, texts) for text in texts):
        if field in rows:
            found = sorted(set(rows[field].tolist()))
            listed[field] = tuple(found) if len(found) <= MOST_TEXTS else None
    return listed


def measure_entities(
    texts: Sequence[str], values: NDArray[np.float64], valid: NDArray[np.bool_]
) -> dict[str, Moments] | None:
    """Measures the valid values (N, D) of each entity by its name; None for more than 1,000."""
    names, places = np.unique(np.array(texts, dtype=np.dtypes.StringDType()), return_inverse=True)
    if len(names) > MOST_TEXTS:
        return None
    order = np.argsort(places, kind="stable")
    runs = np.split(order, np.cumsum(np.bincount(places, minlength=len(names)))[:-1])
    return {
        str(name): measure_columns(values[run], valid[run])
        for name, run in zip(names.tolist(), runs, strict=True)
        if name
    }


def merge_entities(
    parts: Iterable[dict[str, Moments] | None],
) -> dict[str, Moments]:
    """Merges the figures of shards by entity, in their order; nothing for more than 1,000."""
    merged: dict[str, Moments] = {}
    for part in parts:
        if part is None:
            return {}
        for name, moments in part.items():
            merged[name] = merged[name].merge(moments) if name in merged else moments
    return dict(sorted(merged.items())) if len(merged) <= MOST_TEXTS else {}


def _measure(columns: Iterable[NDArray[np.float64]]) -> Moments:
    counts, means, squares = [], [], []
    for values in columns:
        mean = float(values.mean()) if len(values) else 0.0
        deviations = values - mean
        counts.append(len(values))
        means.append(mean)
        squares.append(float(np.square(deviations, out=deviations).sum()))
    return Moments(count=tuple(counts), mean=tuple(means), m2=tuple(squares))
