"""A batch without a cluster: each row once, by the model's own bytes, or nothing at all."""

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from deployments.targets.run.inputs import load_samples
from deployments.targets.run.live import LiveModel
from deployments.targets.run.objectives import ANSWERS
from deployments.targets.trust.card import Card
from gates.batch import BatchFacts, judge_batch
from gates.specs.batch import BatchGate
from storage.base.errors import StorageError
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.shards.row_ids import ROW_ID
from tasks.batch import answering
from tasks.batch.model import open_predictor
from tasks.batch.stages import answer_all, compare_asked, drop_marks, publish_all
from tasks.runtime.errors import BatchError, StageStopped
from tests.tasks.batch.asking import Batch, make_batch


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Batch:
    return make_batch(tmp_path_factory.mktemp("batch"))


@pytest.fixture
def batch(origin: Batch, tmp_path: Path) -> Batch:
    """The same workspace, with a folder of this test's own for files."""
    return Batch(origin.made, origin.model, tmp_path)


def read_parts(batch: Batch, out: str = "out") -> dict[str, list[object]]:
    return pq.read_table(batch.folder / out).to_pydict()


def answer_file(batch: Batch, path: str) -> list[dict[str, object]]:
    """What `lepton predict CHANNEL FILE --json` says of the same file."""
    card = batch.model.card
    samples = load_samples(path, card)
    predictor = open_predictor(batch.made.store, card)
    live = LiveModel(None, predictor, ANSWERS.find(card.objective))  # type: ignore[arg-type]
    object.__setattr__(live, "verified", _Verified(card))
    told = live.tell(live.answer(samples.raw), file=path, notes=samples.notes)
    return [json.loads(each.to_json()) for each in told]


class _Verified:
    def __init__(self, card: Card) -> None:
        self.card = card


def draw_lines(count: int, seed: int = 3) -> list[str]:
    drawn = np.random.default_rng(seed).normal(size=(count, 2)).round(5).tolist()
    return [f"{width},{height},{'red' if width > 0.5 else 'blue'}" for width, height in drawn]


def test_every_row_of_a_data_set_is_answered_once_under_its_id(batch: Batch) -> None:
    _, answered, published = batch.carry_out("table-raw")
    raw = Dataset(batch.made.store, "table-raw").open().read()
    parts = read_parts(batch)
    assert sorted(parts["row_id"]) == sorted(raw[ROW_ID].tolist())
    assert (answered.rows, answered.answered, answered.noted) == (400, 400, 0)
    widths = dict(zip(raw[ROW_ID].tolist(), raw["numbers"][:, 0].tolist(), strict=True))
    wanted = [str(int(widths[row] > 0)) for row in parts["row_id"]]
    assert parts["label"] == wanted
    assert set(parts["model_id"]) == {batch.made.model_id}
    assert sum(published.version.rows.values()) == 400


def test_a_file_is_answered_as_it_is_alone_without_its_truth_too(batch: Batch) -> None:
    lines = [*draw_lines(5), ",0.5,red", "0.25,1e3,green"]
    path = batch.write(lines)
    _, answered, _ = batch.carry_out(path)
    parts, told = read_parts(batch), answer_file(batch, path)
    assert answered.noted == 1
    assert parts["row"] == list(range(7))
    assert set(parts["file"]) == {"asked.csv"}
    assert parts["label"] == [each["label"] for each in told]
    assert parts["note"] == [each.get("note") for each in told]
    assert "'green'" in str(parts["note"][6])
    sure = [each["confidence"] for each in told]
    np.testing.assert_array_equal(np.array(parts["confidence"]), np.array(sure))
    for name in ("0", "1"):
        given = [each["probabilities"][name] for each in told]  # type: ignore[index]
        np.testing.assert_array_equal(
            np.array(parts[f"probability.{name}"], np.float32), np.array(given, np.float32)
        )


def test_csv_says_what_parquet_says(batch: Batch) -> None:
    path = batch.write(draw_lines(9))
    batch.carry_out(path)
    batch.carry_out(path, format="csv", out="rows")
    with (batch.folder / "rows" / "part-00000.csv").open() as file:
        rows = list(csv.DictReader(file))
    parts = read_parts(batch)
    assert [int(row["row_id"]) for row in rows] == parts["row_id"]
    assert [row["label"] for row in rows] == parts["label"]


def test_shards_are_a_version_elsewhere(batch: Batch) -> None:
    path = batch.write(draw_lines(9))
    _, _, published = batch.carry_out(path, format="shards", out="elsewhere")
    found = Dataset(Store(batch.folder / "elsewhere"), "table-predictions").open()
    assert found.digest == published.version.digest
    assert found.info["model"] == batch.made.model_id
    assert found.read()["probabilities"].shape == (9, 2)


def test_rows_without_a_finite_answer_are_counted_and_harm_no_other(batch: Batch) -> None:
    lines = draw_lines(700)
    lines[300] = "0.5,1e30,red"
    lines[650] = "0.5,-1e25,red"
    path = batch.write(lines)
    _, answered, _ = batch.carry_out(path)
    assert (answered.rows, answered.answered) == (700, 698)
    assert any("asked.csv:300" in text and "no finite answer" in text for text in answered.told)
    assert set(range(700)) - set(read_parts(batch)["row"]) == {300, 650}


def test_a_model_that_fails_on_most_rows_is_an_error_and_not_their_fault(batch: Batch) -> None:
    path = batch.write([f"0.5,{index + 1}e30,red" for index in range(300)])
    with pytest.raises(Exception, match="must answer finite"):
        answer_all(batch.ask(path))


def test_what_was_answered_is_not_asked_again_and_is_the_same_bytes(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = batch.ask(batch.write(draw_lines(50, seed=8)))
    first = answer_all(asked)
    published = publish_all(asked, first)
    content = (batch.folder / "out" / "part-00000.parquet").read_bytes()
    calls: list[int] = []
    real = answering.Asker.answer
    monkeypatch.setattr(
        answering.Asker,
        "answer",
        lambda self, number, entry: calls.append(number) or real(self, number, entry),
    )
    assert answer_all(asked) == first
    assert calls == []
    drop_marks(asked)
    assert answer_all(asked) == first
    assert calls == [0]
    assert publish_all(asked, first) == published
    assert (batch.folder / "out" / "part-00000.parquet").read_bytes() == content


def test_answers_that_garbage_collection_took_are_made_again(batch: Batch) -> None:
    asked = batch.ask(batch.write(draw_lines(40, seed=9)))
    first = answer_all(asked)
    for path in asked.answers.shards.list():
        asked.answers.shards.delete(path)
    with pytest.raises(BatchError, match="must still be there"):
        publish_all(asked, first)
    assert answer_all(asked) == first
    assert sum(publish_all(asked, first).version.rows.values()) == 40


def test_a_folder_of_something_else_is_left_alone(batch: Batch) -> None:
    (batch.folder / "taken").mkdir()
    (batch.folder / "taken" / "mine.txt").write_text("mine")
    path = batch.write(draw_lines(9))
    with pytest.raises(BatchError, match=r"out .* must be an empty folder"):
        batch.carry_out(path, out="taken")
    assert [each.name for each in (batch.folder / "taken").iterdir()] == ["mine.txt"]
    batch.carry_out(path)
    with pytest.raises(BatchError, match="of other rows or another model"):
        batch.carry_out(batch.write(draw_lines(9, seed=4), name="other.csv"))


@pytest.mark.parametrize(
    ("header", "line", "said"),
    [
        ("width,colour", "1,red", "must have the columns? .*height|the columns height"),
        ("a,b", "1,2", "must have"),
    ],
)
def test_files_without_the_columns_are_refused_by_name(
    batch: Batch, header: str, line: str, said: str
) -> None:
    with pytest.raises(Exception, match=said):
        batch.ask(batch.write([line], header=header))


def test_what_cannot_be_asked_says_so(batch: Batch) -> None:
    with pytest.raises(Exception, match=r"must have a version"):
        batch.ask("no-such")
    with pytest.raises(StorageError, match="Protocol not known") as told:
        batch.ask("s3bucket://user:hush@nowhere/x.csv")
    assert "hush" not in str(told.value)
    batch.carry_out(batch.write(draw_lines(9)), format="shards", out="workspace")
    with pytest.raises(BatchError, match="must have the field"):
        batch.ask("table-predictions")


def test_rows_unlike_those_of_training_stop_before_any_answer(batch: Batch) -> None:
    drift, limits = batch.made.recipe.gates.drift, batch.made.recipe.gates.batch
    alike = batch.ask(batch.write(draw_lines(400)))
    assert compare_asked(alike, drift, limits).passed
    moved = [f"{float(line.split(',')[0]) + 3},{line.split(',', 1)[1]}" for line in draw_lines(400)]
    report = compare_asked(batch.ask(batch.write(moved, name="moved.csv")), drift, limits)
    assert not report.passed
    assert any("width" in text for text in report.told)


def test_few_rows_cannot_be_compared_and_are_not_answered(batch: Batch) -> None:
    drift, limits = batch.made.recipe.gates.drift, batch.made.recipe.gates.batch
    few = batch.ask(batch.write(draw_lines(20), name="few.csv"))
    with pytest.raises(StageStopped, match=r"must be 100 or more .*got 20"):
        compare_asked(few, drift, limits)
    many = batch.ask(batch.write(draw_lines(400), name="many.csv"))
    with pytest.raises(StageStopped, match=r"must be 401 or more .*got 400"):
        compare_asked(many, drift, limits.model_copy(update={"min_rows": 401}))


def test_rows_that_the_model_learned_from_need_no_comparison(batch: Batch) -> None:
    drift, limits = batch.made.recipe.gates.drift, batch.made.recipe.gates.batch
    for name in ("table-raw", "table-prepared"):
        report = compare_asked(batch.ask(name), drift, limits)
        assert report.passed
        assert any("learned from" in check.message for check in report.checks)


@pytest.mark.parametrize(
    ("answered", "noted", "passed"),
    [(1000, 0, True), (990, 49, True), (989, 0, False), (1000, 51, False), (0, 0, False)],
)
def test_the_gate_judges_answers(answered: int, noted: int, passed: bool) -> None:
    facts = BatchFacts(rows=1000, answered=answered, noted=noted, hints=("a.csv:3: why",))
    report = judge_batch(BatchGate(), facts)
    assert report.passed == passed
    if answered and not passed:
        assert any("a.csv:3: why" in check.hint for check in report.checks if not check.passed)
