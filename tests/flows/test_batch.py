"""A batch is published as a whole or not at all, once, wherever it is killed."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from flows import batch as flow
from flows.batch import Batch, load_limits, require_same
from flows.errors import BatchStopped, RecipeError
from flows.recipe.load import load_recipe
from flows.recipe.model import Recipe
from flows.recipe.retraining import derive_overrides
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from tasks.batch.outcomes import Asked
from tasks.batch.record import BESIDE, BatchRecord, find_published, parse_record
from tasks.batch.stages import (
    answer_all,
    compare_asked,
    gate_answers,
    is_there,
    publish_all,
)
from tasks.data.collect import describe_version
from tasks.feedback.joining import Join
from tasks.runtime.errors import BatchError, StageStopped
from tests.flows.conftest import Promoted
from tests.flows.material import call
from tests.tasks.batch.asking import Batch as Made
from tests.tasks.batch.asking import make_batch
from tests.tasks.batch.test_batch import draw_lines

LIMITS = {"gates.drift.enabled": False}


class Killed(BaseException):
    """The process is gone."""


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_batch(tmp_path_factory.mktemp("batch"))


@pytest.fixture
def made(origin: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    monkeypatch.setattr(flow, "carry_out", carry_out_here)
    return Made(origin.made, origin.model, tmp_path)


def carry_out_here(task: Any, *args: Any) -> Any:
    """The same stages without Prefect and Dask."""
    if task.name == "gate asked":
        return require(compare_asked(*args[:-1]))
    if task.name == "answer rows":
        return answer_all(args[0])
    if task.name == "publish answers":
        return publish_all(*args[:-1])
    return require(gate_answers.fn.__wrapped__(*args))


def require(report: Any) -> Any:
    if not report.passed:
        raise StageStopped(f"gate {report.stage}", report.told, report)
    return report


def load(made: Made, **limits: Any) -> Recipe:
    named = {name.replace("__", "."): value for name, value in limits.items()}
    return load_limits(made.made.recipe.document, {**LIMITS, **named})


def go(made: Made, asked: Asked, **limits: Any) -> BatchRecord:
    return Batch(made.made.store, asked, load(made, **limits), "").go()


def list_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*"))}


def test_the_record_names_everything_and_lies_beside_the_answers(made: Made) -> None:
    asked = made.ask(made.write(draw_lines(30)))
    record = go(made, asked)
    content = (made.folder / "out" / BESIDE).read_bytes()
    assert parse_record(content, "beside") == record
    assert find_published(made.made.store, asked.key) == record
    assert (record.rows, record.answered, record.noted) == (30, 30, 0)
    assert record.model_id == made.made.model_id
    assert record.asked == asked.dataset
    assert [gate["stage"] for gate in record.gates] == ["drift", "answers"]
    assert list(record.files) == ["part-00000.parquet"]
    assert is_there(asked, record)
    assert len(pq.read_table(made.folder / "out")) == 30, "a reader of the folder sees answers"
    (made.folder / "out" / "part-00000.parquet").unlink()
    assert not is_there(asked, record)
    flipped = content.replace(b'"answered":30', b'"answered":31')
    with pytest.raises(BatchError, match="must be signed"):
        parse_record(flipped, "beside")


def test_a_red_gate_publishes_nothing_and_leaves_a_record_that_says_why(made: Made) -> None:
    lines = [f"{line.rpartition(',')[0]},green" for line in draw_lines(30, seed=5)]
    asked = made.ask(made.write(lines))
    record = go(made, asked)
    assert record.status == "stopped"
    assert record.stopped_at == "gate answers"
    assert any("gates.batch.max_noted_fraction" in json.dumps(gate) for gate in record.gates)
    assert not (made.folder / "out").exists()
    assert find_published(made.made.store, asked.key) is None
    assert "share of answers with a note" in str(BatchStopped(record))
    allowed = go(made, asked, gates__batch__max_noted_fraction=1.0)
    assert allowed.is_published
    assert allowed.noted == 30


@contextmanager
def kill_after(writes: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Ends everything at the write of that number, once it is durable."""
    done: list[str] = []

    def count(name: str, real: Any) -> Any:
        def write(self: Store, *args: Any, **kwargs: Any) -> Any:
            result = real(self, *args, **kwargs)
            done.append(name)
            if len(done) == writes:
                raise Killed
            return result

        return write

    with monkeypatch.context() as patch:
        for name in ("write", "write_files", "put_if_absent", "delete"):
            patch.setattr(Store, name, count(name, getattr(Store, name)))
        yield done


def hold_killed(made: Made, number: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Tell whether there was such a write, after which the next call makes what it would have."""
    rows = made.write(draw_lines(25, seed=100 + number), name=f"{number}.csv")
    asked = made.ask(rows, out=f"killed {number}")
    try:
        with kill_after(number, monkeypatch):
            go(made, asked)
    except Killed:
        record = find_published(made.made.store, asked.key)
        if record is None or not is_there(asked, record):
            record = go(made, asked)
    else:
        return False
    found = list_files(made.folder / f"killed {number}")
    whole = go(made, made.ask(rows, out=f"whole {number}"))
    wanted = list_files(made.folder / f"whole {number}")
    assert found.keys() == wanted.keys()
    assert found["part-00000.parquet"] == wanted["part-00000.parquet"]
    assert record.files == whole.files == parse_record(found[BESIDE], "beside").files
    return True


@pytest.mark.parametrize("step", [4, pytest.param(1, marks=pytest.mark.slow)])
def test_killed_at_any_write_the_next_call_makes_the_same(
    made: Made, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[Any] = []

    def judge_once(task: Any, *args: Any) -> Any:
        """Great Expectations costs seconds, and what it says is the same each time."""
        if task.name != "gate answers":
            return carry_out_here(task, *args)
        judged[:] = judged or [carry_out_here(task, *args)]
        return judged[0]

    monkeypatch.setattr(flow, "carry_out", judge_once)
    number = 1
    while hold_killed(made, number, monkeypatch):
        number += step
    assert number > 8, "a batch is more writes than these"


def test_only_limits_can_be_put_over_a_model(made: Made) -> None:
    with pytest.raises(RecipeError, match="must be a limit of gates"):
        load_limits(made.made.recipe.document, {"model.network": {"family": "trees"}})
    with pytest.raises(RecipeError, match="max_noted_fraction"):
        load_limits(made.made.recipe.document, {"gates.batch.max_noted_fraction": 3})


def test_drift_stops_a_batch_of_a_model_that_drift_had_trained_again(made: Made) -> None:
    store, plain = made.made.store, made.made.recipe
    dataset = describe_version(Dataset(store, "table-raw").open())
    changes = derive_overrides(plain, store.url, dataset, made.made.model_id, Join({}, None, False))
    again = load_recipe(plain.document, changes)
    assert again.gates.drift.on_fail == {"*": "warn"}
    assert load_limits(again.document, {}).gates.drift.on_fail == {}
    asked_for = {"gates.drift.on_fail": {"*": "warn"}}
    assert load_limits(again.document, asked_for).gates.drift.on_fail == {"*": "warn"}
    softened = load_recipe(plain.document, asked_for)
    assert load_limits(softened.document, {}).gates.drift.on_fail == {"*": "warn"}


def test_a_batch_is_asked_of_the_model_whose_limits_hold(made: Made) -> None:
    card = made.model.card
    require_same(card, card)
    with pytest.raises(BatchError, match=r"aaaaaaaaaaaa, then bbbbbbbbbbbb.*ask again"):
        require_same(card, card.model_copy(update={"model_id": "b" * 64}))


def test_what_is_made_again_is_told_by_its_own_record(made: Made) -> None:
    asked = made.ask(made.write(draw_lines(30, seed=41)))
    first = go(made, asked)
    go(made, made.ask(made.write(draw_lines(30, seed=42), name="b.csv"), out="other"))
    part = made.folder / "out" / "part-00000.parquet"
    part.write_bytes(part.read_bytes()[:-1])
    assert not is_there(asked, first)
    again = go(made, asked)
    assert again.answers != first.answers, "another batch was published in between"
    assert find_published(made.made.store, asked.key) == again
    assert parse_record((made.folder / "out" / BESIDE).read_bytes(), "beside") == again
    assert is_there(asked, again)


@pytest.mark.parametrize(
    "arguments",
    [
        ("edge",),
        (),
        ("edge", "a.csv", "--out", "x"),
        ("edge", "a.csv", "--model", "x"),
        ("edge", "a.csv", "--format", "csv"),
        ("--dataset", "d"),
        ("--dataset", "d", "--out", "x", "edge", "a.csv"),
        ("edge", "--dataset", "d", "--out", "x", "--channel", "cloud"),
        ("--dataset", "d", "--out", "x", "--format", "xls"),
    ],
)
def test_what_is_not_asked_for_as_it_must_be_is_bad_usage(arguments: tuple[str, ...]) -> None:
    outcome = call("predict", *arguments)
    assert outcome.status == 2
    assert outcome.out == ""


@pytest.mark.slow
@pytest.mark.prefect
def test_the_command_answers_a_data_set_of_a_promoted_run(
    promoted: Promoted, dask_scheduler: str, tmp_path: Path
) -> None:
    out = tmp_path / "answers"
    where = ("--workspace", str(promoted.workspace), "--scheduler", dask_scheduler, "--json")
    first = call("predict", "--dataset", "digits-raw", "--out", str(out), *where)
    assert first.status == 0, first.messages
    table = pq.read_table(out).to_pydict()
    assert len(set(table["row_id"])) == 1797
    assert np.mean([name is not None for name in table["label"]]) == 1
    before = list_files(out)
    again = call("predict", "--dataset", "digits-raw", "--out", str(out), *where)
    assert again.summary == first.summary
    assert list_files(out) == before
    named = ("--model", first.summary["model_id"][:12], "--format", "csv")
    third = call(
        "predict", "--dataset", "digits-raw", "--out", str(tmp_path / "csv"), *named, *where
    )
    assert third.status == 0, third.messages
    assert third.summary["answered"] == 1797
