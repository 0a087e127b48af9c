"""Asks whether labels still go with the rows that they stand by, as the accepted ones did."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gates.drift.drift_gate import DriftFigure
from gates.drift.probe import (
    Sums,
    bin_features,
    count_agreed,
    expand_features,
    find_class_change,
    find_strength_change,
    learn_probe,
    measure_loss,
    sum_rows,
)
from gates.specs.drift import DriftGate
from storage.base.parallel import TaskClient, map_in_order
from storage.base.store import Store
from storage.datasets.version import Version
from storage.forms.base import RowsSpec
from storage.shards.entry import ShardEntry
from storage.shards.reading import read_shard
from storage.shards.row_ids import CONTENT_HASH, LABEL
from tasks.forms.base import Features
from tasks.forms.columns import find_present
from tasks.forms.registry import find_task_form

PROBE_ROWS = 24_000
"""Rows of each version, spread over its shards, that the probe is learned from and asked about."""
Weights = NDArray[np.float64]


@dataclass(frozen=True)
class Look:
    """Says how rows are looked at; it travels to workers.

    Attributes:
        features: What of them is looked at.
        classes: Number of classes.
        stride: Of so many rows one is taken.
    """

    features: Features
    classes: int
    stride: int


@dataclass(frozen=True)
class Asked:
    """Counts labels of a shard that probes agreed with, of how many, and rows by feature."""

    agreed: int
    rows: int
    bins: NDArray[np.int64]

    def merge(self, other: "Asked") -> "Asked":
        """Add up both."""
        return Asked(self.agreed + other.agreed, self.rows + other.rows, self.bins + other.bins)


def measure_labels(
    accepted: Version,
    current: Version,
    data: RowsSpec,
    limits: DriftGate,
    client: TaskClient | None,
) -> list[DriftFigure]:
    """Measure which labels a probe of the accepted version denies, and what tells more."""
    classes = len(data.labels)
    if not classes or min(accepted.rows, current.rows) < limits.min_rows:
        return []
    features = find_task_form(data).make_features(accepted, data)
    if features is None:
        return []
    weights = _learn_probes(accepted, features, classes, client)
    before, after = (
        _ask_probes(version, features, classes, weights, client) for version in (accepted, current)
    )
    names = features.name(len(before.bins))
    return _make_figures(before, after, names, data.labels, limits)


def _make_figures(
    before: Asked, after: Asked, names: Sequence[str], labels: Sequence[str], limits: DriftGate
) -> list[DriftFigure]:
    loss = measure_loss(
        (before.agreed, before.rows), (after.agreed, after.rows), limits.max_p_value
    )
    share, now = (each.agreed / max(1, each.rows) for each in (before, after))
    change, name = find_strength_change(before.bins, after.bins, names)
    telling, cell = find_class_change(before.bins, after.bins, names, labels)
    strength: dict[str, Any] = {"most": limits.max_strength_change, "key": "max_strength_change"}
    about = "label: change of how nearly one value alone predicts one class"
    return [
        DriftFigure(
            f"label: fall of their agreement with a probe, from {share:.4g}",
            loss,
            most=limits.max_agreement_loss,
            key="max_agreement_loss",
            hint=f"{share:.2%} -> {now:.2%} of the labels",
        ),
        DriftFigure(f"label: change of how nearly {name} alone predicts it", change, **strength),
        DriftFigure(about, telling, hint=cell, **strength),
    ]


def _learn_probes(
    accepted: Version, features: Features, classes: int, client: TaskClient | None
) -> list[Weights]:
    """Learn a probe from each half of the accepted version's rows."""
    entries, look = _pick_shards(accepted, features, classes)
    add = partial(sum_shard, shards=accepted.dataset.shards, look=look)
    # Each half adds up by itself: of all shards no more than two sums are held.
    sums = reduce(
        lambda left, right: (left[0].merge(right[0]), left[1].merge(right[1])),
        map_in_order(add, entries, client),
    )
    return [learn_probe([half]) for half in sums]


def _ask_probes(
    version: Version,
    features: Features,
    classes: int,
    weights: Sequence[Weights],
    client: TaskClient | None,
) -> Asked:
    """Ask the probes about rows of a version that they have not learned from."""
    entries, look = _pick_shards(version, features, classes)
    ask = partial(ask_shard, shards=version.dataset.shards, look=look, weights=weights)
    return reduce(Asked.merge, map_in_order(ask, entries, client))


def _pick_shards(
    version: Version, features: Features, classes: int
) -> tuple[list[ShardEntry], Look]:
    """Pick shards spread over a version, and which of their rows: about `PROBE_ROWS` are left."""
    wanted = max(1, round(len(version.shards) * min(1.0, PROBE_ROWS / max(1, version.rows))))
    places = np.unique(np.linspace(0, len(version.shards) - 1, wanted).round().astype(int))
    entries = [version.shards[place] for place in places]
    rows = sum(entry.rows for entry in entries)
    return entries, Look(features, classes, max(1, rows // PROBE_ROWS))


def sum_shard(entry: ShardEntry, shards: Store, look: Look) -> tuple[Sums, Sums]:
    """Sum both halves of a shard's rows; runs on a worker."""
    features, label, half = _read_features(entry, shards, look)
    wide = expand_features(features)
    halves = (sum_rows(wide[rows], label[rows], look.classes) for rows in (half, ~half))
    return next(halves), next(halves)


def ask_shard(entry: ShardEntry, shards: Store, look: Look, weights: Sequence[Weights]) -> Asked:
    """Ask each probe about the half that it has not learned from; runs on a worker."""
    features, label, half = _read_features(entry, shards, look)
    wide = expand_features(features)
    counts = [
        count_agreed(probe, wide[rows], label[rows])
        for probe, rows in zip(weights, (~half, half), strict=True)
    ]
    bins = bin_features(look.features.spread(features), label, look.classes)
    return Asked(sum(agreed for agreed, _ in counts), sum(rows for _, rows in counts), bins)


def _read_features(
    entry: ShardEntry, shards: Store, look: Look
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.bool_]]:
    """Read features (N, F), labels (N,), below 0 where missing, and in which half each row is."""
    rows = {
        name: values[:: look.stride]
        for name, values in read_shard(shards, entry, verify=False).items()
    }
    label = np.where(find_present(rows, LABEL), rows[LABEL], -1).astype(np.int64)
    half = (rows[CONTENT_HASH].reshape(len(label), -1).view(np.uint64)[:, 0] & np.uint64(1)).astype(
        np.bool_
    )
    return look.features.read(rows), label, half
