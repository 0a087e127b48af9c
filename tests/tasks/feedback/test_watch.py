"""The live gate and the drift gate on what came back: alike, unlike, or nobody knows."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import rotate

from gates.specs.live import LiveGate
from storage.base.store import Store
from storage.forms.registry import find_form
from tasks.feedback.champion import Champion
from tasks.feedback.collect import Gathered
from tasks.feedback.decide import Facts, decide
from tasks.feedback.fresh import Fresh, FreshRows
from tasks.feedback.watch import (
    Watched,
    compare_rows,
    describe_live,
    fit_limits,
    gate_live,
    watch_rows,
)
from tests.tasks.feedback.made import (
    DIGITS,
    Made,
    describe_series,
    describe_table,
    make,
    make_windows,
)
from tests.tasks.feedback.test_kinds import ask_table

NOTHING = Gathered(dataset=None, collected=0, misfits=0, findings=())


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("digits"), DIGITS)


def turn(made: Made, degrees: float, count: int = 400) -> np.ndarray[Any, Any]:
    chosen = np.random.default_rng(1).permutation(made.model.raw.rows)[:count]
    images = made.model.raw.read()["image"][chosen, 0].astype(np.float32)
    turned = rotate(images, degrees, axes=(1, 2), reshape=False, order=1)
    return np.clip(np.round(turned), 0, 16).astype(np.uint8)[:, np.newaxis]


def send(made: Made, device: str, inputs: np.ndarray[Any, Any], **more: Any) -> Fresh:
    """What is fresh once a device has sent it."""
    made.device(device).send(inputs, made.model_id, **more)
    made.collect()
    rows = FreshRows(made.version, made.model, made.recipe.data)
    return rows.write(f"{made.recipe.name}-fresh")


def watch(made: Made, fresh: Fresh, gathered: Gathered = NOTHING, **limits: Any) -> Watched:
    gates = made.recipe.gates.model_copy(update={"live": LiveGate(**limits)})
    return watch_rows(Champion(made.model, {}), fresh, gathered, made.recipe.data, gates)


@pytest.mark.parametrize(("degrees", "drift"), [(0, "green"), (35, "red")])
def test_images_like_those_learned_from_and_turned_ones(
    digits: Made, tmp_path: Path, degrees: float, drift: str
) -> None:
    import shutil

    shutil.copytree(digits.store.url, tmp_path / "copy")
    made = Made(Store(tmp_path / "copy"), digits.recipe, digits.model_id)
    watched = watch(made, send(made, "d1", turn(made, degrees)))
    assert (watched.live, watched.drift) == ("green", drift)
    assert (watched.rows, watched.labelled, watched.champion) == (400, 0, made.model_id)
    if drift == "red":
        assert any(each.outcome == "red" and "image." in each.detail for each in watched.findings)


@pytest.mark.parametrize(("change", "drift"), [(0.0, "green"), (1.5, "red")])
def test_a_table(tmp_path: Path, change: float, drift: str) -> None:
    made = make(tmp_path / "workspace", describe_table(tmp_path))
    asked = ask_table(made.model.raw)[:300] + np.array([change, 0, 0])
    assert watch(made, send(made, "d1", asked)).drift == drift


@pytest.mark.parametrize(("change", "drift"), [(0.0, "green"), (1.5, "red")])
def test_a_series(tmp_path: Path, change: float, drift: str) -> None:
    made = make(tmp_path / "workspace", describe_series(tmp_path))
    windows, times = make_windows(480, 300)
    watched = watch(made, send(made, "d1", windows + change, times=times))
    assert watched.drift == drift, watched.findings


def test_rows_of_which_no_model_is_promoted_any_more_are_a_persons_to_judge(
    tmp_path: Path,
) -> None:
    made = make(tmp_path / "workspace", DIGITS)
    made.device().send(turn(made, 0, 120), made.model_id)
    gathered, gates = made.collect(), made.recipe.gates
    arguments = (made.store.url, "digits", gathered, made.recipe.data, gates, ("edge",))
    watched = gate_live.fn(*arguments)
    assert (watched.champion, watched.rows) == (None, 120)
    facts = Facts(False, watched.rows, watched.live, watched.drift, "not asked")
    assert decide(facts, gates.live.min_rows).decision == "ask"


def test_with_few_rows_nothing_is_looked_at(digits: Made) -> None:
    watched = watch(digits, Fresh(None, 99))
    assert (watched.live, watched.drift, watched.rows) == ("not asked", "not asked", 99)


def test_rows_that_break_the_data_section_are_red(tmp_path: Path) -> None:
    made = make(tmp_path / "workspace", DIGITS)
    images = turn(made, 0, 200)
    images[:20] = 99
    fresh = send(made, "d1", images)
    assert (fresh.rows, fresh.unfit) == (200, 20)
    assert fresh.version is not None
    assert fresh.version.rows == 180
    features, _ = find_form(made.recipe.data).find_invalid(fresh.version.read(), made.recipe.data)
    assert not features.any()
    assert watch(made, fresh).live == "red"
    assert watch(made, fresh, max_unfit_fraction=0.2).live == "green"
    # So are batches that do not fit at all.
    whole = send(made, "d2", turn(made, 0, 300))
    many = NOTHING.model_copy(update={"misfits": 100})
    assert watch(made, whole, many, max_unfit_fraction=0.1).live == "red"


@pytest.mark.parametrize(
    ("newest", "live"),
    [(timedelta(hours=1), "green"), (timedelta(days=8), "red"), (timedelta(days=-2), "red")],
)
def test_old_rows_and_rows_from_the_future_are_red(newest: timedelta, live: str) -> None:
    fresh = Fresh(None, 200, 0, 0, datetime.now(UTC) - newest)
    facts = describe_live(fresh, 0, datetime.now(UTC))
    from gates.live import judge_live

    assert judge_live(LiveGate(), facts).passed == (live == "green")


def test_what_nobody_knows_is_red() -> None:
    from gates.live import LiveFacts, judge_live

    facts = LiveFacts(rows=200, unfit=0, age_hours=1, ahead_hours=0)
    assert judge_live(LiveGate(), facts).passed
    for name in ("unfit", "age_hours", "ahead_hours"):
        report = judge_live(LiveGate(), facts.model_copy(update={name: None}))
        assert not report.passed, name
    assert not judge_live(LiveGate(), facts.model_copy(update={"age_hours": np.nan})).passed
    assert not judge_live(LiveGate(), facts.model_copy(update={"rows": 0})).passed


def test_drift_that_cannot_be_computed_is_not_green(tmp_path: Path) -> None:
    made = make(tmp_path / "workspace", DIGITS)
    fresh = send(made, "d1", turn(made, 0, 250))
    champion, data, gates = Champion(made.model, {}), made.recipe.data, made.recipe.gates
    off = gates.model_copy(update={"drift": gates.drift.model_copy(update={"enabled": False})})
    assert compare_rows(champion, fresh, data, off)[0] == "not computed"
    changed = data.model_copy(update={"deduplicate": False})
    assert compare_rows(champion, fresh, changed, gates)[0] == "not computed"
    many = gates.model_copy(
        update={
            "live": LiveGate(min_rows=300),
            "drift": gates.drift.model_copy(update={"min_rows": 300}),
        }
    )
    assert compare_rows(champion, fresh, data, many)[0] == "not computed"
    for path in Path(made.store.url).glob("datasets/digits-raw/manifests/*"):
        path.unlink()
    again = Made(made.store, made.recipe, made.model_id)
    verdict, findings = compare_rows(Champion(again.model, {}), fresh, data, gates)
    assert verdict == "not computed"
    assert findings[0].outcome == "not computed"


def test_labels_and_how_many_rows_there_are_are_no_drift(digits: Made) -> None:
    limits = fit_limits(
        digits.recipe.gates.drift, digits.recipe.data, digits.recipe.gates.live.min_rows
    )
    assert "label" in limits.ignore
    assert limits.min_rows_ratio == 0
    assert limits.min_rows == digits.recipe.gates.live.min_rows
