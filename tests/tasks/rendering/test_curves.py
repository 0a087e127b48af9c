"""Errors by step and precision over recall are drawn as they were measured."""

import re

import pytest

from tasks.rendering.answers import Breakdown, Confusion, PrecisionRecall, StepErrors
from tasks.rendering.curves import draw_precision_recall, draw_step_errors
from tasks.rendering.render import render_run_page
from tests.tasks.rendering.test_render import Reader, make_page

CURVE = PrecisionRecall(
    positive="Yes <b>",
    base=0.25,
    average_precision=0.8,
    points=((0.5, 1.0), (1.0, 0.25)),
    threshold=0.4321,
    at=(0.5, 1.0),
)


def read_points(picture: str, class_: str) -> list[tuple[float, ...]]:
    (points,) = re.findall(rf'<polyline points="([^"]*)" class="line {class_}"', picture)
    return [tuple(map(float, point.split(","))) for point in points.split()]


def test_the_error_grows_upwards_and_nothing_finite_is_no_picture() -> None:
    errors = StepErrors(lines={"model": (1.0, 2.0, 4.0), "linear": (2.0, 2.0, 2.0)})
    picture = draw_step_errors(errors)
    assert picture is not None
    heights = [y for _, y in read_points(picture, "validation")]
    assert heights == sorted(heights, reverse=True)
    assert len({y for _, y in read_points(picture, "baseline")}) == 1
    assert "3 steps ahead" in picture
    assert draw_step_errors(StepErrors(lines={"model": (float("nan"),)})) is None


def test_the_ring_lies_on_the_curve_and_the_name_stays_text() -> None:
    picture = draw_precision_recall(CURVE)
    assert "<b>" not in picture
    first, last = read_points(picture, "validation")
    ring = re.search(r'<circle cx="([\d.]+)" cy="([\d.]+)"', picture)
    assert ring is not None
    assert tuple(map(float, ring.groups())) == pytest.approx(first, abs=0.1)
    assert last[0] > first[0]
    assert last[1] > first[1]


def test_the_page_says_what_errors_are_and_what_the_threshold_does() -> None:
    page = make_page(
        confusion=Confusion(labels=("No", "Yes"), counts=((2_406, 9), (12, 73))),
        precision_recall=CURVE,
        breakdowns=(
            Breakdown(
                by="site",
                figure="MAE",
                answerers=("model", "linear"),
                rows=(("north", 1_200, (12_345.6, 12_399.0)),),
                more=3,
            ),
        ),
    )
    text = Reader(render_run_page(page)).text
    assert "12 “ Yes ” called “ No ” 14.12 % of 85" in text
    assert "9 “ No ” called “ Yes ” 0.37 % of 2,415" in text
    assert "rows of 0.432 or more" in text
    assert "1 of 4" in text
    assert "12,346" in text
    assert "12,399" in text
