"""Receipts: one signed, content-addressed record a run, promoted or stopped.

Figures are lists of numbers with a name, a unit, a direction and a split: a new kind of model adds
names to them, never fields. `storage.records.receipt_files` writes and reads the files.
"""

from datetime import datetime
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from storage.base.figures import Figure, find_value

FORMAT: Final = 2


class Record(BaseModel):
    """Base of the frozen records inside a receipt."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FileRecord(Record):
    """A file that a receipt vouches for, by digest and size."""

    sha256: str
    size_bytes: int


class SourceRecord(Record):
    """Where the rows came from: the source's type, its address without secrets, the files read.

    `digest` is over the list of all files; `files` holds the first 1,000 of them.
    """

    type: str
    url: str | None = None
    digest: str
    files: dict[str, FileRecord] = {}


class DatasetRecord(Record):
    """One version of a dataset: name and number to read, the digest of its log entry to trust."""

    name: str
    number: int
    digest: str
    manifest: str
    rows: dict[str, int]

    @property
    def ref(self) -> str:
        """`name@number`, as the command line takes it."""
        return f"{self.name}@{self.number}"


class StartRecord(FileRecord):
    """Weights that a network started from, in the workspace: those of a model, or of an address."""

    path: str
    model: str | None = None
    url: str | None = None


class ModelRecord(Record):
    """A trained network.

    Attributes:
        id: Identity of the model.
        checkpoint: sha256 of the weights.
        objective: What it is asked, such as "classes".
        start: Weights that it started from.
        parameters: How many numbers were trained.
        files: Every file of its directory.
    """

    id: str
    checkpoint: str
    objective: str = ""
    start: StartRecord | None = None
    parameters: int | None = None
    files: dict[str, FileRecord] = {}


class TrainingRecord(Record):
    """How a network was trained: epochs (the best from 0), wall time, precision, threads."""

    epochs: int
    best_epoch: int
    seconds: float
    precision: str
    threads: int | None = None


class ClassRecord(Record):
    """What a candidate costs on a class of devices, and what is against it there.

    Attributes:
        name: Of the class; "" for this machine, where a channel is for no class that is described.
        threads: That it computes in.
        slowdown: How many times this machine's time it takes: the figures hold that; None where a
            device of the class measured these bytes.
        device: Id of the device that measured the figures, or the slowdown; "" where it is
            declared.
        figures: `latency_ms_p50`, `latency_ms_p99`, the same `_of_64` rows at once, `cpu_ms` a
            row, `memory_bytes` that a process grows by, and its `peak_bytes`.
        faults: Demands of the class that it did not meet, on the rows that it was tried on.
    """

    name: str
    threads: int
    slowdown: float | None = 1.0
    device: str = ""
    figures: tuple[Figure, ...] = ()
    faults: tuple[str, ...] = ()


class ArtifactRecord(Record):
    """What one candidate measured on its exact bytes.

    Attributes:
        name: Its name among the candidates, such as "int8".
        file: Its name in the model's directory.
        sha256: Digest of its bytes.
        figures: The receipt's headline figure and `agreement` (the share of answers that are the
            float model's) on "validation" and "held_out" rows, there also every other figure of the
            model and `worst_slice_drop`, the most that a slice lost; `size_bytes`; on this machine,
            in one thread, `latency_ms_p50` and others of one answer to one row.
        chosen_for: Channels that get it.
        note: Why a channel that prefers it did not get it.
        passed_over: Why a channel did not get it, by the channel's name.
        classes: What it costs on each class of devices that a channel is for.
        worst_slice: The slice that lost most.
    """

    name: str
    file: str
    sha256: str
    figures: tuple[Figure, ...] = ()
    chosen_for: tuple[str, ...] = ()
    note: str = ""
    passed_over: dict[str, tuple[str, ...]] = {}
    classes: tuple[ClassRecord, ...] = ()
    worst_slice: str = ""

    def find_class(self, name: str, threads: int) -> ClassRecord | None:
        """Return what it costs on a class in so many threads; None where that is not recorded."""
        asked = (name, threads)
        return next((each for each in self.classes if (each.name, each.threads) == asked), None)

    def find_score(self, split: str) -> Figure | None:
        """Return the figure that says how well it answers the rows of a split: the first."""
        return next((figure for figure in self.figures if figure.split == split), None)

    def find(self, name: str, split: str = "") -> float | None:
        """Return the value of a figure; None where it was not measured."""
        return find_value(self.figures, name, split)


class ChannelRecord(Record):
    """What is cleared for a channel: the artifact, and the release that it may follow, if any."""

    artifact: str
    sha256: str
    expected: int | None


class CodeRecord(Record):
    """The code that ran: its release, and a digest over the files of its packages."""

    version: str
    digest: str
    commit: str | None = None


class Receipt(Record):
    """The record of one run, promoted or stopped.

    `status` "promoted" means cleared for exactly the channels and bytes it lists; a channel names
    the receipt that it followed. A run that lost its channel to another one leaves a second
    receipt, stopped at promote. `id` and `address` say where the signed file lies; they are empty
    before it is written, and no part of what is signed.

    Attributes:
        flow: Name of the flow that ran, such as "lifecycle".
        required_gates: Stages whose gates must be green for a release, as the flow declares them.
        headline: Name of the figure that the model is judged by first; "" before it was evaluated.
        figures: The model's, on "validation" and "held_out" rows, and the run's own.
        baselines: The held-out figures of answers that need no network, by baseline.
        champions: The held-out figures of the promoted models on the same rows, by channel.
        timings: Wall time of each stage, in seconds.
        resumptions: When a run that was lost went on, which stages it kept, by which code.
        not_made: Why an artifact that was asked for is not there, by its name.
        approval: A person's answer, who gave it, when and why; None where nobody was asked, or the
            answer was no, which the reasons tell.
    """

    id: str = Field(default="", exclude=True)
    address: str = Field(default="", exclude=True)
    format: Literal[2] = FORMAT
    run: str
    flow: str
    required_gates: tuple[str, ...]
    status: Literal["promoted", "stopped"]
    stopped_at: str | None = None
    reasons: tuple[str, ...] = ()
    created_at: datetime
    lepton: CodeRecord
    packages: dict[str, str]
    machine: dict[str, JsonValue]
    recipe: dict[str, JsonValue]
    source: SourceRecord | None = None
    datasets: dict[str, DatasetRecord] = {}
    gates: tuple[dict[str, JsonValue], ...] = ()
    model: ModelRecord | None = None
    artifacts: tuple[ArtifactRecord, ...] = ()
    not_made: dict[str, str] = {}
    channels: dict[str, ChannelRecord] = {}
    training: TrainingRecord | None = None
    headline: str = ""
    figures: tuple[Figure, ...] = ()
    baselines: dict[str, tuple[Figure, ...]] = {}
    champions: dict[str, tuple[Figure, ...]] = {}
    timings: dict[str, float] = {}
    resumptions: tuple[dict[str, JsonValue], ...] = ()
    approval: dict[str, JsonValue] | None = None

    @property
    def promoted(self) -> bool:
        """Whether every gate was green."""
        return self.status == "promoted"

    @property
    def model_id(self) -> str | None:
        """Identity of the model; None if the run did not get as far as one."""
        return self.model.id if self.model else None
