"""Short trainings on rows that are dealt to folds: where one validation split is too small to tell.

In each rotation one fold is judged, the next one chooses the epoch and the rest trains, as in a
whole run one split is held out and one validates. So nothing is judged on rows that it was chosen
by (Cawley and Talbot, 2010).
"""

import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightning_modules.data.readers import SampleBatch
from lightning_modules.specs.forms import AnySample
from lightning_modules.specs.measure import find_direction
from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.training import TrainSpec
from lightning_modules.specs.trial import FOLDS, Bounds, Measured
from lightning_modules.training.trainer import fit_learner
from lightning_modules.training.trial import check_cost, choose_figure, judge_learner

JUDGED_BATCH = 512


class PoolReader:
    """Takes batches of a pool as they are."""

    fields: tuple[str, ...] = ()

    def read(self, rows: Mapping[str, NDArray[Any]]) -> SampleBatch:
        """Reads one batch of a stream."""
        return SampleBatch(rows["sample"], rows["truth"], rows["row_id"])


class PoolStream:
    """Gives some rows of a pool, batch by batch.

    Args:
        pool: All rows.
        places: Which of them.
        batch_rows: Rows of a batch.
        seed: Of the order, another one in each epoch, without the few rows behind the last whole
            batch; None gives all rows in their order.
    """

    def __init__(
        self, pool: SampleBatch, places: NDArray[np.intp], batch_rows: int, seed: int | None = None
    ) -> None:
        self._pool, self._places, self._seed = pool, places, seed
        self._batch_rows = min(batch_rows, max(1, len(places)))
        self._epoch = self._step = 0

    def __len__(self) -> int:
        whole, left = divmod(len(self._places), self._batch_rows)
        return whole + (self._seed is None and left > 0)

    def __iter__(self) -> Iterator[dict[str, NDArray[Any]]]:
        order = self._places
        if self._seed is not None:
            order = np.random.default_rng([self._seed, self._epoch]).permutation(order)
        first, self._step = self._step, 0
        for step in range(first, len(self)):
            chosen = order[step * self._batch_rows : (step + 1) * self._batch_rows]
            yield {name: part[chosen] for name, part in self._pool._asdict().items()}

    def take_all(self) -> "PoolStream":
        """Returns all rows in their order."""
        return PoolStream(self._pool, self._places, self._batch_rows)

    def set_epoch(self, epoch: int) -> None:
        """Goes to the start of an epoch."""
        self._epoch, self._step = epoch, 0

    def state_dict(self) -> dict[str, Any]:
        """Returns where the stream stands."""
        return {"epoch": self._epoch, "step": self._step}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes to where `state_dict` was taken."""
        self._epoch, self._step = int(state["epoch"]), int(state["step"])


@dataclass(frozen=True)
class Crossing:
    """What rotations are taken of.

    Attributes:
        pool: The rows that may be learned from, those that validate among them.
    """

    pool: SampleBatch

    def deal(self, seed: int) -> NDArray[np.int64]:
        """Returns the fold (N,) of each row: equal rows share one, and each has its share of all.

        Of classes each fold gets as many rows, of values as many low and high ones.

        Args:
            seed: Another one deals anew.
        """
        sample, truth, _ = self.pool
        flat = np.ascontiguousarray(sample).reshape(len(sample), -1)
        marks = np.array([zlib.crc32(row.tobytes(), seed) for row in flat])
        order = np.lexsort((marks, truth))
        # Of each five neighbours one goes to each fold; which one, the seed draws.
        draw = np.random.default_rng(seed).random((-(-len(marks) // FOLDS), FOLDS))
        dealt = draw.argsort(axis=1).ravel()
        first: dict[int, int] = {}
        folds = np.zeros(len(marks), np.int64)
        for rank, row in enumerate(order):
            folds[row] = first.setdefault(int(marks[row]), int(dealt[rank]))
        return folds

    def open_streams(
        self, rotation: int, train: TrainSpec
    ) -> tuple[PoolStream, PoolStream, PoolStream]:
        """Returns what trains, what chooses the epoch, and what is judged in a rotation."""
        folds, judged = self.deal(rotation // FOLDS), rotation % FOLDS
        chooses = (judged + 1) % FOLDS
        places = np.arange(len(folds))
        return (
            PoolStream(
                self.pool,
                places[(folds != judged) & (folds != chooses)],
                train.batch_size,
                train.seed + rotation,
            ),
            PoolStream(self.pool, places[folds == chooses], JUDGED_BATCH),
            PoolStream(self.pool, places[folds == judged], JUDGED_BATCH),
        )


def run_rotations(
    model: ModelSpec, train: TrainSpec, sample: AnySample, pool: SampleBatch, bounds: Bounds
) -> Measured:
    """Trains a network once a rotation, whole, and judges each on rows that it never saw.

    Args:
        model: Head and network.
        train: How to train.
        sample: What one sample looks like.
        pool: The rows that may be learned from.
        bounds: How many rotations; what it may cost.

    Returns:
        The means over the rotations.

    Raises:
        SpecError: It does not fit the samples, or a fold lacks what it needs.
        TooDear: It cost more than it may.
        DivergedError: The loss was lost.
    """
    began, crossing, reader = time.process_time(), Crossing(pool), PoolReader()
    name, found, steps, epochs = choose_figure(train, sample), [], 0, 0
    spec = train.model_copy(update={"precision": "fp32", "threads": 1, "accumulate": 1})
    for rotation in range(bounds.rotations):
        trains, chooses, judged = crossing.open_streams(rotation, spec)
        fitted = fit_learner(
            model,
            spec,
            sample,
            train_stream=trains,
            validation_stream=chooses,
            reader=reader,
            on_record=lambda _: check_cost(time.process_time() - began, bounds),
        )
        known = judge_learner(fitted.learner, name, judged, reader, sample)
        found.append((known[name], known["loss"]))
        steps, epochs = steps + fitted.result.steps, epochs + fitted.result.epochs
    value, loss = np.array(found).mean(0).tolist()
    spent_s = time.process_time() - began
    return Measured(name, find_direction(name), value, loss, steps, epochs, spent_s)
