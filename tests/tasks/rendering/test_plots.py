"""Pictures of answers that are numbers: what is drawn is what was answered, and hostile names stay
text.
"""

import re

import pytest

from lightning_modules.specs.samples import ImageSample
from storage.base.figures import Figure
from storage.records.receipts import FileRecord
from tasks.rendering.answers import Comparison, Forecast, Scatter
from tasks.rendering.comparison import compare_baselines
from tasks.rendering.markdown import (
    render_candidates_markdown,
    render_comparison_markdown,
    render_training_markdown,
)
from tasks.rendering.plots import draw_forecast, draw_scatter
from tasks.runtime.model_outcomes import Trained
from tasks.runtime.predictions import Predictions
from tests.tasks.rendering.material import make_artifact, make_point

NAN = float("nan")


def test_a_forecast_has_a_line_each_for_truth_answer_and_baseline() -> None:
    lines = {"truth": (1.0, 2.0, 3.0), "answer": (1.0, 2.5, NAN), "persistence": (1.0, 1.0, 1.0)}
    picture = draw_forecast(Forecast(title="<b>OT</b>", lines=lines))
    assert picture is not None
    assert "<b>" not in picture
    found = dict(re.findall(r'<polyline points="([^"]*)" class="line (\w+)"', picture))
    assert {name: len(points.split()) for points, name in found.items()} == {
        "truth": 3,
        "validation": 2,
        "baseline": 3,
    }
    # The largest value stands highest.
    heights = {
        name: [float(point.split(",")[1]) for point in points.split()]
        for points, name in found.items()
    }
    assert heights["truth"] == sorted(heights["truth"], reverse=True)
    assert len(set(heights["baseline"])) == 1


def test_the_past_of_a_forecast_ends_where_the_steps_ahead_begin() -> None:
    lines = {"truth": (3.0, 4.0), "answer": (3.0, 9.0)}
    picture = draw_forecast(Forecast(title="OT", lines=lines, past=(1.0, NAN, 2.0, 2.5)))
    assert picture is not None
    found = dict(re.findall(r'<polyline points="([^"]*)" class="line (\w+)"', picture))
    across = {
        name: [float(point.split(",")[0]) for point in points.split()]
        for points, name in found.items()
    }
    assert len(across["past"]) == 3
    step = across["truth"][1] - across["truth"][0]
    assert across["truth"][0] - across["past"][-1] == pytest.approx(step, abs=0.2)
    assert f'x1="{across["past"][-1]:.0f}' in picture
    assert "4 steps back" in picture
    assert "2 steps ahead" in picture


@pytest.mark.parametrize(
    ("figure", "name"),
    [
        ("mae", "MAE"),
        ("macro_f1", "macro F1"),
        ("auroc", "ROC AUC"),
        ("average_precision", "average precision"),
    ],
)
def test_figures_have_the_names_that_people_write(figure: str, name: str) -> None:
    figures = (Figure(name=figure, value=0.5), Figure(name="loss", value=1.0))
    assert compare_baselines(figures, {}).metrics == (name,)


def test_a_scatter_puts_right_answers_on_the_line() -> None:
    picture = draw_scatter(
        Scatter(title="flow", points=((0.0, 0.0), (10.0, 10.0), (5.0, 9.0), (1.0, NAN)))
    )
    assert picture is not None
    dots = [
        (float(x), float(y)) for x, y in re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', picture)
    ]
    assert len(dots) == 3
    (low_x, low_y), (high_x, high_y), (x, y) = dots
    slope = (high_y - low_y) / (high_x - low_x)
    assert y < low_y + slope * (x - low_x)  # Too large an answer lies above the line.


@pytest.mark.parametrize("points", [(), ((NAN, 1.0),)])
def test_nothing_finite_is_no_picture(points: tuple[tuple[float, float], ...]) -> None:
    assert draw_scatter(Scatter(title="flow", points=points)) is None
    assert draw_forecast(Forecast(title="OT", lines={"truth": (NAN,)})) is None


def test_prefect_is_told_errors_as_errors_and_baselines_beside() -> None:
    comparison = Comparison(
        metrics=("mae",), rows=(("model", (0.39,)), ("linear", (None,))), unit="hours"
    )
    page = render_comparison_markdown(comparison)
    assert "| model | 0\\.39 |" in page
    assert "Errors in hours" in page
    point = make_point(0, train_loss=1.0, validation_loss=2.0, validation_error=0.5)
    assert "validation error" in render_training_markdown([point], 0)
    candidate = make_artifact("int8", size_bytes=10, validation_mae=6.5, mae=6.6, agreement=0.99)
    assert "| 6\\.6 |" in render_candidates_markdown([candidate])


def test_people_read_one_number_of_the_epoch_that_was_kept() -> None:
    """The last of three epochs is the third: in the line behind it, on the page and in the
    artifact.
    """
    record = FileRecord(sha256="0" * 64, size_bytes=1)
    answers = Predictions(file="p", rows=1, figures={}, **record.model_dump())
    trained = Trained(
        directory="d",
        checkpoint=record,
        sample=ImageSample(shape=(1, 2, 2), classes=2),
        parameters=1,
        epochs=3,
        best_epoch=2,
        training_s=1,
        start_s=1,
        validation_figures=(Figure(name="accuracy", value=1.0),),
        validation_predictions=answers,
        held_out_predictions=answers,
        curve=tuple(make_point(epoch) for epoch in range(3)),
    )
    assert "3 epochs, best 3" in trained.facts
    assert [point.epoch for point in trained.numbered_curve] == [1, 2, 3]
    assert "| 3 \\(kept\\) |" in trained.render_markdown("train", "")


def test_a_long_line_is_drawn_whole() -> None:
    steps = 720
    lines = {"truth": tuple(map(float, range(steps))), "answer": (1.0,) * steps}
    picture = draw_forecast(Forecast(title="x", lines=lines, past=(0.0,) * steps))
    assert picture is not None
    found = re.findall(r'<polyline points="([^"]*)"', picture)
    assert [len(points.split()) for points in found] == [steps] * 3
    assert "…" not in picture


def test_dates_stand_beneath_and_the_band_lies_around_the_answer() -> None:
    lines = {"truth": (3.0, 4.0, 5.0), "answer": (3.0, 4.0, 5.0)}
    moments = ("2018-01-04 16:00", "2018-01-04 18:00", "2018-01-04 21:00")
    picture = draw_forecast(
        Forecast(
            title="OT",
            lines=lines,
            past=(1.0, 2.0, 2.5),
            moments=moments,
            band=((2.0, 3.0, 4.0), (4.0, 5.0, 6.0)),
        )
    )
    assert picture is not None
    assert all(moment in picture for moment in (moments[0], moments[2]))
    assert "steps ahead" not in picture
    (band,) = re.findall(r'<polygon points="([^"]*)"', picture)
    corners = [tuple(map(float, corner.split(","))) for corner in band.split()]
    (answer,) = re.findall(r'<polyline points="([^"]*)" class="line validation"', picture)
    for place, point in enumerate(answer.split()):
        x, y = map(float, point.split(","))
        above, below = corners[place], corners[-1 - place]
        assert above[0] == below[0] == x
        assert above[1] < y < below[1]
