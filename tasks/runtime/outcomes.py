"""What the stages of a lifecycle hand on: small frozen refs with digests, never data."""

from typing import Literal

from pydantic import Field

from deployments.targets.trust.card import InputSpec, OutputSpec
from gates.engine.report import GateReport
from storage.pipeline.fitted import Fitted
from storage.records.models import FOLDER
from storage.records.receipts import (
    ArtifactRecord,
    ChannelRecord,
    DatasetRecord,
    FileRecord,
    SourceRecord,
)
from tasks.rendering.markdown import (
    render_candidates_markdown,
    render_dataset_markdown,
    render_gate_markdown,
)
from tasks.runtime.outcome_base import FileReference, Outcome, References, Word

WARNINGS_NAMED = 3


class NewVersion(Outcome):
    """Base of what made a version of a dataset."""

    dataset: DatasetRecord

    @property
    def references(self) -> References:
        """The version."""
        return References(datasets=(self.dataset,))

    def render_markdown(self, stage: str, folder: str) -> str:
        """Return the version and the rows of its splits."""
        del folder
        return render_dataset_markdown(self.dataset, title=stage)


class Collected(NewVersion):
    """The raw rows: where they came from, and the version they lie in."""

    type: Literal["collected"] = "collected"
    source: SourceRecord
    passed_over: dict[str, int] = Field(default={})

    @property
    def facts(self) -> tuple[str, ...]:
        """How many rows, from where, and the version; how many files are none of the source's."""
        rows = sum(self.dataset.rows.values())
        found = (f"{rows:,} rows from {self.source.type}", self.dataset.ref)
        if not self.passed_over:
            return found
        count = sum(self.passed_over.values())
        most = sorted(self.passed_over.items(), key=lambda item: (-item[1], item[0]))
        named = ", ".join(f"{number:,} {ending or 'without one'}" for ending, number in most[:3])
        files = "file" if count == 1 else "files"
        return (*found, f"{count:,} {files} passed over ({named})")


class Prepared(NewVersion):
    """The chosen, split and shuffled rows, and what was fitted on the training split."""

    type: Literal["prepared"] = "prepared"
    fitted: Fitted

    @property
    def facts(self) -> tuple[str, ...]:
        """How many rows each split has, and the version."""
        rows = ", ".join(f"{split} {rows:,}" for split, rows in self.dataset.rows.items())
        return (rows, self.dataset.ref)


class Judged(Outcome):
    """A gate's report."""

    type: Literal["judged"] = "judged"
    report: GateReport

    @property
    def facts(self) -> tuple[str, ...]:
        """How many checks passed and which only warn, or why the run stops."""
        if not self.report.passed:
            return self.report.told
        warned = [check.about for check in self.report.checks if not check.passed]
        more = f" and {len(warned) - WARNINGS_NAMED} more" if len(warned) > WARNINGS_NAMED else ""
        told = (f"warned of: {'; '.join(warned[:WARNINGS_NAMED])}{more}",) if warned else ()
        return (f"{len(self.report.checks) - len(warned)} checks passed", *told)

    @property
    def summary(self) -> tuple[str, ...]:
        """How many checks passed, or failed."""
        if self.report.passed:
            return self.facts
        failed = len(self.report.reasons)
        return (f"{failed} check{'' if failed == 1 else 's'} failed",)

    @property
    def word(self) -> Word:
        """Green, or red."""
        return "green" if self.report.passed else "red"

    @property
    def is_kept(self) -> bool:
        """Never: the gate judges again."""
        return False

    def render_markdown(self, stage: str, folder: str) -> str:
        """Return the verdict and all checks."""
        del stage
        return render_gate_markdown(self.report, f"{folder}/gate-{self.report.stage}.html")


class Compressed(Outcome):
    """The artifacts of a model, and which one each channel gets.

    Attributes:
        model_id: Identity of the model.
        input: What a device must know to feed them.
        outputs: What a device must know to read their answers.
        start_s: Wait for the training process's imports, in seconds.
        files: Files of the model's folder.
        candidates: The artifacts, with what each measured.
        channels: What each channel gets.
        refused: Why a channel gets nothing, by its name.
        not_made: Why an artifact that was asked for is not there, by its name.
    """

    type: Literal["compressed"] = "compressed"
    model_id: str
    input: InputSpec
    outputs: tuple[OutputSpec, ...]
    start_s: float
    files: dict[str, FileRecord]
    candidates: tuple[ArtifactRecord, ...]
    channels: dict[str, ChannelRecord]
    refused: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    not_made: dict[str, str] = Field(default_factory=dict)

    @property
    def facts(self) -> tuple[str, ...]:
        """What each channel gets, and why what it prefers was refused."""
        chosen = [f"{name}: {cleared.artifact}" for name, cleared in self.channels.items()]
        chosen += [f"{name}: nothing, it stops here" for name in self.refused]
        refused = [f"{entry.name} {entry.note}" for entry in self.candidates if entry.note]
        absent = [f"{name} was not made: {why}" for name, why in self.not_made.items()]
        return (*chosen, *refused, *absent)

    @property
    def references(self) -> References:
        """The files of the model's folder."""
        return References(
            files=tuple(
                FileReference(path=f"{FOLDER}/{self.model_id}/{name}", sha256=file.sha256)
                for name, file in self.files.items()
            )
        )

    def render_markdown(self, stage: str, folder: str) -> str:
        """Return the artifacts side by side."""
        del stage, folder
        return render_candidates_markdown(self.candidates)


class Promoted(Outcome):
    """The receipt that cleared the release, and the number each channel gave it."""

    type: Literal["promoted"] = "promoted"
    receipt: str
    releases: dict[str, int]

    @property
    def facts(self) -> tuple[str, ...]:
        """The release of each channel."""
        return tuple(f"{name}: release {number}" for name, number in self.releases.items())

    @property
    def references(self) -> References:
        """The receipt."""
        return References(receipts=(self.receipt,))


def wrap_outcome(handed_on: object) -> Outcome | None:
    """Return what a stage handed on as an outcome: a gate's report is wrapped in one.

    Raises:
        TypeError: It is no outcome.
    """
    if isinstance(handed_on, GateReport):
        return Judged(report=handed_on)
    if handed_on is None or isinstance(handed_on, Outcome):
        return handed_on
    raise TypeError(f"a stage must hand on an Outcome; got {type(handed_on).__name__}")
