"""A made-up simulation for tests of its page: three devices, two releases."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from tasks.rendering.fleet_page import (
    AskedPart,
    DecisionPart,
    DevicePart,
    EvidencePart,
    FleetPage,
    HeldPart,
)
from tasks.rendering.page_data import Metric
from tasks.rendering.pictures import encode_picture
from tasks.rendering.timeline import Line, Mark, Span, Spot, Timeline

START = datetime(2026, 11, 28, 7, 0, tzinfo=UTC)
NAMES = ("upright", "turned by 20°", "turned by 40°", "turned by 40°")
LEVELS = (0.98, 0.77, 0.71, 0.94)
FIRST = (0.98, 0.77, 0.36, 0.35)
EACH = 180


def make_line(levels: tuple[float, ...], seed: int, spread: float = 0.02, **changes: Any) -> Line:
    noise = np.random.default_rng(seed)
    spots = tuple(
        Spot(
            round_number=number,
            place=number * EACH + 18 + 36 * part,
            value=float(min(1.0, level + spread * noise.standard_normal())),
        )
        for number, level in enumerate(levels)
        for part in range(5)
    )
    return Line(**{"name": "all devices", "spots": spots, **changes})


def make_marks(*, who: tuple[str, ...]) -> tuple[Mark, ...]:
    return (
        Mark(place=0, words=("release 1",), strong=True, taken=who),
        Mark(place=EACH, words=("nothing",)),
        Mark(place=2 * EACH, words=("retrain", "release 2"), strong=True, taken=who),
        Mark(place=3 * EACH, words=("retrain", "release 3"), strong=True, taken=who),
    )


def make_timeline(**changes: Any) -> Timeline:
    devices = ("fleet-1", "fleet-2", "fleet-3")
    base = {
        "name": "Accuracy",
        "total": 4 * EACH,
        "lines": (
            make_line(
                FIRST, 1, name="first model", meaning="first model, had it stayed", look="baseline"
            ),
            make_line(LEVELS, 2),
        ),
        "spans": tuple(
            Span(name=name, start=EACH * number, end=EACH * (number + 1))
            for number, name in enumerate(NAMES)
        ),
        "marks": make_marks(who=tuple(f"{device} at 07:01:12" for device in devices)),
    }
    return Timeline(**{**base, **changes})


def make_device(number: int) -> DevicePart:
    lines = (
        make_line(LEVELS, 2, look="past", named=False),
        make_line(LEVELS, 10 + number, 0.05, name=f"fleet-{number}"),
    )
    return DevicePart(
        name=f"fleet-{number}",
        answers=240,
        truths=210,
        releases=(1, 2, 3),
        timeline=make_timeline(lines=lines),
    )


def make_decision(number: int, decision: str = "retrain", **changes: Any) -> DecisionPart:
    base = {
        "after": NAMES[number],
        "at": START + timedelta(seconds=60 * number),
        "decision": decision,
        "evidence": (
            EvidencePart(name="decision", outcome="noted", detail="significantly worse"),
            EvidencePart(name="drift", outcome="red", detail="image: 0.4 must be below 0.2"),
            EvidencePart(name="figure", outcome="red", detail="accuracy 76.7 %, was 98.2 %"),
            EvidencePart(name="schema", outcome="green", detail="9 checks passed"),
        ),
        "collected": EACH,
        "took_s": 41.3,
    }
    return DecisionPart(**{**base, **changes})


def make_fleet_page(**changes: Any) -> FleetPage:
    picture = encode_picture(np.eye(8, dtype=np.uint8)[np.newaxis] * 16, (0, 16))
    base = {
        "name": "fleet-9f3a1c",
        "about": "Digits of scikit-learn that no model had learned from when it answered.",
        "started_at": START,
        "metrics": (
            Metric(name="newest model on the last round", value=0.94, kind="rate"),
            Metric(name="first model on the same", value=0.35, kind="rate"),
            Metric(name="answers", value=720, kind="count", note="each arrived once"),
            Metric(name="releases", value=3, kind="count"),
        ),
        "timeline": make_timeline(),
        "devices": tuple(make_device(number) for number in (1, 2, 3)),
        "decisions": (
            make_decision(0, "nothing"),
            make_decision(1, release=2, receipt="ab" * 32),
            make_decision(2, release=3, receipt="cd" * 32),
        ),
        "invariants": (
            HeldPart(name="each acknowledged answer arrived once", held=True, detail="720, 720"),
            HeldPart(name="spools are empty at the end", held=True, detail="3 devices"),
        ),
        "asked": tuple(
            AskedPart(picture=picture, answer=str(n % 3), truth="1", note=NAMES[n // 6])
            for n in range(24)
        ),
    }
    return FleetPage(**{**base, **changes})
