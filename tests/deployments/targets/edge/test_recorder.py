import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.targets.edge.policy import parse_policy
from deployments.targets.edge.recorder import SpoolRecorder
from deployments.targets.edge.sender import make_batch
from deployments.targets.edge.spool import Spool
from deployments.targets.trust.receipt_signer import make_private_pem, make_signer
from deployments.targets.trust.uplink import pack_batch
from storage.base.errors import InvalidInput
from tests.deployments.targets.edge.material import AT, MODEL, make_answers, make_live, tell

NOW = datetime(2026, 11, 28, 6, 0, tzinfo=UTC)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    opened = Spool(tmp_path / "spool.sqlite", 2**20)
    yield opened
    opened.close()


def make_recorder(spool: Spool, policy: str = "all") -> SpoolRecorder:
    return SpoolRecorder("d1", spool, parse_policy(policy), now=lambda: NOW)


def record(recorder: SpoolRecorder, rows: int, times: Any = None) -> str:
    raw = np.arange(rows * 4, dtype=np.int16).reshape(rows, 2, 2)
    answers = make_answers([n / 2 for n in range(rows)])
    return asyncio.run(recorder.record(make_live(), raw, answers, times))


def test_answers_are_durable_with_their_inputs_when_their_id_is_known(spool: Spool) -> None:
    recorder = make_recorder(spool)
    assert record(recorder, 2) == "d1:1"
    assert record(recorder, 1) == "d1:3"
    rows = spool.read_rows(1, 9)
    assert [row.sequence for row in rows] == [1, 2, 3]
    second = rows[1]
    assert (second.kind, second.at, second.model_id) == ("answer", AT, MODEL)
    assert (second.answer_id, second.said) == ("d1:2", '{"score":0.5}')
    assert (second.dtype, second.shape) == ("int16", "[2,2]")
    assert second.data == np.arange(4, 8, dtype=np.int16).tobytes()
    assert (second.probability, second.reason, second.times) == (1.0, "all", None)


def test_windows_keep_their_times(spool: Spool) -> None:
    record(make_recorder(spool), 2, np.array([[1.0, 2.0], [3.0, 4.0]]))
    assert spool.read_rows(2, 2)[0].times == np.array([3.0, 4.0]).tobytes()


def test_a_sample_takes_numbers_for_all_and_keeps_its_share(spool: Spool) -> None:
    recorder = make_recorder(spool, "sampled:0.3")
    assert [record(recorder, 50) for _ in range(4)] == ["d1:1", "d1:51", "d1:101", "d1:151"]
    policy = parse_policy("sampled:0.3")
    rows = spool.read_rows(1, 1000)
    assert [row.sequence for row in rows] == [n for n in range(1, 201) if policy.keeps(f"d1:{n}")]
    assert {(row.probability, row.reason) for row in rows} == {(0.3, "sampled")}


def test_truths_are_kept_whoever_they_are_of_and_whatever_the_policy(spool: Spool) -> None:
    recorder = make_recorder(spool, "sampled:0.0001")
    record(recorder, 1)
    truths = [tell("d1:1", "7"), tell("nobody knows it", {"any": [1, None]}), tell("d2:9", 1.5)]
    assert asyncio.run(recorder.add_truth(truths)) == 3
    assert asyncio.run(recorder.add_truth([])) == 0
    rows = spool.read_rows(2, 9)
    assert [(row.answer_id, row.said) for row in rows] == [
        ("d1:1", '"7"'),
        ("nobody knows it", '{"any":[1,null]}'),
        ("d2:9", "1.5"),
    ]
    assert {(row.kind, row.probability, row.model_id) for row in rows} == {("truth", 1.0, None)}


@pytest.mark.parametrize(
    ("answer_id", "truth"),
    [
        ("", 1),
        ("x" * 201, 1),
        ("d1:1", float("nan")),
        ("d1:1", "\ud800"),
        ("d1:1", {1: 2}),
        ("d1:1", object()),
        (7, 1),
    ],
)
def test_a_truth_that_no_batch_could_carry_is_refused(
    spool: Spool, answer_id: Any, truth: Any
) -> None:
    with pytest.raises(InvalidInput, match="truth must be"):
        asyncio.run(make_recorder(spool).add_truth([tell("d1:1", 1), tell(answer_id, truth)]))
    assert spool.read_rows(1, 9) == []


def test_many_at_once_get_different_ids(spool: Spool) -> None:
    recorder = make_recorder(spool)

    async def ask() -> list[str]:
        raw = np.zeros((1, 4), np.uint8)
        calls = [recorder.record(make_live(), raw, make_answers([0.0]), None) for _ in range(150)]
        return await asyncio.gather(*calls)

    assert sorted(asyncio.run(ask()), key=lambda text: int(text[3:])) == [
        f"d1:{number}" for number in range(1, 151)
    ]
    assert spool.marks.records == 150


@pytest.mark.parametrize(
    ("recipe", "most", "kept"),
    [
        ("full", "full", "answer"),
        ("metadata", "full", "metadata"),
        ("full", "metadata", "metadata"),
        ("metadata", "metadata", "metadata"),
        ("off", "full", None),
        ("full", "off", None),
        ("a word of later", "full", None),
    ],
)
def test_what_is_kept_is_what_recipe_and_operator_both_allow(
    spool: Spool, recipe: str, most: Any, kept: str | None
) -> None:
    recorder = SpoolRecorder("d1", spool, parse_policy("all"), most=most, now=lambda: NOW)
    raw = np.full((2, 2, 2), 7, np.int16)
    live, answers = make_live(records=recipe), make_answers([0.5, 1.5])
    assert asyncio.run(recorder.record(live, raw, answers, np.array([[1.0], [2.0]]))) == "d1:1"
    assert asyncio.run(recorder.record(live, raw, answers, None)) == "d1:3"
    rows = spool.read_rows(1, 9)
    assert {row.kind for row in rows} == ({kept} if kept else set())
    for row in rows:
        assert (row.data == b"", row.times is None or row.sequence < 3) == (kept != "answer", True)
        assert (row.dtype is None, row.shape is None) == (kept != "answer",) * 2
        assert (row.model_id, row.at) == (MODEL, AT)
    said = [row.said for row in rows]
    assert said == (['{"score":0.5}', '{"score":1.5}'] * 2 if kept else [])


def test_a_batch_carries_answers_without_their_inputs(spool: Spool) -> None:
    full = SpoolRecorder("d1", spool, parse_policy("all"), now=lambda: NOW)
    for records, model in (("full", MODEL), ("metadata", "b" * 64), ("full", MODEL)):
        raw = np.arange(4, dtype=np.int16).reshape(1, 2, 2)
        live = make_live(model, records)
        asyncio.run(full.record(live, raw, make_answers([0.5]), None))
    asyncio.run(full.add_truth([tell("d1:2", "7")]))
    rows = spool.read_rows(1, 9)
    signer = make_signer(make_private_pem(), "test")
    batch = make_batch("d1", 1, 4, rows)
    pack_batch(batch, signer)
    assert [record.kind for record in batch.records] == ["answer", "metadata", "answer", "truth"]
    assert (len(batch.inputs), batch.model_id) == (2, MODEL)
    assert batch.records[1].answer == {"score": 0.5}
    assert batch.records[1].model_id == "b" * 64
    alone = make_batch("d1", 2, 2, rows[1:2])
    pack_batch(alone, signer)
    assert (alone.model_id, len(alone.inputs)) == (None, 0)
