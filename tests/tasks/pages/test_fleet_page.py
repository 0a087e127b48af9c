"""The page of a fleet is filled from what was acknowledged, also where it ended early."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from deployments.targets.fleet.drift import Round, turn_picture
from deployments.targets.fleet.invariants import Invariant
from deployments.targets.fleet.ledger import Answered, Ledger, Sample
from deployments.targets.fleet.plan import Decided, Evidence, Outcome, Plan, Taken, score_label
from storage.base.store import Store
from tasks.pages.fleet_page import fill_fleet_page, write_fleet_page

START = datetime(2026, 11, 28, 7, 0, tzinfo=UTC)
PNG = turn_picture(np.eye(8, dtype=np.uint8) * 16, 20, 16)
MODELS = ("a" * 64, "b" * 64)


def make_plan(folder: Path) -> Plan:
    samples = tuple((Sample(PNG, "image/png", "3"),) * 10 for _ in range(2))
    return Plan(
        workspace=str(folder),
        recipe="r",
        channel="c",
        devices=("d1", "d2"),
        rounds=(Round("upright", samples), Round("turned by 40°", samples)),
        score=score_label,
        folder=folder,
        entry="",
    )


def make_outcome() -> Outcome:
    """Two rounds of twenty: the first half right with model a, the second all right with b."""
    answers = [
        Answered(
            answer_id=f"d{place % 2 + 1}:{place}",
            device=f"d{place % 2 + 1}",
            round_number=place // 20,
            model_id=MODELS[place // 20],
            predicted={"label": "3" if place >= 20 or place % 4 < 2 else "8"},
            sample=Sample(PNG, "image/png", "3"),
            score=1.0 if place >= 20 or place % 4 < 2 else 0.0,
            at=START + timedelta(seconds=place),
        )
        for place in range(40)
    ]
    taken = [
        Taken(device, release, MODELS[release - 1], place, START)
        for release, place in ((1, 0), (2, 20))
        for device in ("d1", "d2")
    ]
    decided = Decided(
        0, "retrain", (Evidence.parse("why"),), 20, "/w/receipts/abc.json", 2, 20, START, 9.0
    )
    return Outcome(
        START,
        Ledger(answers, {"d1:0": "3"}),
        releases=dict(enumerate(MODELS, start=1)),
        decided=[decided],
        taken=taken,
        first_scores=[0.25] * 40,
        invariants=[Invariant("i", held=True, detail="d")],
    )


def test_lines_marks_and_figures_are_those_of_the_ledger(tmp_path: Path) -> None:
    page = fill_fleet_page(
        make_plan(tmp_path), make_outcome(), name="n", about="a", figure="accuracy"
    )
    first, every = page.timeline.lines
    assert {spot.value for spot in first.spots} == {0.25}
    assert [spot.value for spot in every.spots if spot.round_number == 1] == [1.0] * 5
    assert [(span.start, span.end) for span in page.timeline.spans] == [(0, 20), (20, 40)]
    assert [(mark.place, mark.words) for mark in page.timeline.marks] == [
        (0, ("release 1",)),
        (20, ("retrain", "release 2")),
    ]
    assert [len(mark.taken) for mark in page.timeline.marks] == [2, 2]
    assert [metric.value for metric in page.metrics] == [1.0, 0.25, 40, 2]
    (decision,) = page.decisions
    assert (decision.release, decision.receipt) == (2, "abc")
    assert [(part.answers, part.truths, part.releases) for part in page.devices] == [
        (20, 1, (1, 2)),
        (20, 0, (1, 2)),
    ]
    assert [sample.correct for sample in page.asked[7:]] == [True] * 7


def test_findings_of_one_sort_are_told_once(tmp_path: Path) -> None:
    told = [
        {"name": "drift", "outcome": "noted", "detail": "looked at"},
        {"name": "drift", "outcome": "red", "detail": "far"},
        {"name": "figure", "outcome": "green", "detail": "good"},
    ]
    outcome = make_outcome()
    outcome.decided[0] = replace(
        outcome.decided[0], evidence=tuple(map(Evidence.parse, told)), release=1
    )
    page = fill_fleet_page(make_plan(tmp_path), outcome, name="n", about="a", figure="accuracy")
    (decision,) = page.decisions
    assert decision.release is None
    assert [(part.name, part.outcome, part.detail) for part in decision.evidence] == [
        ("drift", "red", "far (and 1 more)"),
        ("figure", "green", "good"),
    ]


def test_a_simulation_that_ended_early_has_a_page(tmp_path: Path) -> None:
    page = fill_fleet_page(
        make_plan(tmp_path), Outcome(START), name="n", about="a", figure="accuracy"
    )
    assert page.timeline.total == 0
    assert not page.decisions


def test_page_and_ledger_lie_beside_each_other(tmp_path: Path) -> None:
    store = Store(tmp_path / "work space")
    address = write_fleet_page(
        store, make_plan(tmp_path), make_outcome(), name="fleet-1", about="a", figure="accuracy"
    )
    assert Path(address).is_file()
    assert len(store.read("reports/fleet-1/ledger.jsonl").splitlines()) == 41
