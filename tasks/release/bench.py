"""The bench: what an artifact's exact bytes answer and cost, held against the float model."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from deployments.targets.errors import BadArtifact, BadInput
from deployments.targets.run.measure import Measurement, measure_artifact
from deployments.targets.run.runtime import Array, Predictor
from deployments.targets.run.self_test import check_golden
from deployments.targets.trust.card import InputSpec, OutputSpec
from deployments.targets.trust.golden import Golden
from storage.base.figures import Figure
from storage.base.store import Store
from storage.records.receipts import ArtifactRecord
from tasks.data.open_versions import open_version
from tasks.forms.streams import HELD_OUT, VALIDATION, SampleRows
from tasks.objectives.base import TaskObjective
from tasks.objectives.registry import find_objective
from tasks.objectives.sheets import AnswerSheet
from tasks.release.golden import make_golden, shuffle_values
from tasks.runtime.figures import measure_cost
from tasks.runtime.model_outcomes import Evaluated
from tasks.runtime.outcomes import Prepared
from tasks.training.answers import answer_split, read_predictions


@dataclass(frozen=True)
class Candidate:
    """An artifact with what it measured on validation rows.

    Attributes:
        score: Accuracy or average precision, or a mean absolute error.
        reference: The float model's on the same rows.
        is_error: Whether they are errors.
        agreement: Fraction of the answers that are the float model's.
    """

    name: str
    content: bytes
    score: float
    reference: float
    is_error: bool
    agreement: float
    measured: Measurement

    @property
    def file(self) -> str:
        """Name of its file in the model's directory."""
        return f"{self.name}.onnx"


@dataclass(frozen=True)
class Bench:
    """Where candidates are measured: the rows, and what an artifact takes and answers.

    Attributes:
        tolerance: How far two numbers may be apart to agree, in standard deviations.
    """

    store: Store
    prepared: Prepared
    evaluated: Evaluated
    input: InputSpec
    outputs: tuple[OutputSpec, ...]
    tolerance: float

    @property
    def objective(self) -> TaskObjective[Any]:
        """What answers are measured by."""
        return find_objective(self.evaluated.sample)

    def measure(self, name: str, content: bytes, reference: AnswerSheet) -> Candidate:
        """Measure a candidate on the validation rows beside the float network."""
        sheet = self.answer(content, VALIDATION)
        return Candidate(
            name=name,
            content=content,
            score=self.judge(sheet),
            reference=self.judge(reference),
            is_error=self.evaluated.score.direction == "lower",
            agreement=self.compare(sheet, reference),
            measured=measure_artifact(content, self.input, self.outputs),
        )

    def answer(self, content: bytes, split: str) -> AnswerSheet:
        """Answer a split with an artifact's exact bytes."""
        predictor = Predictor(content, self.input, self.outputs)
        return answer_split(self.store, self.prepared, split, predictor, self.evaluated.sample)

    def make_golden(self, candidate: Candidate) -> Golden:
        """Make the samples by which a device tests a candidate's exact bytes on itself."""
        predictor = Predictor(candidate.content, self.input, self.outputs)
        return make_golden(predictor, self._made_up)

    def still_holds(self, candidate: Candidate, golden: bytes) -> bool:
        """Tell whether a candidate answers golden samples made before as it must."""
        try:
            samples = Golden.parse(golden)
            check_golden(Predictor(candidate.content, self.input, self.outputs), samples)
        except (BadArtifact, BadInput, KeyError):
            return False
        return True

    @cached_property
    def _made_up(self) -> Array:
        """Samples that are nobody's, (N, *shape)."""
        version = open_version(self.store, self.prepared.dataset)
        batches = SampleRows(version, self.evaluated.sample).read(VALIDATION)
        rows = next(batch.sample for batch in batches if len(batch.row_id))
        return shuffle_values(rows, self.input)

    def judge(self, sheet: AnswerSheet) -> float:
        """Return the figure that artifacts are held against, in the unit that figures are in."""
        sample = self.evaluated.sample
        converted = self.objective.convert(sheet, sample, standard=self.evaluated.standard)
        return self.objective.measure_headline(converted, sample)

    def compare(self, sheet: AnswerSheet, reference: AnswerSheet) -> float:
        """Return the share of an artifact's answers that are the float model's."""
        return self.objective.measure_agreement(
            sheet, reference, self.evaluated.sample, self.tolerance
        )

    def record(
        self, candidate: Candidate, chosen: Mapping[str, Candidate], note: str
    ) -> ArtifactRecord:
        """Write down what a candidate measured; a chosen one answers the held-out rows for it."""
        channels = tuple(
            channel for channel, winner in chosen.items() if winner.name == candidate.name
        )
        figures = self.list_scores(candidate.score, candidate.agreement, VALIDATION)
        if channels:
            sheet = self.answer(candidate.content, HELD_OUT)
            reference = read_predictions(
                self.store, self.evaluated.predictions_path, self.evaluated.predictions
            )
            agreement = self.compare(sheet, reference)
            figures += self.list_scores(self.judge(sheet), agreement, HELD_OUT)
        measured = candidate.measured
        return ArtifactRecord(
            name=candidate.name,
            file=candidate.file,
            sha256=measured.sha256,
            figures=(*figures, *_list_costs(measured)),
            chosen_for=channels,
            note=note,
        )

    def list_scores(self, score: float, agreement: float, split: str) -> tuple[Figure, ...]:
        """Return how well an artifact answers the rows of a split, as figures."""
        evaluated = self.evaluated
        headline = self.objective.describe_figure(
            evaluated.headline, score, evaluated.sample, split=split, standard=evaluated.standard
        )
        return (headline, Figure(name="agreement", value=agreement, split=split))


def _list_costs(measured: Measurement) -> tuple[Figure, ...]:
    return (
        measure_cost("size_bytes", measured.size_bytes, "bytes"),
        measure_cost("latency_ms_p50", measured.latency_ms_p50, "ms"),
        measure_cost("latency_ms_p95", measured.latency_ms_p95, "ms"),
    )
