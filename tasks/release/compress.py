"""Compress: artifacts from the checkpoint, measured on their exact bytes, and one chosen for each channel.

Candidates are chosen on validation rows. Only the chosen ones then answer the held-out rows, once,
for the gate.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deployments.targets.run.measure import Measurement, measure_artifact
from deployments.targets.run.runtime import Predictor
from deployments.targets.specs import TargetSpec
from deployments.targets.trust.card import InputSpec, OutputSpec
from lightning_modules.specs.training import CompressSpec
from storage.base.figures import Figure
from storage.base.store import Store, sha256_bytes
from storage.forms.base import RowsSpec
from storage.records.models import CHECKPOINT, write_model_files
from storage.records.receipts import ArtifactRecord, ChannelRecord
from tasks.forms.describe import describe_output
from tasks.forms.registry import find_task_form
from tasks.forms.streams import HELD_OUT, VALIDATION
from tasks.runtime.errors import StageStopped
from tasks.runtime.figures import list_figures, measure_cost
from tasks.runtime.outcomes import Compressed, Evaluated, Prepared, Trained
from tasks.runtime.stage import stage
from tasks.training.answers import (
    AnswerSheet,
    answer_split,
    measure_agreement,
    measure_headline,
    read_answers,
    read_predictions,
    standardise_sheet,
    unpack_answers,
)
from tasks.training.job import Export, TrainJob
from tasks.training.launch import Trainer
from tasks.training.train import refer_data

TIMEOUT_S = 3600.0


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
        """Its name in the model's directory."""
        return f"{self.name}.onnx"


@stage
def compress(
    workspace: str,
    prepared: Prepared,
    trained: Trained,
    evaluated: Evaluated,
    data: RowsSpec,
    spec: CompressSpec,
    targets: Mapping[str, TargetSpec],
    trainer: Trainer,
) -> Compressed:
    """Exports the candidates in the training process, measures them, and chooses one for each channel.

    Raises:
        WorkerFailed: The export failed.
        StageStopped: No candidate of a channel holds up.
    """
    store = Store(workspace)
    contents, start_s = _export(workspace, prepared, trained, spec, trainer)
    checkpoint = (Path(trained.directory) / CHECKPOINT).read_bytes()
    files = write_model_files(
        store,
        evaluated.model_id,
        {CHECKPOINT: checkpoint} | {f"{name}.onnx": content for name, content in contents.items()},
    )
    bench = Bench(
        store,
        prepared,
        evaluated,
        find_task_form(data).describe_input(trained.sample, data),
        describe_output(trained.sample),
    )
    reference = unpack_answers(
        read_answers(Path(trained.directory), trained.validation_predictions)
    )
    candidates = [bench.measure(name, content, reference) for name, content in contents.items()]
    chosen = {channel: _choose(channel, target, candidates) for channel, target in targets.items()}
    expected = {champion.channel: champion.release for champion in evaluated.champions}
    return Compressed(
        model_id=evaluated.model_id,
        input=bench.input,
        output=bench.output,
        start_s=start_s,
        files=files,
        candidates=tuple(
            bench.record(candidate, chosen, _explain(candidate, targets, chosen))
            for candidate in candidates
        ),
        channels={
            channel: ChannelRecord(
                artifact=candidate.name,
                sha256=sha256_bytes(candidate.content),
                expected=expected.get(channel),
            )
            for channel, candidate in chosen.items()
        },
    )


def _export(
    workspace: str, prepared: Prepared, trained: Trained, spec: CompressSpec, trainer: Trainer
) -> tuple[dict[str, bytes], float]:
    """Each candidate's bytes by name, and how long the export waited for its process to start, in seconds."""
    job = TrainJob(
        directory=trained.directory,
        data=refer_data(workspace, prepared),
        steps=(Export(compress=spec),),
        devices=1,
    )
    result = trainer.run(job, timeout_s=TIMEOUT_S)
    contents = {
        name: (Path(trained.directory) / made.file).read_bytes()
        for name, made in result.artifacts.items()
    }
    return contents, result.seconds["start"]


@dataclass(frozen=True)
class Bench:
    """Where candidates are measured: the rows, and what an artifact takes and answers."""

    store: Store
    prepared: Prepared
    evaluated: Evaluated
    input: InputSpec
    output: OutputSpec

    def measure(self, name: str, content: bytes, reference: AnswerSheet) -> Candidate:
        """A candidate on the validation rows, held against the float network on the same rows."""
        sheet = self.answer(content, VALIDATION)
        return Candidate(
            name=name,
            content=content,
            score=self.judge(sheet),
            reference=self.judge(reference),
            is_error=self.output.kind == "values",
            agreement=measure_agreement(sheet, reference, self.evaluated.sample),
            measured=measure_artifact(content, self.input, self.output),
        )

    def answer(self, content: bytes, split: str) -> AnswerSheet:
        """What an artifact's exact bytes answer to a split."""
        predictor = Predictor(content, self.input, self.output)
        return answer_split(self.store, self.prepared, split, predictor, self.evaluated.sample)

    def judge(self, sheet: AnswerSheet) -> float:
        """The figure that artifacts are held against, in the unit that figures are in."""
        sample = self.evaluated.sample
        return measure_headline(
            standardise_sheet(sheet, sample, standard=self.evaluated.standard), sample
        )

    def record(
        self, candidate: Candidate, chosen: Mapping[str, Candidate], note: str
    ) -> ArtifactRecord:
        """What is written down of a candidate; a chosen one answers the held-out rows for it."""
        channels = tuple(
            channel for channel, winner in chosen.items() if winner.name == candidate.name
        )
        figures = self.list_scores(candidate.score, candidate.agreement, VALIDATION)
        if channels:
            sheet = self.answer(candidate.content, HELD_OUT)
            reference = read_predictions(
                self.store, self.evaluated.predictions_path, self.evaluated.predictions
            )
            agreement = measure_agreement(sheet, reference, self.evaluated.sample)
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
        values = {self.evaluated.headline: score, "agreement": agreement}
        return list_figures(values, split, standard=self.evaluated.standard)


def _list_costs(measured: Measurement) -> tuple[Figure, ...]:
    return (
        measure_cost("size_bytes", measured.size_bytes, "bytes"),
        measure_cost("latency_ms_p50", measured.latency_ms_p50, "ms"),
        measure_cost("latency_ms_p95", measured.latency_ms_p95, "ms"),
    )


def _choose(channel: str, target: TargetSpec, candidates: list[Candidate]) -> Candidate:
    """The first of the channel's preferred artifacts that meets all of its demands."""
    made = {candidate.name: candidate for candidate in candidates}
    reasons = []
    for name in target.prefer:
        candidate = made.get(name)
        if candidate is None:
            reasons.append(f"{name} must be among compress.candidates; got {', '.join(made)}")
            continue
        faults = _find_faults(target, candidate)
        if not faults:
            return candidate
        reasons += [f"{name} on {channel}: {fault}" for fault in faults]
    raise StageStopped("compress", tuple(reasons))


def _explain(
    candidate: Candidate, targets: Mapping[str, TargetSpec], chosen: Mapping[str, Candidate]
) -> str:
    """Why channels that prefer a candidate to the one that they got did not get it; empty where none does."""
    reasons = []
    for channel, target in targets.items():
        prefer, name = target.prefer, candidate.name
        if name in prefer and prefer.index(name) < prefer.index(chosen[channel].name):
            reasons.append(f"not for {channel}: {'; '.join(_find_faults(target, candidate))}")
    return "; ".join(reasons)


def _find_faults(target: TargetSpec, candidate: Candidate) -> list[str]:
    """The demands of a channel that a candidate does not meet: rule, observed, limit."""
    measured = candidate.measured
    limits: list[tuple[str, float | None, float | None]] = [
        _limit_loss(target, candidate),
        ("disagreement with the float model", 1 - candidate.agreement, 1 - target.min_agreement),
        ("size in bytes", measured.size_bytes, target.max_size_bytes),
        ("median latency in ms", measured.latency_ms_p50, target.max_latency_ms),
        ("memory in bytes", measured.memory_bytes, target.max_memory_bytes),
    ]
    return [
        f"{what} must be at most {limit:.6g}; got "
        f"{'no figure' if observed is None else format(observed, '.6g')}"
        for what, observed, limit in limits
        if limit is not None and (observed is None or observed > limit + 1e-12)
    ]


def _limit_loss(target: TargetSpec, candidate: Candidate) -> tuple[str, float, float]:
    """What a candidate lost to the float model, and what it may."""
    if not candidate.is_error:
        return "accuracy drop", candidate.reference - candidate.score, target.max_accuracy_drop
    increase = candidate.score / max(candidate.reference, 1e-300) - 1
    return "relative increase of the error", increase, target.max_error_increase
