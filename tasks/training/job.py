"""What the training process is asked to do, and what it answers: plain data, no torch."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from lightning_modules.specs.compress import CompressSpec
from lightning_modules.specs.forms import AnySample
from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.result import TrainResult
from lightning_modules.specs.training import TrainSpec
from storage.records.receipts import StartRecord
from tasks.runtime.predictions import Message, Predictions, Written

CHECKPOINT = "checkpoint.safetensors"
METRICS = "metrics.jsonl"
RESULT = "result.json"
FAILURE = "failure.json"
FAILURE_BYTES = 8192
OUTPUT = "worker.log"


class DataRef(Message):
    """One version of a data set.

    Attributes:
        workspace: Absolute path or URL of the workspace.
        options: fsspec options of that file system; written to the job's file, which its owner
            alone can read.
        dataset: Name.
        version: Number.
    """

    workspace: str
    options: dict[str, Any] = Field(default_factory=dict)
    dataset: str
    version: int


class Fit(Message):
    """Train, and write the best weights; resumes from what an earlier attempt left.

    Attributes:
        model: Head and network.
        train: How to train.
        sample: What a sample is.
        start: Where in the workspace the weights lie that `train.start_from` names; None draws
            them.
    """

    do: Literal["fit"] = "fit"
    model: ModelSpec
    train: TrainSpec
    sample: AnySample
    start: StartRecord | None = None


class Predict(Message):
    """Answer every row of a split, and write a sheet of answers, `predictions.<split>.npz`.

    Attributes:
        split: Name of the split.
        baselines: Whether baselines answer the same rows.
        batch_size: Rows at a time, over all ranks.
    """

    do: Literal["predict"] = "predict"
    split: str
    baselines: bool = False
    batch_size: int = Field(default=512, ge=1)


class Export(Message):
    """Write each candidate artifact, `<name>.onnx`, from the checkpoint.

    Attributes:
        compress: Which candidates, and how many training rows calibrate them.
        seed: Of the choice of those rows.
        about: What each artifact says about itself, as ONNX metadata.
        train: How networks are trained that artifacts are made from; None: none is.
        most_lost: How much worse than the model's their headline figure may be: a difference, or of
            an error a relative increase; None: any.
    """

    do: Literal["export"] = "export"
    compress: CompressSpec = CompressSpec()
    seed: int = 0
    about: dict[str, str] = Field(default_factory=dict)
    train: TrainSpec | None = None
    most_lost: float | None = None


Step = Annotated[Fit | Predict | Export, Field(discriminator="do")]


class TrainJob(Message):
    """What one training process, or one group of them, does: its steps in order, in one directory.

    What one step has read, as the checkpoint, the next one need not read again.

    Attributes:
        directory: Absolute local path; everything is written there. Without a `Fit`, the checkpoint
            is read from there.
        data: Where the rows are.
        steps: At least one.
        devices: Processes, one device each; "auto": every GPU, else one CPU process.
    """

    format: Literal[1] = 1
    directory: str
    data: DataRef
    steps: tuple[Step, ...] = Field(min_length=1)
    devices: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"

    @model_validator(mode="after")
    def _check_order(self) -> "TrainJob":
        if any(isinstance(step, Fit) for step in self.steps[1:]):
            raise ValueError(
                "steps must hold at most one fit, and it comes first; make two jobs of them"
            )
        return self


class Artifact(Written):
    """An exported candidate.

    Attributes:
        difference: Largest difference of any answer from the float network's, over the calibration
            rows.
        agreement: Fraction of those rows with the same answer.
    """

    difference: float
    agreement: float


class WorkerResult(Message):
    """What the steps came to; written last, so that it stands for a job that is done.

    Attributes:
        checkpoint: The weights that every step used.
        fit: Figures of the training; None without a `Fit`.
        predictions: By split.
        artifacts: By candidate.
        not_made: Why there is none, by candidate.
        seconds: Wall time of each step, and of what the job waited for the process to be ready
            ("start": imports).
    """

    format: Literal[1] = 1
    checkpoint: Written
    fit: TrainResult | None = None
    predictions: dict[str, Predictions] = Field(default_factory=dict)
    artifacts: dict[str, Artifact] = Field(default_factory=dict)
    not_made: dict[str, str] = Field(default_factory=dict)
    seconds: dict[str, float] = Field(default_factory=dict)


class Failure(Message):
    """Why a worker gave up, in one sentence of its own.

    Its place on the disk is taken before the worker starts, blank, so that there is room to say
    that there is none.

    Attributes:
        kind: Class of the error.
        message: What, where, and the remedy.
    """

    kind: str
    message: str
