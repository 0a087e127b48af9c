"""Compress: artifacts from the checkpoint, measured on their exact bytes, one chosen a channel.

Candidates are tried on validation rows. Those that pass there answer the held-out rows, once, by
the gate's rules; a channel takes the first that it prefers and that passes both, or stops alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from deployments.targets.errors import BadArtifact
from deployments.targets.run.measure import Measurement
from deployments.targets.specs import DeviceClass, TargetSpec
from deployments.targets.trust.card import InputSpec, OutputSpec
from deployments.targets.trust.golden import name_golden_file
from gates.specs.artifact import ArtifactGate
from gates.specs.model import ModelLimits
from lightning_modules.specs.compress import CompressSpec
from lightning_modules.specs.rungs import FP32, RUNGS
from lightning_modules.specs.training import TrainSpec
from storage.base.store import Store, canonical_json, sha256_bytes
from storage.base.text_style import TextStyle
from storage.forms.base import RowsSpec
from storage.records.models import CHECKPOINT, model_folder, write_model_files
from storage.records.receipts import ChannelRecord, FileRecord
from tasks.forms.registry import find_task_form
from tasks.gates.device_classes import limit_any
from tasks.objectives.registry import find_objective
from tasks.objectives.sheets import unpack_answers
from tasks.release.bench import Bench, Candidate
from tasks.release.choose import Choice, Demands, choose
from tasks.release.costs import take_medians
from tasks.release.device_figures import NO_FIGURES, read_device_book
from tasks.release.held_out import HeldOutBench
from tasks.release.trial import TrialRows
from tasks.runtime.errors import StageStopped
from tasks.runtime.model_outcomes import Evaluated, Trained
from tasks.runtime.outcomes import Compressed, Prepared
from tasks.runtime.stage import stage
from tasks.training.answers import read_answers
from tasks.training.job import Export, TrainJob, WorkerResult
from tasks.training.launch import Trainer
from tasks.training.train import hide_url, refer_data

ROUNDS = 3
"""How often costs are measured where a busy moment could choose."""
TIMEOUT_S = 3600.0
LOAD = 8.0


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
    file_style: TextStyle | None = None,
    train: TrainSpec | None = None,
    judged: ModelLimits | None = None,
    device_classes: Mapping[str, DeviceClass] = MappingProxyType({}),
) -> Compressed:
    """Exports the candidates in the training process, measures them, and chooses one a channel.

    Files that a model is asked with may look as those that it learned from: `file_style`. Smaller
    networks are trained as `train` says, which is how the model was; None trains none. What is
    chosen must itself pass the model gate, whose limits are `judged`.

    Raises:
        WorkerFailed: The export failed.
        StageStopped: No candidate holds up on any channel.
    """
    store = Store(workspace)
    taken = find_task_form(data).describe_input(trained.sample, data)
    taken = taken.model_copy(update={"file_style": file_style})
    given = find_objective(trained.sample).describe_outputs(trained.sample, data)
    demands = {
        channel: Demands.of(target, limits, device_classes) for channel, target in targets.items()
    }
    asked = tuple(one for each in demands.values() for one in each.classes)
    loosest = limit_any([each.limits for each in asked])
    step = plan_export(trained, spec, loosest, train, describe_model(evaluated, taken, given))
    made = _export(workspace, prepared, trained, step, trainer)
    contents = read_artifacts(Path(trained.directory), made)
    files = _write_files(store, evaluated.model_id, Path(trained.directory), contents)
    book = read_device_book(store) if any(each.name for each in asked) else NO_FIGURES
    rest = (limits.agreement_tolerance, asked, book)
    bench = Bench(store, prepared, evaluated, taken, given, *rest)
    answers = read_answers(Path(trained.directory), trained.validation_predictions)
    trial = bench.open_trial(unpack_answers(answers), contents[FP32])
    candidates, failed = measure_all(bench, contents, trial, count_rounds(demands.values()))
    not_made, held_out = {**made.not_made, **failed}, HeldOutBench(bench, data, judged)
    choices = [
        choose(channel, each, candidates, held_out.refuse, not_made)
        for channel, each in demands.items()
    ]
    return _hand_on(held_out, choices, candidates, files, made.seconds["start"], not_made)


def count_rounds(demands: Iterable[Demands]) -> int:
    """Return how often costs are measured: more than once where times that vary most choose."""
    varies = any(
        each.by_cost or any(one.device.max_latency_ms_p99 is not None for one in each.classes)
        for each in demands
    )
    return ROUNDS if varies else 1


def measure_all(
    bench: Bench, contents: Mapping[str, bytes], trial: TrialRows, rounds: int
) -> tuple[list[Candidate], dict[str, str]]:
    """Measure candidates, and say of those that do not run here why that is.

    Their costs are measured in turns, of which the medians count.
    """
    candidates: list[Candidate] = []
    failed: dict[str, str] = {}
    costs: dict[str, list[Mapping[int, Measurement]]] = {name: [] for name in contents}
    for name in list(contents) * rounds:
        if name not in failed:
            try:
                costs[name].append(bench.measure_costs(contents[name], rounds))
            except BadArtifact as error:
                failed[name] = str(error)
    for name in [name for name in contents if name not in failed]:
        found = {key: take_medians([each[key] for each in costs[name]]) for key in costs[name][0]}
        try:
            candidates.append(bench.measure(name, contents[name], trial, found))
        except BadArtifact as error:
            failed[name] = str(error)
    return candidates, failed


def _hand_on(
    held_out: HeldOutBench,
    choices: Sequence[Choice],
    candidates: Sequence[Candidate],
    files: dict[str, FileRecord],
    start_s: float,
    not_made: dict[str, str],
) -> Compressed:
    """Write the golden samples of what was chosen, and return what each channel gets.

    Raises:
        StageStopped: No channel gets anything.
    """
    bench = held_out.bench
    chosen = {
        choice.channel: choice.candidate for choice in choices if choice.candidate is not None
    }
    if not chosen:
        raise StageStopped("compress", tuple(why for choice in choices for why in choice.reasons))
    return Compressed(
        model_id=bench.evaluated.model_id,
        input=bench.input,
        outputs=bench.outputs,
        start_s=start_s,
        files={**files, **_write_golden(bench, chosen)},
        candidates=tuple(
            held_out.record(
                candidate,
                tuple(name for name, winner in chosen.items() if winner.name == candidate.name),
                choices,
            )
            for candidate in candidates
        ),
        channels=_list_channels(bench.evaluated, chosen),
        refused={choice.channel: choice.reasons for choice in choices if choice.candidate is None},
        not_made=not_made,
    )


def plan_export(
    trained: Trained,
    spec: CompressSpec,
    limits: ArtifactGate,
    train: TrainSpec | None,
    about: dict[str, str],
) -> Export:
    """Return what the training process makes, and what a network that it trains must come to."""
    learns = any(RUNGS.find(name).learns for name in spec.candidates)
    is_error = find_objective(trained.sample).spec.watched.direction == "lower"
    return Export(
        compress=spec,
        about=about,
        train=hide_url(train) if train is not None and learns else None,
        most_lost=limits.max_error_increase if is_error else limits.max_accuracy_drop,
    )


def describe_model(
    evaluated: Evaluated, taken: InputSpec, given: tuple[OutputSpec, ...]
) -> dict[str, str]:
    """Return what an artifact's own metadata say: whose it is, what it takes and answers."""
    channels = [column.name for column in taken.columns]
    channels = channels or [f"channel {place}" for place in range(taken.shape[0])]
    return {
        "model": evaluated.model_id,
        "form": evaluated.sample.form,
        "objective": evaluated.sample.objective,
        "channels": canonical_json(channels).decode(),
        "outputs": canonical_json([output.name for output in given]).decode(),
    }


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
    workspace: str, prepared: Prepared, trained: Trained, step: Export, trainer: Trainer
) -> WorkerResult:
    """Export the candidates in the training process."""
    job = TrainJob(
        directory=trained.directory,
        data=refer_data(workspace, prepared),
        steps=(step,),
        devices=1,
    )
    # Other processes may have most of the cores: a minute of processor time is several then.
    tuning_s = step.compress.max_minutes * 60 * LOAD if step.train is not None else 0.0
    return trainer.run(job, timeout_s=TIMEOUT_S + tuning_s)


def read_artifacts(directory: Path, result: WorkerResult) -> dict[str, bytes]:
    """Read the candidates that were exported: their bytes by name."""
    return {name: (directory / made.file).read_bytes() for name, made in result.artifacts.items()}
