"""Each invariant is false as soon as the one thing that it is about went wrong."""

import pytest

from deployments.targets.fleet.invariants import (
    Arrived,
    check_answers,
    check_channel,
    check_collected,
    check_gain,
    check_models,
    check_spools,
    check_truths,
)
from deployments.targets.fleet.ledger import Ledger
from tests.deployments.targets.fleet.test_ledger import make_answer, make_seen

ANSWERS = [make_answer(number) for number in (1, 2, 3)]
IDS = [answer.answer_id for answer in ANSWERS]


@pytest.mark.parametrize(
    ("arrived", "held", "word"),
    [
        (Arrived(IDS), True, "3 answers acknowledged, 3 arrived"),
        (Arrived(IDS[:2]), False, "1 lost: d1:3"),
        (Arrived([*IDS, "d1:2"]), False, "1 arrived twice or more: d1:2"),
        (Arrived([*IDS, "d1:9"]), False, "1 arrived without an acknowledgement: d1:9"),
        (Arrived(IDS, refused=["x"]), False, "1 of batches refused: x"),
        (Arrived([f"d9:{n}" for n in range(9)]), False, "d9:2, ..."),
    ],
)
def test_answers_arrive_once(arrived: Arrived, held: bool, word: str) -> None:
    found = check_answers(Ledger(ANSWERS), arrived)
    assert found.held is held
    assert word in found.detail


def test_as_many_may_arrive_besides_as_had_no_reply() -> None:
    arrived = Arrived([*IDS, "d1:9"])
    assert check_answers(Ledger(ANSWERS, unanswered=1), arrived).held
    assert not check_answers(Ledger(ANSWERS, unanswered=1), Arrived([*IDS, "d1:8", "d1:9"])).held


def test_an_answer_id_is_given_once_and_silence_proves_nothing() -> None:
    assert not check_answers(Ledger([*ANSWERS, ANSWERS[0]]), Arrived(IDS)).held
    assert not check_answers(Ledger(), Arrived()).held


@pytest.mark.parametrize(
    ("arrived", "held", "word"),
    [
        ([("d1:1", "3")], True, "1 truths acknowledged, 1 arrived"),
        ([], False, "lost: d1:1"),
        ([("d1:1", "8")], False, "changed on the way: d1:1"),
        ([("d1:1", "3")] * 2, False, "arrived twice or more: d1:1"),
    ],
)
def test_truths_arrive_unchanged(arrived: list[tuple[str, str]], held: bool, word: str) -> None:
    found = check_truths(Ledger(ANSWERS, {"d1:1": "3"}), Arrived(IDS, arrived))
    assert found.held is held
    assert word in found.detail


@pytest.mark.parametrize(
    ("rows", "held", "word"),
    [
        ([1, 2, 3], True, "3 answers, 3 rows"),
        ([1, 2, 3, 4], True, "4 rows"),  # rows of other devices are nobody's fault
        ([1, 2], False, "1 are not in it"),
        ([1, 2, 3, 3], False, "1 are in it twice or more"),
    ],
)
def test_collected_answers_are_rows(rows: list[int], held: bool, word: str) -> None:
    found = check_collected(ANSWERS, rows, dict(zip(IDS, (1, 2, 3), strict=True)))
    assert found.held is held
    assert word in found.detail


def test_models_without_a_receipt_are_found_in_answers_and_in_health() -> None:
    good, bad = "a" * 64, "b" * 64
    assert check_models(Ledger(ANSWERS), {good}).held
    assert not check_models(Ledger(ANSWERS), {bad}).held
    seen = Ledger(list(ANSWERS), seen=[make_seen("d1", 2, bad)])
    assert not check_models(seen, {good}).held
    assert bad[:12] in check_models(seen, {good}).detail
    assert not check_models(Ledger(), {good}).held


@pytest.mark.parametrize(
    ("taken", "held", "word"),
    [
        ([("d1", 1), ("d1", 2), ("d2", 2)], True, "releases 1, 2 on 2 devices"),
        ([("d1", 1), ("d1", 2), ("d2", 1)], False, "d2 ended at 1"),
        ([("d1", 2), ("d1", 1), ("d2", 2)], False, "d1 went back: 2, 1"),
        ([("d1", 2)], False, "d2 ended at nothing"),
        ([("d1", 3), ("d2", 2)], False, "d1 had release 3, which is no such release"),
        ([("d1", 2, "f" * 64), ("d2", 2)], False, "d1 had release 2, which is no such release"),
    ],
)
def test_devices_follow_the_channel(taken: list[tuple[str, int]], held: bool, word: str) -> None:
    ledger = Ledger(seen=[make_seen(*seen) for seen in taken])
    found = check_channel(ledger, {1: "a" * 64, 2: "b" * 64}, ["d1", "d2"])
    assert found.held is held
    assert word in found.detail


def test_a_gain_takes_another_model_and_better_answers() -> None:
    newest = [make_answer(n, model_id="b" * 64) for n in range(10)]
    half = [float(n % 2) for n in range(10)]
    found = check_gain(newest, half, "a" * 64)
    assert found.held
    assert found.detail == "of the last 10 samples the first model has 0.5, the newest 1"
    assert not check_gain(newest, [1.0] * 10, "a" * 64).held
    assert not check_gain(newest, half, "b" * 64).held
    assert "still answers" in check_gain(newest, half, "b" * 64).detail
    assert not check_gain(newest, [None] * 10, "a" * 64).held
    assert not check_gain([], [], "a" * 64).held


def test_spools_must_be_known_to_be_empty() -> None:
    assert check_spools({"d1": 0}, {"d1": 0}).held
    assert "d1 has 4" in check_spools({"d1": 4}, {}).detail
    assert not check_spools({"d1": None}, {}).held
    assert "d1 dropped 2" in check_spools({"d1": 0}, {"d1": 2}).detail
    assert not check_spools({}, {}).held
