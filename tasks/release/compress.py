"""Compress: artifacts from the checkpoint, measured on their exact bytes, one chosen a channel.

Candidates are chosen on validation rows. Only the chosen ones then answer the held-out rows, once,
for the gate.
"""

from collections.abc import Mapping
from pathlib import Path

from deployments.targets.specs import TargetSpec
from deployments.targets.trust.golden import name_golden_file
from gates.specs.artifact import ArtifactGate
from lightning_modules.specs.compress import CompressSpec
from storage.base.store import Store, sha256_bytes
from storage.forms.base import RowsSpec
from storage.records.models import CHECKPOINT, model_folder, write_model_files
from storage.records.receipts import ChannelRecord, FileRecord
from tasks.forms.registry import find_task_form
from tasks.objectives.registry import find_objective
from tasks.objectives.sheets import unpack_answers
from tasks.release.bench import Bench, Candidate
from tasks.release.choose import Demands, choose, explain
from tasks.runtime.model_outcomes import Evaluated, Trained
from tasks.runtime.outcomes import Compressed, Prepared
from tasks.runtime.stage import stage
from tasks.training.answers import read_answers
from tasks.training.job import Export, TrainJob
from tasks.training.launch import Trainer
from tasks.training.train import refer_data

TIMEOUT_S = 3600.0


@stage
def compress(
    workspace: str,
    prepared: Prepared,
    trained: Trained,
    evaluated: Evaluated,
    data: RowsSpec,
    spec: CompressSpec,
    targets: Mapping[str, TargetSpec],
    limits: ArtifactGate,
    trainer: Trainer,
) -> Compressed:
    """Exports the candidates in the training process, measures them, and chooses one a channel.

    Raises:
        WorkerFailed: The export failed.
        StageStopped: No candidate of a channel holds up.
    """
    store = Store(workspace)
    contents, start_s = _export(workspace, prepared, trained, spec, trainer)
    files = _write_files(store, evaluated.model_id, Path(trained.directory), contents)
    taken = find_task_form(data).describe_input(trained.sample, data)
    given = find_objective(trained.sample).describe_outputs(trained.sample, data)
    bench = Bench(store, prepared, evaluated, taken, given, limits.agreement_tolerance)
    answers = read_answers(Path(trained.directory), trained.validation_predictions)
    reference = unpack_answers(answers)
    candidates = [bench.measure(name, content, reference) for name, content in contents.items()]
    demands = {channel: Demands.of(target, limits) for channel, target in targets.items()}
    chosen = {channel: choose(channel, asked, candidates) for channel, asked in demands.items()}
    return Compressed(
        model_id=evaluated.model_id,
        input=bench.input,
        outputs=bench.outputs,
        start_s=start_s,
        files={**files, **_write_golden(bench, chosen)},
        candidates=tuple(
            bench.record(candidate, chosen, explain(candidate, demands, chosen))
            for candidate in candidates
        ),
        channels=_list_channels(evaluated, chosen),
    )


def _write_files(
    store: Store, model_id: str, directory: Path, contents: Mapping[str, bytes]
) -> dict[str, FileRecord]:
    """Writes the weights and the candidates to the model's directory."""
    named = {f"{name}.onnx": content for name, content in contents.items()}
    checkpoint = (directory / CHECKPOINT).read_bytes()
    return write_model_files(store, model_id, {CHECKPOINT: checkpoint, **named})


def _write_golden(bench: Bench, chosen: Mapping[str, Candidate]) -> dict[str, FileRecord]:
    """Writes the golden samples of each chosen candidate to the model's directory.

    Samples that an earlier run left there stay, if the candidate still answers them as it must:
    another onnxruntime may answer in other last digits.
    """
    model_id = bench.evaluated.model_id
    folder = model_folder(bench.store, model_id)
    files: dict[str, bytes] = {}
    for candidate in {candidate.name: candidate for candidate in chosen.values()}.values():
        name = name_golden_file(candidate.name)
        left = folder.read(name) if folder.exists(name) else b""
        still = bench.still_holds(candidate, left)
        files[name] = left if still else bench.make_golden(candidate).to_bytes()
    return write_model_files(bench.store, model_id, files)


def _list_channels(
    evaluated: Evaluated, chosen: Mapping[str, Candidate]
) -> dict[str, ChannelRecord]:
    """Return what each channel gets, and the release that it was judged against."""
    expected = {champion.channel: champion.release for champion in evaluated.champions}
    return {
        channel: ChannelRecord(
            artifact=candidate.name,
            sha256=sha256_bytes(candidate.content),
            expected=expected.get(channel),
        )
        for channel, candidate in chosen.items()
    }


def _export(
    workspace: str, prepared: Prepared, trained: Trained, spec: CompressSpec, trainer: Trainer
) -> tuple[dict[str, bytes], float]:
    """Export the candidates: their bytes by name, and the seconds until the process had started."""
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
