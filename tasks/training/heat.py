"""One trial of a race, on a Dask worker: it opens the rows, trains a little, and says what came.

What travels is plain data; torch is imported where the work is done.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lightning_modules.data.readers import SampleBatch
from lightning_modules.specs.entrants import Entrant
from lightning_modules.specs.forms import AnySample
from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.trial import Bounds, Measured, Survey
from storage.base.store import Store, canonical_json, sha256_bytes
from storage.datasets.dataset import Dataset
from storage.datasets.version import Version
from storage.records.models import read_recorded
from storage.records.receipts import StartRecord
from tasks.forms.streams import TRAIN, VALIDATION, SampleRows
from tasks.runtime.predictions import Message
from tasks.training.job import DataRef

if TYPE_CHECKING:
    from lightning_modules.training.start_weights import Start

JUDGED_BATCH = 512


@dataclass(frozen=True)
class Begun:
    """A trial that was begun or refused: in which round, and what it came to, or why not."""

    name: str
    round: int
    came_to: Measured | str


class Heat(Message):
    """What a worker needs to know of a race.

    Attributes:
        data: Where the rows are.
        sample: What a sample is.
        start: Weights to start from; None draws them.
    """

    data: DataRef
    sample: AnySample
    start: StartRecord | None = None

    def name(self, entrant: Entrant, bounds: Bounds) -> str:
        """Return what a trial is known by: another network, length or version is another trial."""
        data = [self.data.dataset, self.data.version, self.sample.model_dump(mode="json")]
        limits = [bounds.epochs, bounds.batches, bounds.judged, bounds.rotations]
        told = canonical_json([entrant.model_dump(mode="json"), data, limits])
        return sha256_bytes(told)[:16]


def survey_heat(heat: Heat, entrant: Entrant) -> Survey:
    """Build a network and estimate what a step of it costs.

    Raises:
        SpecError: It does not fit the samples.
    """
    from lightning_modules.training.trial import survey_network

    return survey_network(entrant.model, entrant.train, heat.sample)


def run_heat(heat: Heat, entrant: Entrant, bounds: Bounds) -> Measured:
    """Train a network as far as it may, and judge it on validation rows.

    Raises:
        ModelError: It cannot be trained, or cost too much.
        StorageError: The rows cannot be read.
    """
    import torch

    from lightning_modules.training.folds import run_rotations
    from lightning_modules.training.trial import run_trial

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rows = SampleRows(open_data(heat.data), heat.sample)
        if bounds.rotations:
            return run_rotations(entrant.model, entrant.train, heat.sample, read_pool(rows), bounds)
        spec = entrant.train.model_copy(update={"accumulate": 1})
        return run_trial(
            entrant.model,
            entrant.train,
            heat.sample,
            train_stream=rows.open_training(spec),
            validation_stream=rows.open_evaluation(VALIDATION, JUDGED_BATCH),
            reader=rows.reader,
            bounds=bounds,
            start=_read_start(heat, entrant),
        )
    finally:
        torch.set_num_threads(threads)


def read_pool(rows: SampleRows) -> SampleBatch:
    """Read all training and validation rows into memory."""
    batches = [batch for split in (TRAIN, VALIDATION) for batch in rows.read(split)]
    return SampleBatch(*(np.concatenate(part) for part in zip(*batches, strict=True)))


def read_network(heat: Heat) -> ModelSpec | None:
    """Read head and network of the model whose weights are started from; None where it is none."""
    from lightning_modules.training.trainer import read_model

    if heat.start is None or heat.start.model is None:
        return None
    workspace = Store(heat.data.workspace, heat.data.options)
    return read_model(read_recorded(workspace, heat.start))


def open_data(data: DataRef) -> Version:
    """Open the version of the data set."""
    return Dataset(Store(data.workspace, data.options), data.dataset).open(data.version)


def _read_start(heat: Heat, entrant: Entrant) -> "Start | None":
    from lightning_modules.training.start_weights import read_start

    if heat.start is None or entrant.train.start_from is None:
        return None
    workspace = Store(heat.data.workspace, heat.data.options)
    return read_start(read_recorded(workspace, heat.start), entrant.train.start_from)
