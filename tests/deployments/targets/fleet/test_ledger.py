"""A ledger keeps what was acknowledged, and means over it do not run over the end of a round."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from deployments.targets.fleet.ledger import Answered, Ledger, Sample, Seen, find_mean, find_windows

START = datetime(2026, 11, 28, 7, 0, tzinfo=UTC)


def make_answer(number: int, score: float | None = 1.0, **changes: object) -> Answered:
    fields = {
        "answer_id": f"d1:{number}",
        "device": "d1",
        "round_number": 0,
        "model_id": "a" * 64,
        "predicted": {"label": "3"},
        "sample": Sample(b"body", "text/csv", "3", "row 1"),
        "score": score,
        "at": START + timedelta(seconds=number),
    }
    return Answered(**{**fields, **changes})  # type: ignore[arg-type]


def make_seen(device: str, release: int, model_id: str | None = None) -> Seen:
    return Seen(device, model_id or "abcdef"[release - 1] * 64, release, "current", START)


def test_only_a_change_of_model_is_news() -> None:
    ledger = Ledger()
    news = [
        ledger.see(make_seen(*seen))
        for seen in (("d1", 1), ("d2", 1), ("d1", 1), ("d1", 2), ("d2", 1))
    ]
    assert news == [True, True, False, True, False]
    assert [(seen.device, seen.release) for seen in ledger.seen] == [
        ("d1", 1),
        ("d2", 1),
        ("d1", 2),
    ]


def test_lines_hold_everything() -> None:
    ledger = Ledger([make_answer(1)], {"d1:1": "3"}, [make_seen("d1", 1)])
    lines = [json.loads(line) for line in ledger.to_lines().splitlines()]
    assert [line["kind"] for line in lines] == ["answer", "truth", "seen"]
    assert lines[0]["answer_id"] == "d1:1"
    assert lines[0]["sample"] == {"note": "row 1", "truth": "3"}
    assert lines[0]["at"] == "2026-11-28T07:00:01.000+00:00"


def test_answers_without_a_score_do_not_count() -> None:
    assert find_mean([make_answer(1, 1.0), make_answer(2, 0.0), make_answer(3, None)]) == 0.5
    assert find_mean([make_answer(1, None)]) is None


@pytest.mark.parametrize(
    ("counts", "size", "places"),
    [
        ([4], 2, [1, 3]),
        ([5], 2, [1, 3, 4.5]),  # one of two is half a window
        ([9], 4, [2, 6.5]),  # one of four is not
        ([3, 3], 2, [1, 2.5, 4, 5.5]),  # no window goes over the end of a round
        ([1], 50, [0.5]),
        ([], 5, []),
    ],
)
def test_windows_lie_where_they_should(counts: list[int], size: int, places: list[float]) -> None:
    answers = [
        make_answer(number, round_number=number)
        for number, count in enumerate(counts)
        for _ in range(count)
    ]
    windows = find_windows(answers, [answer.score for answer in answers], size)
    assert [window.place for window in windows] == places


def test_windows_of_one_device_lie_at_places_among_all() -> None:
    answers = [make_answer(number, device=f"d{number % 2}") for number in range(8)]
    scores = [float(number % 2) for number in range(7)]
    windows = find_windows(answers, [*scores, None], 2, "d1")
    assert [(window.place, window.score) for window in windows] == [(2.5, 1), (5.5, 1)]
