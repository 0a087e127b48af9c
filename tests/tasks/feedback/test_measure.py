"""The champion's figure on fresh rows: when it is certainly worse, and when nobody can say."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.targets.run.runtime import Answers
from lightning_modules.specs.metrics import compute_accuracy, compute_mae
from lightning_modules.specs.samples import ImageSample
from storage.base.figures import Figure
from tasks.data.collect import describe_version
from tasks.feedback.champion import Champion
from tasks.feedback.collect import Gathered
from tasks.feedback.fresh import FreshRows
from tasks.feedback.intervals import FEWEST_BLOCKS, bootstrap_interval
from tasks.feedback.measure import Examiner, answer_batches, compare_figures
from tasks.feedback.truths import write_truth_file
from tasks.feedback.watch import Watched
from tasks.objectives.sheets import AnswerSheet
from tests.tasks.feedback.made import (
    DIGITS,
    HORIZON,
    LOOKBACK,
    Made,
    describe_series,
    describe_table,
    draw_wave,
    make,
    make_windows,
)
from tests.tasks.feedback.test_kinds import ask_table


def show(value: float | None, interval: tuple[float, float] | None, **more: Any) -> Figure:
    return Figure(name="accuracy", value=value, interval=interval, **more)


@pytest.mark.parametrize(
    ("held_out", "fresh", "verdict"),
    [
        (show(0.9, (0.88, 0.92)), show(0.7, (0.6, 0.8)), "worse"),
        (show(0.9, (0.88, 0.92)), show(0.85, (0.8, 0.9)), "not worse"),
        (show(0.9, (0.88, 0.92)), show(0.99, (0.95, 1)), "not worse"),
        (show(1, (1, 1)), show(1, (1, 1)), "not worse"),
        (show(0.9, None), show(0.7, (0.6, 0.8)), "not computed"),
        (show(0.9, (0.88, 0.92)), show(0.7, None), "not computed"),
        (show(None, (0.88, 0.92)), show(0.7, (0.6, 0.8)), "not computed"),
        (show(0.9, (0.88, float("nan"))), show(0.7, (0.6, 0.8)), "not computed"),
        (show(0.9, (0.8, 1), direction="none"), show(0.1, (0, 0.2)), "not computed"),
        (show(0.2, (0.1, 0.3), direction="lower"), show(0.5, (0.4, 0.6)), "worse"),
        (show(0.2, (0.1, 0.3), direction="lower"), show(0.1, (0.05, 0.09)), "not worse"),
        (show(0.2, (0.1, 0.3), direction="lower"), show(0.3, (0.2, 0.4)), "not worse"),
    ],
)
def test_worse_is_what_lies_apart_on_the_worse_side(
    held_out: Figure, fresh: Figure, verdict: str
) -> None:
    assert compare_figures(held_out, fresh) == verdict


def make_sheet(rows: int, right: float = 0.8, seed: int = 0) -> AnswerSheet:
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, 3, rows)
    answered = np.where(generator.random(rows) < right, truth, (truth + 1) % 3)
    return AnswerSheet(np.arange(rows, dtype=np.uint64), truth, np.eye(3)[answered])


def measure_accuracy(values: Any, truth: Any) -> float:
    return compute_accuracy(values, truth, ImageSample(shape=(1, 2, 2), classes=values.shape[1]))


def test_an_interval_is_that_of_theory_and_the_same_every_time() -> None:
    sheet = make_sheet(1000)
    found = bootstrap_interval(sheet, measure_accuracy)
    assert found == bootstrap_interval(sheet, measure_accuracy)
    assert found is not None
    share = float((sheet.values.argmax(1) == sheet.truth).mean())
    wide = 1.96 * np.sqrt(share * (1 - share) / 1000)
    assert found == pytest.approx((share - wide, share + wide), abs=0.006)


def test_rows_that_hang_together_say_less() -> None:
    generator = np.random.default_rng(3)
    errors = np.repeat(generator.normal(size=50), 20)
    sheet = AnswerSheet(np.arange(1000, dtype=np.uint64), np.zeros(1000), errors)

    def measure(values: Any, truth: Any) -> float:
        return compute_mae(values, truth, None)  # type: ignore[arg-type]

    alone, together = (bootstrap_interval(sheet, measure, block) for block in (1, 20))
    assert alone is not None
    assert together is not None
    assert together[1] - together[0] > 2 * (alone[1] - alone[0])


def test_where_chance_cannot_be_told_there_is_no_interval() -> None:
    assert bootstrap_interval(make_sheet(FEWEST_BLOCKS - 1), measure_accuracy) is None
    assert bootstrap_interval(make_sheet(10 * FEWEST_BLOCKS - 1), measure_accuracy, 10) is None
    assert bootstrap_interval(make_sheet(100), lambda *_: float("nan")) is None


class Fixed:
    """Answers by a rule, in place of an artifact."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def predict(self, raw: np.ndarray[Any, Any]) -> Answers:
        return _Values(self.answer(raw))


class _Values(Answers):
    def __init__(self, values: np.ndarray[Any, Any]) -> None:
        object.__setattr__(self, "found", values)

    @property
    def values(self) -> np.ndarray[Any, Any]:
        return self.__dict__["found"]


def examine(made: Made, gathered: Gathered) -> Examiner:
    fresh = FreshRows(made.version, made.model, made.recipe.data).write("some-fresh")
    assert fresh.version is not None
    watched = Watched(fresh=describe_version(fresh.version), live="green")
    champion = Champion(made.model, {})
    return Examiner(made.store, champion, gathered, watched, made.recipe.data)


def test_a_table_is_asked_as_it_came_and_only_where_the_truth_is_known(tmp_path: Path) -> None:
    made = make(tmp_path / "workspace", describe_table(tmp_path))
    asked = ask_table(made.model.raw)
    _, ids = made.device().send(asked[:100], made.model_id)
    truths = [(answer_id, str(int(row[0] > 0))) for answer_id, row in zip(ids, asked, strict=False)]
    write_truth_file(made.store, "serve-1", truths[:60])
    found = list(examine(made, made.collect()).read_fresh())
    samples = np.concatenate([batch.sample for batch in found])
    np.testing.assert_array_equal(samples, asked[:60])
    right = Fixed(lambda raw: np.eye(2)[(raw[:, 0] > 0).astype(int)])
    assert (
        answer_batches(found, right).values.argmax(1) == answer_batches(found, right).truth
    ).all()


def test_images_are_measured_in_the_figure_of_their_kind(tmp_path: Path) -> None:
    made = make(tmp_path / "workspace", DIGITS)
    rows = made.model.raw.read()
    _, ids = made.device().send(rows["image"][:200], made.model_id)
    told = [(ids[place], str(rows["label"][place])) for place in range(200)]
    write_truth_file(made.store, "serve-1", told)
    examiner = examine(made, made.collect())
    batches = list(examiner.read_fresh())
    always = Fixed(lambda raw: np.eye(10)[np.full(len(raw), 3)])
    figure = examiner.describe(answer_batches(batches, always), "fresh")
    assert (figure.name, figure.direction) == ("accuracy", "higher")
    assert figure.value == pytest.approx((rows["label"][:200] == 3).mean())
    assert figure.interval is not None
    held_out = examiner.describe(examiner.answer_held_out(always), "held_out")
    assert held_out.value == pytest.approx(0.1, abs=0.05)


def test_the_truth_of_a_forecast_is_in_later_windows(tmp_path: Path) -> None:
    made = make(tmp_path / "workspace", describe_series(tmp_path))
    windows, times = make_windows(470, 60)
    made.device().send(windows, made.model_id, times=times)
    examiner = examine(made, made.collect())
    batches = list(examiner.read_fresh())
    samples = np.concatenate([batch.sample for batch in batches])
    truths = np.concatenate([batch.truth for batch in batches])
    # Asked for are the fresh hours alone, of which the last windows do not know all.
    first, last = 480, 470 + 59 + LOOKBACK - 1
    assert len(samples) == last - first + 1 - HORIZON + 1
    hours = first + np.arange(len(samples))[:, np.newaxis] + np.arange(HORIZON)
    np.testing.assert_allclose(truths, draw_wave(hours), atol=1e-9)
    before = first - LOOKBACK + np.arange(LOOKBACK)
    np.testing.assert_allclose(samples[0], draw_wave(before), atol=1e-9)
    last_value = Fixed(lambda raw: np.repeat(raw[:, -1:, :], HORIZON, axis=1))
    figure = examiner.describe(answer_batches(batches, last_value), "fresh")
    assert figure.direction == "lower"
    assert figure.value is not None
    assert figure.interval is not None
    assert figure.interval[0] < figure.value < figure.interval[1]
