"""What the run's page shows: plain data, no paths, no torch, no gates. Missing parts are simply not on the page.

The records carry the same names as those of a receipt and of a gate's report, so that they are
filled by `Gate.model_validate(report.model_dump())` and its like. Every string is untrusted.
"""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    field_validator,
    model_validator,
)

from tasks.pages.parts.pictures import is_png
from tasks.pages.parts.text import clean_text, clean_value

Text = Annotated[str, BeforeValidator(clean_text)]
Value = Annotated[JsonValue, BeforeValidator(clean_value)]

CHAIN = (
    "collect",
    "gate raw",
    "prepare",
    "gate prepared",
    "train",
    "evaluate",
    "gate model",
    "compress",
    "gate artifact",
    "promote",
)
MAX_PICTURE_BYTES = 64 * 1024


class Part(BaseModel):
    """Base of the frozen records of a page."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Stage(Part):
    """One link of the chain.

    Attributes:
        name: As in `CHAIN`; a gate's begins with "gate ".
        state: Green and red are a gate's words, and red also a lost promotion's.
        duration_s: Wall time in seconds.
        facts: A few short facts, such as "1,797 rows".
    """

    name: Text
    state: Literal["done", "green", "red", "not reached"]
    duration_s: float | None = None
    facts: tuple[Text, ...] = ()

    @property
    def is_gate(self) -> bool:
        """Whether it judges instead of making something."""
        return self.name.startswith("gate ")


class Check(Part):
    """The verdict on one expectation; the fields of `gates.report.Check`."""

    rule: Text
    about: Text
    observed: Value = None
    limit: Value = None
    passed: bool
    severity: Text = "stop"
    applicable: bool = True
    contained: bool = False
    message: Text = ""
    rows: tuple[Text, ...] = ()

    @property
    def verdict(self) -> Literal["passed", "failed", "warning", "quarantined", "not applicable"]:
        """The check's outcome in a word; only "failed" stops a run."""
        if not self.applicable:
            return "not applicable"
        if self.passed:
            return "passed"
        if self.severity == "quarantine" and self.contained:
            return "quarantined"
        return "warning" if self.severity == "warn" else "failed"


class Gate(Part):
    """One gate's report; the fields of `gates.report.GateReport`."""

    stage: Text
    passed: bool
    checks: tuple[Check, ...] = ()
    suite_digest: Text = ""

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that stopped the run."""
        return tuple(check for check in self.checks if check.verdict == "failed")

    @property
    def noted(self) -> tuple[Check, ...]:
        """The checks that failed without stopping the run: warnings, and rows that were set aside."""
        return tuple(check for check in self.checks if check.verdict in {"warning", "quarantined"})


class Metric(Part):
    """One figure.

    Attributes:
        name: Such as "held-out accuracy".
        value: A rate in 0..1, a count, seconds, milliseconds, bytes, or a plain number or word.
        kind: Its unit.
        note: A few words beneath it.
        headline: Whether it stands at the top of the page; four at most do.
    """

    name: Text
    value: float | int | Text | None
    kind: Literal["rate", "count", "seconds", "milliseconds", "bytes", "plain"] = "plain"
    note: Text = ""
    headline: bool = False


class CurvePoint(Part):
    """One epoch of training, as `tasks.runtime.outcomes.CurvePoint`, but counted from 1."""

    epoch: int
    train_loss: float | None = None
    train_accuracy: float | None = None
    train_error: float | None = None
    validation_loss: float | None = None
    validation_accuracy: float | None = None
    validation_error: float | None = None
    cpu_s: float | None = None


class Comparison(Part):
    """The model's figures on the held-out rows beside those of simpler means.

    Attributes:
        metrics: Names of the figures.
        rows: For each answerer its name and its figures, None where one has none; the model comes
            first.
        unit: Of errors.
    """

    metrics: tuple[Text, ...]
    rows: tuple[tuple[Text, tuple[float | None, ...]], ...]
    unit: Text = ""


class Forecast(Part):
    """One window.

    Attributes:
        title: Which column, and why it is shown.
        lines: Over the steps ahead: `truth`, `answer` and the best baseline's.
        past: The last steps that the model saw; the newest comes last.
    """

    title: Text
    past: tuple[float, ...] = ()
    lines: dict[Text, tuple[float, ...]]


class Scatter(Part):
    """(truth, answer) of held-out values."""

    title: Text
    points: tuple[tuple[float, float], ...]


class Confusion(Part):
    """The held-out rows by class: `counts[truth][predicted]`, (K, K), for the K names in `labels`."""

    labels: tuple[Text, ...]
    counts: tuple[tuple[Annotated[int, Field(ge=0)], ...], ...]

    @model_validator(mode="after")
    def _must_be_square(self) -> Self:
        sizes = [len(row) for row in self.counts]
        if sizes != [len(self.labels)] * len(self.labels):
            raise ValueError(
                f"counts must have {len(self.labels)} rows and columns, one a label; got {sizes}"
            )
        return self


class Sample(Part):
    """One held-out row with what the model answers; `picture` holds PNG bytes from `pictures.encode_picture`."""

    picture: bytes = Field(max_length=MAX_PICTURE_BYTES)
    truth: Text
    predicted: Text
    confidence: float
    name: Text = ""

    @field_validator("picture")
    @classmethod
    def _must_be_png(cls, picture: bytes) -> bytes:
        if not is_png(picture):
            raise ValueError(
                f"picture must be PNG bytes; got {picture[:8]!r}; make it with encode_picture"
            )
        return picture

    @property
    def correct(self) -> bool:
        """Whether the answer is the truth."""
        return self.truth == self.predicted


class Candidate(Part):
    """One artifact with what its exact bytes measured."""

    name: Text
    file: Text = ""
    sha256: Text = ""
    size_bytes: int
    validation_accuracy: float | None = None
    validation_error: float | None = None
    validation_agreement: float | None = None
    accuracy: float | None = None
    error: float | None = None
    agreement: float | None = None
    latency_ms_p50: float | None = None
    latency_ms_p95: float | None = None
    chosen_for: tuple[Text, ...] = ()
    note: Text = ""


class File(Part):
    """A file by digest and size."""

    sha256: Text
    size_bytes: int


class Source(Part):
    """Where the rows came from; secrets are redacted before. `digest` is over all files, of which `files` has some."""

    type: Text
    url: Text | None = None
    digest: Text = ""
    files: dict[Text, File] = {}


class Dataset(Part):
    """One version of a dataset; `rows` counts each split."""

    name: Text
    number: int
    digest: Text
    manifest: Text = ""
    rows: dict[Text, int] = {}


class Channel(Part):
    """What a channel got: the artifact, and the number of the release (None where it was not published)."""

    artifact: Text
    sha256: Text = ""
    release: int | None = None


class ReceiptPart(Part):
    """The receipt of the run.

    Attributes:
        id: sha256 of the receipt's bytes.
        key_id: Of the key that signed it; several are joined by a comma.
        method: Of the signature.
        model_id: None for a run that ended before training.
        recipe_digest: sha256 of the canonical recipe.
        code_version: Lepton's release; `code_digest` is the digest over its files, `commit` the
            checkout's.
        packages: Versions by name.
        machine: What measured.
        files: Files of the model's directory.
    """

    id: Text
    key_id: Text = ""
    method: Text = "ed25519"
    model_id: Text | None = None
    recipe_digest: Text = ""
    code_version: Text = ""
    code_digest: Text = ""
    commit: Text | None = None
    packages: dict[Text, Text] = {}
    machine: dict[Text, Value] = {}
    files: dict[Text, File] = {}


class RunPage(Part):
    """All that is on the page of one run.

    Attributes:
        run: Id of the run.
        recipe: Its name; `description` is its sentence.
        status: Promoted, or stopped at `stopped_at` (a name in `CHAIN`) for `reasons`.
        stages: Those that were reached, in order; `chain` adds the others.
        gates: Those that judged.
        source_cut: Whether the source may have more files than are listed.
        best_epoch: Of the curve, from 1: the checkpoint that was kept.
        workspace: Given to commands as `--workspace`; empty for the default one.
        operand: A file that the model could be asked about.
    """

    run: Text
    recipe: Text
    description: Text = ""
    status: Literal["promoted", "stopped"]
    stopped_at: Text | None = None
    reasons: tuple[Text, ...] = ()
    created_at: datetime
    stages: tuple[Stage, ...] = ()
    gates: tuple[Gate, ...] = ()
    metrics: tuple[Metric, ...] = ()
    curve: tuple[CurvePoint, ...] = ()
    best_epoch: int | None = None
    confusion: Confusion | None = None
    comparison: Comparison | None = None
    forecasts: tuple[Forecast, ...] = ()
    scatter: Scatter | None = None
    samples: tuple[Sample, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    channels: dict[Text, Channel] = {}
    source: Source | None = None
    source_cut: bool = False
    datasets: dict[Text, Dataset] = {}
    receipt: ReceiptPart | None = None
    workspace: Text = ""
    operand: Text = "IMAGE.png"

    @model_validator(mode="after")
    def _stopped_says_where(self) -> Self:
        if (self.status == "stopped") != (self.stopped_at is not None):
            raise ValueError(
                f"stopped_at must be given for stopped runs only; got {self.stopped_at!r}: "
                f"{self.status}"
            )
        return self

    @property
    def promoted(self) -> bool:
        """Whether the run reached its end with every gate green."""
        return self.status == "promoted"

    @property
    def chain(self) -> tuple[Stage, ...]:
        """The stages that were reached, then those of `CHAIN` that were not."""
        reached = {stage.name for stage in self.stages}
        missing = (name for name in CHAIN if name not in reached)
        return (*self.stages, *(Stage(name=name, state="not reached") for name in missing))

    @property
    def duration_s(self) -> float | None:
        """Wall time of all stages in seconds; None if none was measured."""
        measured = [stage.duration_s for stage in self.stages if stage.duration_s is not None]
        return sum(measured) if measured else None

    @property
    def findings(self) -> tuple[Check, ...]:
        """The checks that stopped the run, of the gate that it stopped at."""
        red = [gate for gate in self.gates if not gate.passed]
        return red[-1].failed if red and not self.promoted else ()
