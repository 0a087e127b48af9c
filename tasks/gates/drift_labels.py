"""The labels of a raw version against those of the accepted one: whether they still go with the rows that they stand by."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gates.drift.drift_gate import Figure
from gates.drift.probe import (
    Sums,
    bin_features,
    count_agreed,
    expand_features,
    find_strength_change,
    learn_probe,
    measure_loss,
    shrink_images,
    sum_rows,
)
from gates.specs import DriftGate
from storage.base.parallel import TaskClient, map_in_order
from storage.base.store import Store
from storage.datasets.version import Version
from storage.forms.base import RowsSpec
from storage.forms.columns import NUMBERS, name_field
from storage.forms.image import ImageSpec
from storage.forms.table import TableSpec
from storage.shards.row_ids import CONTENT_HASH, LABEL, VALID_SUFFIX, Rows
from storage.shards.shard import ShardEntry, read_shard
from tasks.gates.survey import code_texts

PROBE_ROWS = 24_000
"""Rows of each version, spread over its shards, that the probe is learned from and asked about."""
_TEXT_CODES = 64
Weights = NDArray[np.float64]


@dataclass(frozen=True)
class Look:
    """How rows are looked at.

    Attributes:
        data: What the recipe says of them.
        scales: Mean and standard deviation of each column of numbers of the accepted version, (2,
            D).
        stride: Of so many rows one is taken.
    """

    data: RowsSpec
    scales: NDArray[np.float64]
    stride: int


@dataclass(frozen=True)
class Asked:
    """What became of the rows of a shard: labels that a probe agreed with, of how many, and rows by feature and class."""

    agreed: int
    rows: int
    bins: NDArray[np.int64]

    def merge(self, other: "Asked") -> "Asked":
        """The sums of both."""
        return Asked(self.agreed + other.agreed, self.rows + other.rows, self.bins + other.bins)


def measure_labels(
    accepted: Version,
    current: Version,
    data: RowsSpec,
    limits: DriftGate,
    client: TaskClient | None,
) -> list[Figure]:
    """How many labels a probe of the accepted version no longer agrees with, and what gives them away more than before."""
    classes = _count_classes(data)
    if not classes or min(accepted.rows, current.rows) < limits.min_rows:
        return []
    scales = _read_scales(accepted, data)
    entries, look = _pick_shards(accepted, data, scales)
    add = partial(sum_shard, shards=accepted.dataset.shards, look=look)
    # Each half adds up by itself: of all shards no more than two sums are held.
    sums = reduce(
        lambda left, right: (left[0].merge(right[0]), left[1].merge(right[1])),
        map_in_order(add, entries, client),
    )
    weights = [learn_probe([half]) for half in sums]
    found = []
    for version in (accepted, current):
        entries, look = _pick_shards(version, data, scales)
        ask = partial(ask_shard, shards=version.dataset.shards, look=look, weights=weights)
        found.append(reduce(Asked.merge, map_in_order(ask, entries, client)))
    before, after = found
    loss = measure_loss(
        (before.agreed, before.rows), (after.agreed, after.rows), limits.max_p_value
    )
    about = f"label: fall of their agreement with a probe, from {before.agreed / max(1, before.rows):.4g}"
    change, name = find_strength_change(
        before.bins, after.bins, _name_features(data, len(before.bins))
    )
    return [
        Figure(about, loss, most=limits.max_agreement_loss),
        Figure(
            f"label: change of how nearly {name} alone predicts it",
            change,
            most=limits.max_strength_change,
        ),
    ]


def _count_classes(data: RowsSpec) -> int:
    return len(data.labels) if isinstance(data, ImageSpec | TableSpec) else 0


def _pick_shards(
    version: Version, data: RowsSpec, scales: NDArray[np.float64]
) -> tuple[list[ShardEntry], Look]:
    """Shards spread over the version, and how many of their rows are passed over: about `PROBE_ROWS` rows are left."""
    wanted = max(1, round(len(version.shards) * min(1.0, PROBE_ROWS / max(1, version.rows))))
    places = np.unique(np.linspace(0, len(version.shards) - 1, wanted).round().astype(int))
    entries = [version.shards[place] for place in places]
    rows = sum(entry.rows for entry in entries)
    return entries, Look(data, scales, max(1, rows // PROBE_ROWS))


def sum_shard(entry: ShardEntry, shards: Store, look: Look) -> tuple[Sums, Sums]:
    """The sums of both halves of a shard's rows; runs on a worker."""
    features, label, half = _read_features(entry, shards, look)
    wide = expand_features(features)
    classes = _count_classes(look.data)
    return sum_rows(wide[half], label[half], classes), sum_rows(wide[~half], label[~half], classes)


def ask_shard(entry: ShardEntry, shards: Store, look: Look, weights: Sequence[Weights]) -> Asked:
    """What the probes say to the half that they have not learned from; runs on a worker."""
    features, label, half = _read_features(entry, shards, look)
    wide = expand_features(features)
    counts = [
        count_agreed(probe, wide[rows], label[rows])
        for probe, rows in zip(weights, (~half, half), strict=True)
    ]
    bins = bin_features(_scale_alone(features, look), label, _count_classes(look.data))
    return Asked(sum(agreed for agreed, _ in counts), sum(rows for _, rows in counts), bins)


def _read_features(
    entry: ShardEntry, shards: Store, look: Look
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.bool_]]:
    """Features (N, F), labels (N,), below 0 where there is none, and which half each row belongs to by its content."""
    rows = {
        name: values[:: look.stride]
        for name, values in read_shard(shards, entry, verify=False).items()
    }
    valid = rows.get(LABEL + VALID_SUFFIX)
    label = rows[LABEL].astype(np.int64) if valid is None else np.where(valid, rows[LABEL], -1)
    half = (rows[CONTENT_HASH].reshape(len(label), -1).view(np.uint64)[:, 0] & np.uint64(1)).astype(
        np.bool_
    )
    if isinstance(look.data, ImageSpec):
        return shrink_images(rows["image"], look.data.image.value_range), label, half
    return _build_features(rows, look), label, half


def _build_features(rows: Rows, look: Look) -> NDArray[np.float32]:
    """Standardised numbers, their squares, and texts by category, (N, F)."""
    data, parts = look.data, list[NDArray[Any]]()
    if isinstance(data, TableSpec) and NUMBERS in rows:
        usable = rows[NUMBERS + VALID_SUFFIX] & np.isfinite(rows[NUMBERS])
        scaled = np.where(usable, (rows[NUMBERS] - look.scales[0]) / look.scales[1], 0.0)
        parts += [np.clip(scaled, -8, 8), np.square(np.clip(scaled, -3, 3))]
    for name in data.texts if isinstance(data, TableSpec) else ():
        parts.append(np.eye(_TEXT_CODES)[code_texts(rows[name_field(name)]).astype(np.int64)])
    return np.concatenate(parts, axis=1).astype(np.float32)


def _scale_alone(features: NDArray[np.float32], look: Look) -> NDArray[np.float32]:
    """Features that are judged one by one, from 0 to 1: cells of images; columns of a table, four deviations each way."""
    if not isinstance(look.data, TableSpec):
        return features
    numbers = len(look.data.numbers)
    texts = features[:, 2 * numbers :].reshape(len(features), len(look.data.texts), _TEXT_CODES)
    codes = texts.argmax(axis=2) / _TEXT_CODES
    return np.concatenate([features[:, :numbers] / 8 + 0.5, codes], axis=1).astype(np.float32)


def _name_features(data: RowsSpec, count: int) -> Sequence[str]:
    if isinstance(data, TableSpec):
        return (*data.numbers, *data.texts)
    return [f"cell {number} of the image" for number in range(count)]


def _read_scales(accepted: Version, data: RowsSpec) -> NDArray[np.float64]:
    """Mean and standard deviation of each column of numbers, (2, D)."""
    statistics = accepted.statistics()
    names = data.numbers if isinstance(data, TableSpec) else ()
    found = [statistics[f"{NUMBERS}.{name}"] for name in names]
    return np.array(
        [[figures.mean or 0.0 for figures in found], [figures.std or 1.0 for figures in found]]
    )
