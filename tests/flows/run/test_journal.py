"""A lost run's journal: what of it is kept, and what is never taken on trust."""

import json
from pathlib import Path

import pytest

from flows.errors import ResumeError
from flows.recipe.load import load_recipe
from flows.run.again import find_begun
from flows.run.flow import Flow
from flows.run.journal import Journal, begin_journal, reopen_journal
from flows.run.journal_page import JOURNAL
from flows.run.lost import find_lost_run, recall_recipe
from gates.engine.report import Check, GateReport
from storage.base.store import Store, sha256_bytes
from storage.datasets.dataset import Dataset
from storage.pipeline.fitted import Fitted
from storage.records.receipts import FileRecord, SourceRecord
from tasks.data.collect import describe_version
from tasks.runtime.errors import StageStopped, WorkerFailed
from tasks.runtime.model_outcomes import Trained
from tasks.runtime.outcomes import Collected, Prepared
from tasks.runtime.predictions import Predictions
from tests.tasks.jobs import NAME, SAMPLE, make_workspace

FLOW = Flow(name="lifecycle", stages=(), required_gates=())
GREEN = GateReport(
    stage="raw",
    passed=True,
    suite_digest="0" * 64,
    checks=(Check(rule="r", about="a", observed=1, limit=1, passed=True, message="m"),),
)
FILES = ("checkpoint.safetensors", "predictions.validation.npz", "predictions.held_out.npz")


def write_files(directory: Path) -> dict[str, FileRecord]:
    for name in FILES:
        (directory / name).write_bytes(name.encode())
    return {
        name: FileRecord(sha256=sha256_bytes(name.encode()), size_bytes=len(name)) for name in FILES
    }


def make_trained(directory: Path) -> Trained:
    files = write_files(directory)

    def describe(name: str) -> Predictions:
        return Predictions(
            file=name, rows=1, figures={"accuracy": 1, "loss": 0}, **files[name].model_dump()
        )

    return Trained(
        directory=str(directory),
        checkpoint=files[FILES[0]],
        sample=SAMPLE,
        parameters=1,
        epochs=1,
        best_epoch=0,
        training_s=1,
        start_s=1,
        validation_figures=(),
        validation_predictions=describe(FILES[1]),
        held_out_predictions=describe(FILES[2]),
        curve=(),
    )


@pytest.fixture
def lost(tmp_path: Path) -> Journal:
    """A run that was killed behind train."""
    workspace = make_workspace(tmp_path / "work space")
    version = describe_version(Dataset(workspace, NAME).open())
    recipe = load_recipe("digits", {"train.max_epochs": 3})
    journal = begin_journal(workspace, recipe, FLOW, flow_run="f-1")
    record = journal.record
    outcomes = {
        "collect": Collected(source=SourceRecord(type="sklearn", digest="0"), dataset=version),
        "gate raw": GREEN,
        "prepare": Prepared(
            dataset=version, fitted=Fitted(mean=(1.0,), std=(1.0,), rows=1, dropped={})
        ),
        "gate prepared": GREEN.model_copy(update={"stage": "prepared"}),
        "train": make_trained(journal.directory),
        "evaluate": None,
    }
    for name, outcome in outcomes.items():
        record = record.with_stage(name, outcome, 1.5)
    journal.write(record)
    journal._unlock()
    return journal


def reopen(lost: Journal) -> Journal:
    return reopen_journal(Store(lost.record.workspace), lost.record.run, FLOW)


def test_what_is_done_is_kept_and_gates_judge_again(lost: Journal) -> None:
    found = reopen(lost)
    assert found.recipe == lost.recipe
    assert (found.record.run, found.record.stages) == (lost.record.run, {})
    assert [found.recall(name) is not None for name in ("collect", "prepare", "train")] == [
        True
    ] * 3
    assert [found.recall(name) for name in ("gate raw", "gate prepared", "evaluate")] == [None] * 3
    (resumption,) = found.record.resumptions
    assert resumption.kept == ("collect", "prepare", "train")
    assert resumption.reason is None


def test_a_flow_run_that_starts_again_goes_on_with_the_run_that_it_began(lost: Journal) -> None:
    workspace, recipe = lost.record.workspace, lost.recipe
    assert find_begun(workspace, recipe, "f-1") == lost.record.run
    assert find_begun(workspace, recipe, "f-2") is None
    assert find_begun(workspace, recipe, None) is None
    # What was corrected in the recipe meanwhile is what Retry was pressed for.
    assert find_begun(workspace, load_recipe("digits"), "f-1") is None
    again = reopen_journal(Store(workspace), lost.record.run, FLOW, "f-2")
    again.write(again.record.with_stage("collect", again.recall("collect").outcome, 0.0))  # type: ignore[union-attr]
    with pytest.raises(ResumeError, match="must have ended before it can go on"):
        find_begun(workspace, recipe, "f-2")
    again._unlock()
    assert find_begun(workspace, recipe, "f-2") == lost.record.run
    assert find_begun(workspace, recipe, "f-1") is None


def test_an_altered_file_and_all_behind_it_are_done_again(lost: Journal) -> None:
    (lost.directory / FILES[2]).write_bytes(b"other answers")
    found = reopen(lost)
    assert found.recall("prepare") is not None
    assert found.recall("train") is None
    assert str(found.record.resumptions[0].reason).startswith("train is done again: ")
    assert FILES[2] in str(found.record.resumptions[0].reason)


def test_an_altered_shard_is_found(lost: Journal) -> None:
    shards = Path(lost.record.workspace) / "datasets" / NAME / "shards"
    victim = max(
        (path for path in shards.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size
    )
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.write_bytes(bytes(content))
    found = reopen(lost)
    assert [found.recall(name) for name in ("collect", "prepare", "train")] == [None] * 3
    assert victim.name in str(found.record.resumptions[0].reason)


@pytest.mark.parametrize("name", ["machine-failure", "transformer-temperature"])
def test_a_run_of_any_kind_finds_its_own_recipe(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name, {"train.max_epochs": 2})
    journal = begin_journal(Store(tmp_path), recipe, FLOW)
    journal.write(journal.record)
    journal._unlock()
    found = recall_recipe(str(tmp_path), journal.record.run)
    assert type(found.gates.model) is type(recipe.gates.model)
    assert found.digest == recipe.digest


def test_an_altered_journal_is_refused(lost: Journal) -> None:
    path = lost.directory / JOURNAL
    envelope = json.loads(path.read_bytes())
    envelope["signed"] = envelope["signed"].replace('"max_epochs":3', '"max_epochs":4')
    path.write_text(json.dumps(envelope))
    with pytest.raises(ResumeError, match="must be signed with this machine's key"):
        reopen(lost)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ResumeError, match="must be one that this Lepton writes"):
        reopen(lost)


def test_a_run_goes_on_by_its_own_flow_alone(lost: Journal) -> None:
    other = Flow(name="feedback", stages=(), required_gates=())
    with pytest.raises(ResumeError, match="must be one of feedback; got one of lifecycle"):
        reopen_journal(Store(lost.record.workspace), lost.record.run, other)


def test_a_run_at_work_is_left_alone(lost: Journal) -> None:
    first = reopen(lost)
    with pytest.raises(ResumeError, match="must have ended before it can go on"):
        reopen(lost)
    assert find_lost_run(lost.record.workspace, lost.recipe) is None
    first.leave(StageStopped("train", ("a crash",)))
    assert reopen(lost).recall("train") is not None


def test_an_unknown_run_is_answered_with_those_that_can_go_on(lost: Journal) -> None:
    for name in ("20200101-000000-aaaaaa", "", "..", "a/b"):
        with pytest.raises(ResumeError, match=f"those that can: {lost.record.run}"):
            recall_recipe(lost.record.workspace, name)


def test_a_lost_run_is_told_of_with_the_command(lost: Journal) -> None:
    told = find_lost_run(lost.record.workspace, lost.recipe)
    command = f"lepton run --resume {lost.record.run} --workspace '{lost.record.workspace}'"
    assert told == f"run {lost.record.run} ended early, after train; to go on with it: {command}"
    assert find_lost_run(lost.record.workspace, load_recipe("digits")) is None


def test_a_run_that_got_nowhere_leaves_nothing(lost: Journal) -> None:
    journal = begin_journal(Store(lost.record.workspace), lost.recipe, FLOW)
    error = RuntimeError("fell")
    journal.leave(error)
    assert not journal.directory.exists()
    assert not hasattr(error, "__notes__")


def test_only_the_owner_can_read_a_journal(lost: Journal) -> None:
    assert lost.directory.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("kind", "goes_on"), [(None, True), ("NotFound", True), ("SpecError", False)]
)
def test_way_on_is_told_where_there_is_one(lost: Journal, kind: str | None, goes_on: bool) -> None:
    error = WorkerFailed("lost", kind=kind)
    lost.leave(error)
    assert any("--resume" in note for note in getattr(error, "__notes__", ())) == goes_on
    assert lost.directory.exists() == goes_on
