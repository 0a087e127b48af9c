"""What the run's page shows: plain data, no paths, no torch. Missing parts are not on the page.

Records of receipts and gates stand in it as they are. Every string in them is untrusted: it is
cleaned and escaped where it is written out.
"""

from datetime import datetime
from typing import Literal, Self

from pydantic import Field, model_validator

from gates.engine.report import Check, GateReport
from storage.records.curve import CurvePoint
from storage.records.receipts import ArtifactRecord, DatasetRecord, FileRecord, SourceRecord
from tasks.rendering.answers import (
    Breakdown,
    Comparison,
    Confusion,
    Coverage,
    Forecast,
    PrecisionRecall,
    Sample,
    Scatter,
    StepErrors,
)
from tasks.rendering.base import Part, Text, Value
from tasks.rendering.costs import ErrorCosts
from tasks.rendering.profile import DataProfile
from tasks.rendering.race import RacePart
from tasks.rendering.remedies import Remedy, list_remedies
from tasks.rendering.verdicts import list_failed


class Stage(Part):
    """One link of the chain.

    Attributes:
        name: As the flow calls it; a gate's begins with "gate ".
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


class Metric(Part):
    """One figure.

    Attributes:
        name: Such as "held-out accuracy".
        value: A rate in 0..1, a count, seconds, milliseconds, bytes, or a plain number or word.
        kind: Its unit.
        digits: Significant ones of a plain number.
        note: A few words beneath it.
        headline: Whether it stands at the top of the page; four at most do.
    """

    name: Text
    value: float | int | Text | None
    kind: Literal["rate", "count", "seconds", "milliseconds", "bytes", "plain"] = "plain"
    digits: int = 3
    note: Text = ""
    headline: bool = False


class Channel(Part):
    """What a channel got: the artifact, and its release; None where it was not published."""

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
    packages: dict[Text, Text] = Field(default_factory=dict)
    machine: dict[Text, Value] = Field(default_factory=dict)
    files: dict[Text, FileRecord] = Field(default_factory=dict)


class RunPage(Part):
    """All that is on the page of one run.

    Attributes:
        run: Id of the run.
        recipe: Its name; `description` is its sentence.
        status: Promoted; stopped at the stage `stopped_at` for `reasons`; or waiting for a person,
            who is asked whether `channels` may get what they would.
        plan: Names of all stages of the flow, in order.
        stages: Those that were reached, in order; `chain` adds the others.
        gates: Those that judged.
        not_made: Why an artifact that was asked for is not there, by its name.
        source_cut: Whether the source may have more files than are listed.
        best_epoch: Of the curve, from 1: the checkpoint that was kept.
        workspace: Given to commands as `--workspace`; empty for the default one.
        operand: A file that the model could be asked about.
    """

    run: Text
    recipe: Text
    description: Text = ""
    status: Literal["promoted", "stopped", "waiting"]
    stopped_at: Text | None = None
    reasons: tuple[Text, ...] = ()
    created_at: datetime
    plan: tuple[Text, ...] = ()
    stages: tuple[Stage, ...] = ()
    gates: tuple[GateReport, ...] = ()
    metrics: tuple[Metric, ...] = ()
    race: RacePart | None = None
    profile: DataProfile | None = None
    curve: tuple[CurvePoint, ...] = ()
    best_epoch: int | None = None
    confusion: Confusion | None = None
    costs: ErrorCosts | None = None
    comparison: Comparison | None = None
    forecasts: tuple[Forecast, ...] = ()
    scatter: Scatter | None = None
    samples: tuple[Sample, ...] = ()
    steps: StepErrors | None = None
    coverage: Coverage | None = None
    breakdowns: tuple[Breakdown, ...] = ()
    precision_recall: PrecisionRecall | None = None
    candidates: tuple[ArtifactRecord, ...] = ()
    not_made: dict[Text, Text] = Field(default_factory=dict)
    channels: dict[Text, Channel] = Field(default_factory=dict)
    source: SourceRecord | None = None
    source_cut: bool = False
    datasets: dict[Text, DatasetRecord] = Field(default_factory=dict)
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
    def waits(self) -> bool:
        """Whether a person is asked before anything is released."""
        return self.status == "waiting"

    @property
    def chain(self) -> tuple[Stage, ...]:
        """The stages that were reached, then those of the plan that were not."""
        reached = {stage.name for stage in self.stages}
        missing = (name for name in self.plan if name not in reached)
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
        return list_failed(red[-1]) if red and not self.promoted else ()

    @property
    def remedies(self) -> tuple[Remedy, ...]:
        """What to do about a stop; nothing for a run that was promoted."""
        if self.stopped_at is None:
            return ()
        return list_remedies(self.stopped_at, self.findings, self.reasons)
