"""The steps of a training job; only the training process imports this: it needs torch."""

import os
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from numpy.typing import NDArray

from lightning_modules.errors import ModelError, SpecError
from lightning_modules.specs.result import TrainResult
from lightning_modules.specs.samples import Sample
from lightning_modules.training.inference import predict_rows
from lightning_modules.training.ranks import open_group
from lightning_modules.training.start_weights import Start, read_start
from lightning_modules.training.trainer import fit_learner, load_learner, read_sample
from storage.base.store import Store, canonical_json, sha256_bytes
from storage.datasets.dataset import Dataset
from storage.datasets.version import Version
from storage.records.models import read_recorded
from storage.stream.stream import Stream
from tasks.forms.streams import VALIDATION, SampleRows, SlicedStream
from tasks.objectives.sheets import AnswerSheet, pack_answers, pack_arrays
from tasks.runtime.predictions import Predictions, Written
from tasks.training.baselines import Beside, answer_beside
from tasks.training.devices import read_chosen_threads, read_most_threads
from tasks.training.job import (
    CHECKPOINT,
    RESULT,
    Artifact,
    Export,
    Fit,
    Predict,
    TrainJob,
    WorkerResult,
)
from tasks.training.metric_log import MetricLog
from tasks.training.smaller import EVALUATION_BATCH, STATES, open_tuning, read_validation

CHANGE_NO_WEIGHT = (
    "budget_minutes",
    "devices",
    "nodes",
    "threads",
    "timeout_s",
    "log_every_steps",
    "checkpoint_every_steps",
    "checkpoint_every_s",
)
"""What may be another when a training goes on."""


def do_job(job: TrainJob, *, told_at: float) -> None:
    """Does every step of a job, and writes its result.

    Args:
        job: The job.
        told_at: `time.monotonic()` at which this process knew of the job.

    Raises:
        ModelError: A step cannot be done.
        StorageError: The rows or the directory cannot be used.
    """
    worker = Worker(job)
    seconds = {"start": round(time.monotonic() - told_at, 3)}
    fitted: TrainResult | None = None
    predictions: dict[str, Predictions] = {}
    artifacts: dict[str, Artifact] = {}
    for step in job.steps:
        begun_at = time.monotonic()
        match step:
            case Fit():
                fitted = worker.fit(step)
                name = "fit"
            case Predict():
                predictions[step.split] = worker.predict(step)
                name = f"predict {step.split}"
            case Export():
                artifacts |= worker.export(step)
                name = "export"
        seconds[name] = round(time.monotonic() - begun_at, 3)
    worker.finish(
        WorkerResult(
            checkpoint=worker.describe(CHECKPOINT, worker.checkpoint),
            fit=fitted,
            predictions=predictions,
            artifacts=artifacts,
            not_made=worker.not_made,
            seconds=seconds,
        )
    )


class Worker:
    """One rank at work on a job."""

    def __init__(self, job: TrainJob) -> None:
        self.job = job
        self.rank = int(os.environ.get("RANK", "0"))
        self.world_size = int(os.environ.get("WORLD_SIZE", "1"))
        self.store = Store(job.directory)
        self.version = open_version(job)
        if self.world_size > 1:
            open_group()
        self._checkpoint: bytes | None = None
        self.not_made: dict[str, str] = {}
        self.chosen_threads = read_chosen_threads()
        if self.chosen_threads is not None:
            torch.set_num_threads(self.chosen_threads)

    @property
    def checkpoint(self) -> bytes:
        """The weights that every step uses: fitted in this job, or found in its directory."""
        if self._checkpoint is None:
            self._checkpoint = self.store.read(CHECKPOINT)
        return self._checkpoint

    def open_rows(self, sample: Sample) -> SampleRows:
        """Opens the rows as samples of that kind."""
        return SampleRows(self.version, sample, rank=self.rank, world_size=self.world_size)

    def fit(self, step: Fit) -> TrainResult:
        """Trains, and keeps the best weights; what is answered afterwards is opened before."""
        spec = step.train
        log, rows = MetricLog(self.store), self.open_rows(step.sample)
        for later in self.job.steps:
            if isinstance(later, Predict):
                open_split(rows, later)
        fitted = fit_learner(
            step.model,
            spec,
            step.sample,
            train_stream=rows.open_training(spec),
            validation_stream=rows.open_evaluation(VALIDATION, EVALUATION_BATCH),
            reader=rows.reader,
            start=self.read_start(step),
            states=self.store.child(STATES, identify_fit(self.job, step)),
            # The threads of the stream decode while torch computes: they need no core of their own.
            most_threads=None if self.chosen_threads else read_most_threads(),
            on_record=log.write,
            on_diverged=self.keep_diverged,
        )
        self._checkpoint = fitted.checkpoint
        if self.rank == 0:
            self.store.write(CHECKPOINT, fitted.checkpoint)
        return fitted.result

    def read_start(self, step: Fit) -> Start | None:
        """Reads the weights that the network starts from, as they were found; None for none."""
        if step.start is None or step.train.start_from is None:
            if step.start is not None or step.train.start_from is not None:
                raise SpecError(
                    "train.start_from must go with the weights that were found for it; got one "
                    "without the other; hand `tasks.training.start.find_start` on to the training"
                )
            return None
        workspace = Store(self.job.data.workspace, self.job.data.options)
        return read_start(read_recorded(workspace, step.start), step.train.start_from)

    def keep_diverged(self, rows: Mapping[str, NDArray[Any]]) -> None:
        """Keeps the batch on which the loss was lost, so that it can be looked at."""
        self.store.write(f"diverged.rank{self.rank}.npz", pack_arrays(rows))

    def predict(self, step: Predict) -> Predictions:
        """Answers a split."""
        sample = read_sample(self.checkpoint)
        rows = self.open_rows(sample)
        learner = self.load_learner()
        answers = predict_rows(learner, open_split(rows, step), rows.reader)
        beside = Beside()
        if step.baselines and self.rank == 0:
            opened, cut = partial(SampleRows, self.version), learner.answer.cut
            beside = answer_beside(opened, sample, step.split, answers.row_id, cut)
        sheet = AnswerSheet(
            answers.row_id,
            answers.truth,
            answers.values,
            beside.answers,
            answers.bands,
            beside.margins,
            beside.thresholds,
        )
        content = pack_answers(sheet)
        name = f"predictions.{step.split}.npz"
        if self.rank == 0:
            self.store.write(name, content)
        return Predictions(
            **self.describe(name, content).model_dump(),
            rows=len(answers.row_id),
            figures=answers.figures,
        )

    def export(self, step: Export) -> dict[str, Artifact]:
        """Writes the candidates, on rank 0 only."""
        if self.rank:
            return {}
        from lightning_modules.compress.candidates import make_artifacts
        from lightning_modules.compress.onnx_export import stamp_model

        sample = read_sample(self.checkpoint)
        rows = self.draw_rows(step, sample)
        learner = load_learner(self.checkpoint)
        records, chooses = {}, step.compress.calibration == "auto"
        validation, truth = read_validation(self.open_rows(sample)) if chooses else (None, None)
        for made in make_artifacts(
            learner,
            sample,
            step.compress,
            calibration=rows,
            validation=validation,
            truth=truth,
            tuning=open_tuning(self.store, self.checkpoint, self.open_rows(sample), step),
            on_not_made=self.not_made.__setitem__,
        ):
            name, content = f"{made.name}.onnx", stamp_model(made.content, step.about, made.name)
            self.store.write(name, content)
            records[made.name] = Artifact(
                **self.describe(name, content).model_dump(),
                difference=made.difference,
                agreement=made.agreement,
            )
        return records

    def draw_rows(self, step: Export, sample: Sample) -> NDArray[Any]:
        """Draws training samples in a shuffled order, as many as are wanted and there are."""
        drawn = self.open_rows(sample).draw(step.compress.calibration_rows, step.seed).sample
        if drawn.shape[1:] != sample.shape:
            raise ModelError(
                f"calibration rows must have the shape {sample.shape} of the checkpoint; got "
                f"{drawn.shape[1:]}; use the data set that it was trained on"
            )
        return drawn

    def load_learner(self) -> Any:
        """Loads the network onto this rank's device."""
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if torch.cuda.is_available() else "cpu"
        return load_learner(self.checkpoint).to(device)

    def describe(self, name: str, content: bytes) -> Written:
        """Return name, digest and size of a file."""
        return Written(file=name, sha256=sha256_bytes(content), size_bytes=len(content))

    def finish(self, result: WorkerResult) -> None:
        """Writes the result, when every rank is through."""
        if self.world_size > 1:
            dist.barrier()
        if self.rank == 0:
            self.store.write(RESULT, result.model_dump_json().encode())


def open_split(rows: SampleRows, step: Predict) -> Stream | SlicedStream:
    """Opens the rows of a split that is to be answered.

    Raises:
        ModelError: It has none.
        StorageError: There is no such split, or a window does not fit into it.
    """
    stream = rows.open_evaluation(step.split, step.batch_size)
    if len(stream) == 0:
        raise ModelError(
            f"split ({step.split}) must hold at least one row; got none; change data.split"
        )
    return stream


def identify_fit(job: TrainJob, step: Fit) -> str:
    """Return what a training is resumed by.

    Another network, spec or data version starts afresh; more devices go on.
    """
    spec = step.model_dump(mode="json")
    for name in CHANGE_NO_WEIGHT:
        del spec["train"][name]
    return sha256_bytes(canonical_json([spec, job.data.dataset, job.data.version]))[:16]


def open_version(job: TrainJob) -> Version:
    """Opens the version of the data set that the job names."""
    workspace = Store(job.data.workspace, job.data.options)
    return Dataset(workspace, job.data.dataset).open(job.data.version)
