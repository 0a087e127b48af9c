"""Where a model errs is told by the part that rows belong to, and along the threshold."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve

from lightning_modules.specs.samples import ImageSample, NumberColumn, RowSample
from lightning_modules.specs.window import WindowSpec
from tasks.objectives.base import HeldOut
from tasks.objectives.breakdown import trace_precision
from tasks.objectives.forecast import show_time
from tasks.objectives.registry import find_objective
from tasks.objectives.sheets import AnswerSheet

HOUR = 3600 * 10**9
TWO = ImageSample(shape=(1, 2, 2), classes=2, positive=1)
STEPS = RowSample(
    objective="forecast",
    numbers=(NumberColumn(name="load [MW]", std=10.0), NumberColumn(name="heat", std=1.0)),
    forecast=2,
    window=WindowSpec(lookback=3, horizon=2),
)


class Rows:
    """Windows whose past counts up."""

    def read(self, split: str) -> Any:
        row_id = np.arange(40, dtype=np.uint64)
        past = np.tile(np.arange(3.0)[None, :, None], (40, 1, 2))
        yield type("Batch", (), {"row_id": row_id, "sample": past})


def make_forecast(bands: bool = False, **changes: Any) -> HeldOut[Any]:
    rng = np.random.default_rng(3)
    truth = rng.normal(size=(40, 2, 2))
    values = truth + np.array([[1.0, 0.2], [3.0, 0.4]])  # steps down, columns across
    values[7] += 50  # the worst window
    sheet = AnswerSheet(np.arange(40, dtype=np.uint64), truth, values, {"linear": truth + 2.0})
    if bands:
        around = {0.1: values - 2.0, 0.4: values - 0.1, 0.9: values + 0.1}
        sheet = replace(sheet, bands=around)
    rows: Any = Rows()
    return HeldOut(sheet, STEPS, (), "linear", rows=rows, draw=lambda ids: {}, **changes)


def test_errors_of_a_forecast_are_told_by_column_step_and_entity() -> None:
    entities = np.array(["north"] * 20 + ["south"] * 20)
    moments = np.arange(40) * HOUR + 1_500_000_000 * 10**9
    held_out = make_forecast(slices={"site": entities}, moments=moments, step_ns=HOUR)
    parts = find_objective(STEPS).pick_parts(held_out)
    assert parts.steps is not None
    model, linear = parts.steps.lines["model"], parts.steps.lines["linear"]
    assert model[1] > model[0]
    assert linear[0] == pytest.approx(linear[1])
    by_column, by_site = parts.breakdowns
    # Beside its own spread `heat` is the worse one, though its figure is the smaller.
    assert [name for name, _, _ in by_column.rows] == ["heat", "load [MW]"]
    errors = np.abs(held_out.sheet.values - held_out.sheet.truth)
    assert {name: values[0] for name, _, values in by_column.rows} == pytest.approx(
        {"heat": errors[..., 1].mean(), "load [MW]": errors[..., 0].mean()}
    )
    assert [(name, count) for name, count, _ in by_site.rows] == [("north", 20), ("south", 20)]


def test_a_window_without_a_truth_counts_nowhere_and_warns_of_nothing() -> None:
    held_out = make_forecast(slices={"site": np.array(["north"] * 40)})
    held_out.sheet.truth[7] = np.nan  # no step of the worst window is known
    held_out.sheet.truth[8, :, 1] = np.nan  # and of another one no step of a column
    held_out.sheet.values[8] += 20
    parts = find_objective(STEPS).pick_parts(held_out)
    _, by_site = parts.breakdowns
    errors = np.abs(held_out.sheet.values - held_out.sheet.truth) / np.array([10.0, 1.0])
    ((name, count, (model, _)),) = by_site.rows
    assert (name, count) == ("north", 40)
    known = [window[~np.isnan(window)].mean() for place, window in enumerate(errors) if place != 7]
    assert model == pytest.approx(np.mean(known))
    assert parts.forecasts[0].title == "load [MW], worst window"


def test_the_worst_and_the_best_windows_have_their_dates() -> None:
    moments = np.arange(40) * HOUR + 1_500_000_000 * 10**9
    worst, *_, best = (
        find_objective(STEPS).pick_parts(make_forecast(moments=moments, step_ns=HOUR)).forecasts
    )
    assert "worst window" in worst.title
    assert "best window" in best.title
    now = np.datetime64(int(moments[7]), "ns")
    wanted = (now - np.timedelta64(2, "h"), now, now + np.timedelta64(2, "h"))
    assert worst.moments == tuple(
        str(moment.astype("datetime64[m]")).replace("T", " ") for moment in wanted
    )
    assert find_objective(STEPS).pick_parts(make_forecast()).forecasts[0].moments == ()


def test_a_lead_lies_between_the_last_step_seen_and_the_last_one_ahead() -> None:
    moments = np.arange(40) * HOUR
    held_out = make_forecast(moments=moments, step_ns=HOUR)
    window = WindowSpec(lookback=3, horizon=2, lead=4)
    late = replace(held_out, sample=STEPS.model_copy(update={"window": window}))
    worst, *_ = find_objective(STEPS).pick_parts(late).forecasts
    assert worst.moments == ("1970-01-01 05:00", "1970-01-01 07:00", "1970-01-01 13:00")


def test_the_band_is_that_of_the_outermost_quantiles_and_its_coverage_is_counted() -> None:
    held_out = make_forecast(bands=True)
    parts = find_objective(STEPS).pick_parts(held_out)
    (low, high), answer = parts.forecasts[0].band, parts.forecasts[0].lines["answer"]
    np.testing.assert_allclose(np.array(answer) - low, 2.0)
    np.testing.assert_allclose(np.array(high) - answer, 0.1)
    assert parts.coverage is not None
    assert parts.coverage.meant == pytest.approx(0.8)
    # Answers lie 0.2 to 3 above the truth: all but those of 3 and of the spoilt window are covered.
    assert parts.coverage.seen == pytest.approx(39 * 3 / 160)
    assert find_objective(STEPS).pick_parts(make_forecast()).coverage is None
    assert find_objective(STEPS).pick_parts(make_forecast()).forecasts[0].band == ()


def test_a_time_is_as_exact_as_its_steps() -> None:
    moment = int(np.datetime64("2024-02-29T07:30:01", "ns").astype(np.int64))
    assert show_time(moment, 24 * HOUR) == "2024-02-29"
    assert show_time(7 * HOUR, HOUR, counted=True) == "7"
    assert show_time(moment, HOUR) == "2024-02-29 07:30"
    assert show_time(moment, 10**9) == "2024-02-29 07:30:01.000"


def test_accuracy_is_told_by_part_the_worst_first() -> None:
    truth = np.zeros(30, dtype=np.int64)
    values = np.tile([0.9, 0.1], (30, 1))
    values[:8] = [0.2, 0.8]
    sheet = AnswerSheet(np.arange(30, dtype=np.uint64), truth, values)
    kinds = np.array(["a"] * 10 + ["b"] * 18 + ["few"] * 2)
    held_out: Any = HeldOut(
        sheet, TWO, ("no", "yes"), None, rows=Any, draw=lambda ids: {}, slices={"kind": kinds}
    )
    (found,) = find_objective(TWO).pick_parts(held_out).breakdowns
    assert found.rows == (("a", 10, (0.2,)), ("b", 18, (1.0,)))
    assert found.more == 1


def test_the_curve_is_scikit_learns_and_the_ring_lies_at_the_answers() -> None:
    rng = np.random.default_rng(5)
    truth = (rng.random(150) < 0.2).astype(np.int64)
    score = np.clip(0.3 * truth + rng.random(150).round(2) * 0.7, 0, 1)
    sheet = AnswerSheet(
        np.arange(150, dtype=np.uint64), truth, np.stack([1 - score, score], axis=1)
    )
    called = score > 0.6
    curve = trace_precision(sheet, TWO, "yes", called)
    assert curve is not None
    precision, recall, _ = precision_recall_curve(truth, score)
    wanted = set(zip(recall[:-1].tolist(), precision[:-1].tolist(), strict=True))
    assert set(curve.points) == wanted
    assert curve.average_precision == pytest.approx(average_precision_score(truth, score))
    assert curve.threshold == score[called].min()
    assert curve.at in curve.points
    nobody = trace_precision(sheet, TWO, "yes", np.zeros(150, np.bool_))
    assert nobody is not None
    assert nobody.at is None
    assert (
        trace_precision(AnswerSheet(sheet.row_id, truth * 0, sheet.values), TWO, "y", None) is None
    )
