"""Artifacts on the page: how well they answer over how long they take, and what is said of each."""

import re
from typing import Any

from storage.base.figures import Figure
from storage.records.receipts import ArtifactRecord, ClassRecord
from tasks.rendering.candidates import list_class_costs, list_lost, show_worst_slice
from tasks.rendering.tradeoff import draw_tradeoff, draw_tradeoffs
from tests.tasks.rendering.material import make_artifact

LADDER = {
    "fp32": (0.98, 1.0),
    "fp16": (0.98, 1.02),
    "int8": (0.979, 0.8),
    "distilled": (0.975, 0.2),
}


def make_ladder(**changes: Any) -> list[ArtifactRecord]:
    return [
        make_artifact(name, accuracy=score, latency_ms_p50=latency_ms).model_copy(
            update={"chosen_for": ("edge",) if name == "distilled" else (), **changes}
        )
        for name, (score, latency_ms) in LADDER.items()
    ]


def make_cost(name: str, latency_ms: float, **changes: Any) -> ClassRecord:
    figures = (Figure(name="latency_ms_p50", value=latency_ms, unit="ms", direction="lower"),)
    return ClassRecord(name=name, threads=1, figures=figures, **changes)


def test_each_artifact_is_a_dot_with_its_name_and_none_covers_another() -> None:
    chart = str(draw_tradeoff(make_ladder()))
    dots = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)" r="([\d.]+)" class="dot (\w+)"', chart)
    assert [look for *_, look in dots] == ["train", "train", "train", "validation"]
    covered = [(float(x) - 5, float(x) + 5, float(y) + 4) for x, y, *_ in dots]
    written = re.findall(
        r'<text x="([\d.]+)" y="([\d.]+)"[^>]*"(start|end)">(fp32|fp16|int8|distilled)<', chart
    )
    assert {name for *_, name in written} == set(LADDER)
    # fp32 and fp16 lie on each other, but for two hundredths of a millisecond.
    for x, y, anchor, name in written:
        start = float(x) - (7 * len(name) if anchor == "end" else 0)
        box = (start, start + 7 * len(name), float(y))
        for other in covered:
            apart = box[1] <= other[0] or box[0] >= other[1] or abs(box[2] - other[2]) >= 12
            assert apart, name
        covered.append(box)
    # Left is fast, up is good.
    fast, slow = float(dots[3][0]), float(dots[0][0])
    assert fast < slow
    assert float(dots[3][1]) > float(dots[0][1])
    assert "distilled 97.50 % in 200 µs" in chart


def test_a_chart_needs_two_artifacts_with_both_figures() -> None:
    assert draw_tradeoffs(make_ladder()[:1]) == []
    blind = make_artifact("int8", latency_ms_p50=1.0)
    assert draw_tradeoffs([make_ladder()[0], blind]) == []
    assert draw_tradeoffs([]) == []


def test_a_chart_is_of_the_rows_of_one_split() -> None:
    blind = make_artifact("int4_weights", validation_accuracy=0.5, latency_ms_p50=0.1)
    (chart,) = map(str, draw_tradeoffs([*make_ladder(), blind]))
    assert "int4_weights" not in chart
    # Of receipts made before, what was chosen alone answered held-out rows.
    chosen = make_artifact("int8", accuracy=0.9, validation_accuracy=0.97, latency_ms_p50=0.2)
    (chart,) = map(str, draw_tradeoffs([chosen, blind]))
    assert "int8 97.00 % in 200 µs" in chart
    assert "int4_weights 50.00 %" in chart


def test_each_class_of_devices_has_a_chart_of_its_own_times() -> None:
    classes = (make_cost("camera", 8.0, slowdown=8.0, faults=("p99 is above",)),)
    ladder = make_ladder(classes=classes)
    here, camera = map(str, draw_tradeoffs(ladder))
    assert "on this machine" in here
    assert "on camera" in camera
    assert "fp32 98.00 % in 8 ms" in camera
    rows = list_class_costs(ladder)
    assert [row.artifact for row in rows] == list(LADDER)
    assert {row.told_by for row in rows} == {"measured here, times 8, declared"}
    assert rows[0].faults == ("p99 is above",)
    measured = make_artifact("int8").model_copy(
        update={"classes": (make_cost("camera", 3.0, slowdown=None, device="cam-1"),)}
    )
    assert list_class_costs([measured])[0].told_by == "measured on cam-1"


def test_each_channel_says_why_it_did_not_get_an_artifact() -> None:
    (fp32, *_) = make_ladder(passed_over={"edge": ("distilled meets all demands",)})
    assert list_lost(fp32) == ("not for edge: distilled meets all demands",)
    # Receipts made before hold a note alone.
    assert list_lost(make_artifact("int8", note="not for edge: slow")) == ("not for edge: slow",)
    assert list_lost(make_artifact("int8")) == ()
    lost = make_artifact("int8", worst_slice_drop=0.021)
    assert "2.10 % lost at worst, of class 7" in show_worst_slice(
        lost.model_copy(update={"worst_slice": "class 7"})
    )
