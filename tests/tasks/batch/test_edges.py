"""Batches beside other batches, of models by thresholds, of records that cannot all be read."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest

from deployments.targets.run.objectives import list_class
from deployments.targets.run.runtime import Answers
from gates.batch import BatchFacts, judge_batch
from gates.specs.batch import BatchGate
from storage.base.errors import Conflict
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.shards.row_ids import ROW_ID, VALID_SUFFIX
from storage.upkeep.dropping import drop_versions
from tasks.batch import model as models
from tasks.batch.answering import NOTE, PLACE
from tasks.batch.rows import open_asked
from tasks.batch.stages import answer_all, compare_asked, drop_marks, publish_all
from tasks.batch.writing import Writer, tabulate
from tasks.feedback.models import KnownModel
from tasks.runtime.errors import BatchError, StageStopped
from tests.deployments.targets.material import list_classes
from tests.tasks.batch.asking import Batch, make_batch
from tests.tasks.batch.test_batch import draw_lines
from tests.tasks.feedback.made import describe_table, make


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Batch:
    return make_batch(tmp_path_factory.mktemp("batch"))


@pytest.fixture
def batch(origin: Batch, tmp_path: Path) -> Batch:
    return Batch(origin.made, origin.model, tmp_path)


def test_confidence_is_that_of_the_label_which_a_threshold_may_have_chosen() -> None:
    outputs = list_classes(("no", "yes"))
    arrays: dict[str, Any] = {
        "label": np.array([1, 0, 0]),
        "probabilities": np.array([[0.7, 0.3], [0.4, 0.6], [1.0 + 1e-6, 0]], np.float32),
    }
    rows = {
        **arrays,
        ROW_ID: np.arange(3, dtype=np.uint64),
        PLACE: np.arange(3),
        PLACE + VALID_SUFFIX: np.ones(3, np.bool_),
        NOTE: np.array(["", "", ""], np.dtypes.StringDType()),
        NOTE + VALID_SUFFIX: np.zeros(3, np.bool_),
    }
    writer = Writer(cast(Any, None), cast(Any, None), "parquet", outputs, "m")
    entry = cast(Any, SimpleNamespace(source=(), split=""))
    told = tabulate(rows, entry, writer).to_pydict()
    for row in range(3):
        label, sure, shares = list_class(Answers(outputs, arrays), row)
        assert (told["label"][row], told["confidence"][row]) == (label.value, sure.value)
        assert shares.value == {name: told[f"probability.{name}"][row] for name in ("no", "yes")}


def test_a_record_that_cannot_be_read_leaves_no_wrong_numbers_to_the_others(batch: Batch) -> None:
    lines = draw_lines(120)
    lines[2] += ",9,9"
    _, answered, _ = batch.carry_out(batch.write(lines))
    assert (answered.rows, answered.answered) == (120, 119)
    told = pq.read_table(batch.folder / "out").to_pydict()
    assert set(told["row"]) == {None}
    assert set(told["file"]) == {"asked.csv"}
    batch.carry_out(batch.write(lines, name="same.csv"), format="csv", out="csv")
    assert pc.read_csv(batch.folder / "csv" / "part-00000.csv")["row"].null_count == 119


def test_a_batch_that_ends_leaves_another_of_the_same_rows_at_work(batch: Batch) -> None:
    path = batch.write(draw_lines(20, seed=31))
    first, second = batch.ask(path), batch.ask(path, format="csv", out="rows")
    answered = [answer_all(asked) for asked in (first, second)]
    publish_all(first, answered[0])
    drop_marks(first)
    publish_all(second, answered[1])
    assert (batch.folder / "rows" / "part-00000.csv").exists()


def test_shards_that_were_asked_for_are_not_taken_for_old_versions(batch: Batch) -> None:
    asked, published = [], []
    for seed in (1, 2):
        path = batch.write(draw_lines(9, seed=seed), name=f"{seed}.csv")
        one, _, done = batch.carry_out(path, format="shards", out="elsewhere")
        asked.append(one)
        published.append(done.version)
    dataset = Dataset(Store(batch.folder / "elsewhere"), "table-predictions")
    for one, version in zip(asked, published, strict=True):
        assert dataset.open(one.tag).digest == version.digest
    with pytest.raises(Conflict, match=f"tag {asked[0].tag}"):
        drop_versions(dataset, [published[0].number], reason="old")


def test_no_answer_at_all_is_red_whatever_a_failed_check_does_otherwise() -> None:
    lenient = BatchGate(on_fail={"*": "warn"})
    assert not judge_batch(lenient, BatchFacts(rows=10, answered=0, noted=0)).passed
    assert judge_batch(lenient, BatchFacts(rows=10, answered=1, noted=1)).passed


def test_a_channel_that_is_refused_answers_no_batch(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = SimpleNamespace(status="refused", reason="it went back")
    monkeypatch.setattr(models, "Runtime", lambda *_: SimpleNamespace(channel="edge", state=state))
    with pytest.raises(BatchError, match=r"channel \(edge\).*it went back; mend it.*--model ID"):
        models.find_asked_model(batch.made.store, "edge", None)


def test_rows_that_a_transform_would_change_are_asked_as_it_gave_them(tmp_path: Path) -> None:
    document = describe_table(tmp_path)
    document["data"]["transform"] = "tests.tasks.batch.asking:double_widths"
    made = make(tmp_path / "workspace", document)
    for raw in ("table-raw", str(tmp_path / "table.csv")):
        with pytest.raises(BatchError, match=r"must be prepared.*data\.transform.*kind raw"):
            open_asked(made.model, raw)
    assert open_asked(made.model, "table-prepared").rows == 400


def test_rows_are_not_compared_with_a_few_that_a_model_learned_from(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, asked = batch.made.recipe, batch.ask(batch.write(draw_lines(150)))
    assert compare_asked(asked, recipe.gates.drift, recipe.gates.batch).passed
    few = open_asked(batch.made.model, batch.write(draw_lines(20), name="few.csv"))
    monkeypatch.setattr(KnownModel, "raw", few)
    with pytest.raises(StageStopped, match=r"rows \(table-asked@\d+\) must be 100 .*got 20"):
        compare_asked(asked, recipe.gates.drift, recipe.gates.batch)
