"""Compress: artifacts from the checkpoint, measured on their exact bytes, and one chosen for each channel.

Candidates are chosen on validation rows. Only the chosen ones then answer the held-out rows, once, for the gate.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deployments.targets.card import InputSpec
from deployments.targets.measure import Measurement, measure_artifact
from deployments.targets.runtime import Predictor
from deployments.targets.specs import TargetSpec
from lightning_modules.specs import CompressSpec
from storage.files import Store, sha256_bytes
from storage.models import CHECKPOINT, write_model_files
from storage.receipts import ArtifactRecord, ChannelRecord
from storage.specs import DataSpec
from tasks.errors import StageStopped
from tasks.evaluate import AnswerSheet, answer_split, read_answers, read_predictions, unpack_answers
from tasks.launch import Trainer
from tasks.results import Compressed, Evaluated, Prepared, Trained
from tasks.stage import stage
from tasks.train import HELD_OUT, VALIDATION, refer_data
from tasks.train_job import Export, TrainJob

TIMEOUT_S = 3600.0


@dataclass(frozen=True)
class Candidate:
    """An artifact with what it measured on validation rows."""

    name: str
    content: bytes
    accuracy: float
    drop: float
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
    data: DataSpec,
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
    reference = unpack_answers(read_answers(Path(trained.directory), trained.validation_predictions))
    candidates = [_measure(store, prepared, data, name, content, reference) for name, content in contents.items()]
    chosen = {channel: _choose(channel, target, candidates) for channel, target in targets.items()}
    expected = {champion.channel: champion.release for champion in evaluated.champions}
    return Compressed(
        model_id=evaluated.model_id,
        start_s=start_s,
        files=files,
        candidates=tuple(_record(store, prepared, data, evaluated, candidate, chosen) for candidate in candidates),
        channels={
            channel: ChannelRecord(
                artifact=candidate.name, sha256=sha256_bytes(candidate.content), expected=expected.get(channel)
            )
            for channel, candidate in chosen.items()
        },
    )


def _export(
    workspace: str, prepared: Prepared, trained: Trained, spec: CompressSpec, trainer: Trainer
) -> tuple[dict[str, bytes], float]:
    """Each candidate's bytes by name, and how long the export waited for its process to start, in seconds."""
    job = TrainJob(
        directory=trained.directory, data=refer_data(workspace, prepared), steps=(Export(compress=spec),), devices=1
    )
    result = trainer.run(job, timeout_s=TIMEOUT_S)
    contents = {name: (Path(trained.directory) / made.file).read_bytes() for name, made in result.artifacts.items()}
    return contents, result.seconds["start"]


def _describe_input(data: DataSpec) -> InputSpec:
    image = data.image
    return InputSpec(dtype=image.dtype, shape=image.shape, value_range=image.value_range)


def _measure(
    store: Store, prepared: Prepared, data: DataSpec, name: str, content: bytes, reference: AnswerSheet
) -> Candidate:
    """A candidate on the validation rows, held against the float network on the same rows."""
    classes = len(data.labels)
    answers = answer_split(store, prepared, VALIDATION, Predictor(content, _describe_input(data), classes))
    accuracy = float((answers.predicted == answers.label).mean())
    return Candidate(
        name=name,
        content=content,
        accuracy=accuracy,
        drop=float((reference.predicted == reference.label).mean()) - accuracy,
        agreement=float((answers.predicted == reference.predicted).mean()),
        measured=measure_artifact(content, _describe_input(data), classes),
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


def _find_faults(target: TargetSpec, candidate: Candidate) -> list[str]:
    """The demands of a channel that a candidate does not meet: rule, observed, limit."""
    measured = candidate.measured
    limits: list[tuple[str, float | None, float | None]] = [
        ("accuracy drop", candidate.drop, target.max_accuracy_drop),
        ("disagreement with the float model", 1 - candidate.agreement, 1 - target.min_agreement),
        ("size in bytes", measured.size_bytes, target.max_size_bytes),
        ("median latency in ms", measured.latency_ms_p50, target.max_latency_ms),
        ("memory in bytes", measured.memory_bytes, target.max_memory_bytes),
    ]
    return [
        f"{what} must be at most {limit:.6g}; got {'no figure' if observed is None else format(observed, '.6g')}"
        for what, observed, limit in limits
        if limit is not None and (observed is None or observed > limit + 1e-12)
    ]


def _record(
    store: Store,
    prepared: Prepared,
    data: DataSpec,
    evaluated: Evaluated,
    candidate: Candidate,
    chosen: Mapping[str, Candidate],
) -> ArtifactRecord:
    """What is written down of a candidate; a chosen one answers the held-out rows for it."""
    channels = tuple(channel for channel, winner in chosen.items() if winner.name == candidate.name)
    accuracy = agreement = None
    if channels:
        reference = read_predictions(store, evaluated.predictions_path, evaluated.predictions)
        predictor = Predictor(candidate.content, _describe_input(data), len(data.labels))
        answers = answer_split(store, prepared, HELD_OUT, predictor)
        accuracy = float((answers.predicted == answers.label).mean())
        agreement = float((answers.predicted == reference.predicted).mean())
    measured = candidate.measured
    return ArtifactRecord(
        name=candidate.name,
        file=candidate.file,
        sha256=measured.sha256,
        size_bytes=measured.size_bytes,
        validation_accuracy=candidate.accuracy,
        validation_agreement=candidate.agreement,
        accuracy=accuracy,
        agreement=agreement,
        latency_ms_p50=measured.latency_ms_p50,
        latency_ms_p95=measured.latency_ms_p95,
        chosen_for=channels,
    )
