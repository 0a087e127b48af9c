"""What comes back of a table and of a series is rows like those that were learned from."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flows.recipe.load import load_recipe
from flows.recipe.retraining import derive_overrides
from storage.datasets.version import Version
from storage.pipeline.splits import find_cutoffs
from storage.records.receipts import DatasetRecord
from storage.shards.row_ids import CONTENT_HASH, ROW_ID, count_rows
from storage.sources.joined import JoinedSource
from tasks.feedback.collect import Gathered
from tasks.feedback.cutoffs import NewCutoffs
from tasks.feedback.fresh import FreshRows
from tasks.feedback.joining import Join, describe_join
from tasks.feedback.rows import find_truth_field
from tasks.feedback.truths import write_truth_file
from tests.tasks.feedback.made import (
    HORIZON,
    LOOKBACK,
    Made,
    describe_series,
    describe_table,
    make,
    make_windows,
    promote,
)


def join(made: Made, gathered: Gathered) -> tuple[Join, JoinedSource, Any]:
    """How a retraining would join the rows, and the recipe that it would carry out."""
    recipe, window = made.recipe, made.recipe.model.window
    assert gathered.dataset is not None
    found = describe_join(
        made.store,
        gathered.dataset,
        made.model,
        recipe.data,
        recipe.document["model"],
        window.horizon if window is not None else 1,
    )
    changes = derive_overrides(recipe, made.store.url, gathered.dataset, made.model_id, found)
    derived = load_recipe(recipe, changes)
    assert isinstance(derived.source, JoinedSource)
    return found, derived.source, derived


def ask_table(rows: Version) -> np.ndarray[Any, Any]:
    """Rows of a raw version as a model takes them: two numbers and the place of a colour."""
    found = rows.read()
    codes = [["blue", "red"].index(colour) for colour in found["colour"].tolist()]
    return np.column_stack([found["numbers"], codes]).astype(np.float64)


def test_new_cutoffs_are_utc_whatever_zone_said_those_before() -> None:
    recipe = load_recipe("traffic", {"data.split.time_zone": "Asia/Tokyo"})
    cutoffs = NewCutoffs("2026-01-01T00:00:00", "2026-02-01T00:00:00")
    dataset = DatasetRecord(name="traffic", number=1, digest="a" * 64, manifest="b" * 64, rows={})
    changes = derive_overrides(
        recipe, "/workspace", dataset, "c" * 64, Join({}, cutoffs, is_warm=False)
    )
    split = load_recipe(recipe, changes).data.split
    times = np.array(["2025-01-01", "2026-03-01"], "datetime64[ns]").astype(np.int64)
    found = find_cutoffs(times, split)
    moments = np.array([cutoffs.validation_from, cutoffs.held_out_from], "datetime64[ns]")
    assert [found.validation, found.held_out] == moments.astype(np.int64).astype(float).tolist()


@pytest.mark.parametrize("kind", ["tabular-classification", "tabular-regression"])
def test_a_table_comes_back_as_it_was_asked(tmp_path: Path, kind: str) -> None:
    made = make(tmp_path / "workspace", describe_table(_folder(tmp_path), kind))
    asked = ask_table(made.model.raw)[:150]
    asked[3, 0], asked[4, 2] = np.nan, np.nan
    _, ids = made.device().send(asked, made.model_id)
    write_truth_file(made.store, "serve-1", [(answer_id, "1") for answer_id in ids[:90]])
    gathered = made.collect()
    assert gathered.collected == 150
    back, raw = made.version.read(), made.model.raw.read()
    np.testing.assert_array_equal(np.delete(back["numbers"], 3, 0), raw["numbers"][:150][keep(3)])
    assert back["colour"].tolist()[:3] == raw["colour"].tolist()[:3]
    assert not back["numbers__valid"][3, 0]
    assert not back["colour__valid"][4]
    field = find_truth_field(made.recipe.objective, made.recipe.data).name
    assert field == ("target" if kind == "tabular-regression" else "label")
    assert back[f"{field}__valid"].sum() == 90
    found, source, derived = join(made, gathered)
    assert found == Join({}, None, is_warm=True)
    assert derived.train.start_from.model == made.model_id
    joined = made.collect_raw(source)
    assert joined.rows == 400 + 90
    assert joined.fields == made.model.raw.fields


def keep(without: int) -> np.ndarray[Any, Any]:
    return np.delete(np.arange(150), without)


def test_equal_rows_of_a_table_have_the_hash_that_they_had(tmp_path: Path) -> None:
    made = make(tmp_path / "workspace", describe_table(_folder(tmp_path)))
    made.device().send(ask_table(made.model.raw)[:20], made.model_id)
    made.collect()
    back, raw = made.version.read(fields=(CONTENT_HASH,)), made.model.raw.read()
    np.testing.assert_array_equal(back[CONTENT_HASH], raw[CONTENT_HASH][:20])


def test_a_target_that_is_corrected_moves_no_row_to_the_other_side(tmp_path: Path) -> None:
    document = describe_table(_folder(tmp_path), "tabular-regression")
    made = make(tmp_path / "workspace", document)
    device = made.device()
    device.send(ask_table(made.model.raw)[:20], made.model_id)
    hashes = []
    for truth in ("1.5", "2.5"):
        device.tell(("d1:1", truth))
        gathered = made.collect()
        joined = made.collect_raw(join(made, gathered)[1])
        rows = joined.read()
        place = rows[ROW_ID].tolist().index(int(made.version.read()[ROW_ID][0]))
        assert rows["target"][place] == float(truth)
        hashes.append(rows[CONTENT_HASH][place].tolist())
    assert hashes[0] == hashes[1]


def test_rows_that_a_model_learned_from_are_not_fresh(tmp_path: Path) -> None:
    made = make(tmp_path / "workspace", describe_table(_folder(tmp_path)))
    device, asked = made.device(), ask_table(made.model.raw)
    _, ids = device.send(asked[:50], made.model_id)
    write_truth_file(made.store, "serve-1", [(answer_id, "1") for answer_id in ids[:30]])
    gathered = made.collect()
    assert FreshRows(made.version, made.model, made.recipe.data).count() == 50
    _, source, derived = join(made, gathered)
    later = Made(made.store, made.recipe, "d" * 64)
    promote(later, made.collect_raw(source), derived)
    device.send(asked[50:60], made.model_id)
    made.collect()
    fresh = FreshRows(made.version, later.model, made.recipe.data)
    # Those without a truth were not learned from.
    assert fresh.count() == 20 + 10
    written = fresh.write("table-fresh")
    assert (written.rows, written.labelled, written.unfit) == (30, 0, 0)
    assert written.version == fresh.write("table-fresh").version


def test_overlapping_windows_are_each_moment_once(tmp_path: Path) -> None:
    made = make(tmp_path / "workspace", describe_series(_folder(tmp_path)))
    device = made.device()
    for first in (470, 475, 480, 481):
        windows, times = make_windows(first, 5)
        device.send(windows, made.model_id, times=times)
    gathered = made.collect()
    rows = made.version.read()
    hours = list(range(470, 490 + 1))
    assert gathered.collected == count_rows(rows) == len(hours)
    starts = (rows["time"] - rows["time"][0]) // (3600 * 10**9)
    assert starts.tolist() == list(range(len(hours)))
    raw = made.model.raw.read()
    assert set(rows["series_id"].tolist()) == set(raw["series_id"].tolist())
    np.testing.assert_array_equal(rows["numbers"][:10], raw["numbers"][470:480])
    # More of it, of which some is known.
    windows, times = make_windows(484, 10)
    device.send(windows, made.model_id, times=times)
    assert made.collect().collected == 484 + 10 + LOOKBACK - 1 - 491


def test_what_was_known_of_steps_to_come_is_no_row_until_they_have_come(tmp_path: Path) -> None:
    described = describe_series(_folder(tmp_path))
    described["model"]["window"] |= {"known": ["cosine"], "lead": 1}
    made = make(tmp_path / "workspace", described)
    ahead = 1 + HORIZON
    pasts, times = make_windows(480, 4 + ahead)
    later = np.stack([pasts[place + 1 : place + 1 + ahead, -1] for place in range(4)])
    later[..., 0] = np.nan  # the sine, which nobody knows
    hours = times[:4, -1:] + 3600 * (1 + np.arange(ahead))
    asked = np.concatenate([pasts[:4], later], axis=1)
    made.device().send(asked, made.model_id, times=np.concatenate([times[:4], hours], axis=1))
    assert made.collect().collected == LOOKBACK + 3
    rows = made.version.read()
    np.testing.assert_array_equal(rows["numbers"][:LOOKBACK], pasts[0])
    assert rows["numbers__valid"].all()


def test_a_moment_that_is_told_again_otherwise_stays_as_it_came_first(tmp_path: Path) -> None:
    made = make(tmp_path / "workspace", describe_series(_folder(tmp_path)))
    device = made.device()
    windows, times = make_windows(480, 3)
    device.send(windows, made.model_id, times=times)
    device.send(windows + 1, made.model_id, times=times)
    gathered = made.collect()
    np.testing.assert_array_equal(made.version.read()["numbers"][0], windows[0, 0])
    assert any(each.name == "moments told again" for each in gathered.findings)


def test_windows_without_times_do_not_fit(tmp_path: Path) -> None:
    made = make(tmp_path / "workspace", describe_series(_folder(tmp_path)))
    made.device().send(make_windows(480, 3)[0], made.model_id)
    gathered = made.collect()
    assert (gathered.dataset, gathered.misfits) == (None, 3)


def test_of_a_series_the_last_fresh_rows_are_held_out(tmp_path: Path) -> None:
    made = make(tmp_path / "workspace", describe_series(_folder(tmp_path)))
    windows, times = make_windows(470, 100)
    made.device().send(windows, made.model_id, times=times)
    gathered = made.collect()
    fresh = FreshRows(made.version, made.model, made.recipe.data)
    last = 470 + 99 + LOOKBACK - 1
    assert fresh.count() == last - 479
    found, source, derived = join(made, gathered)
    raw = made.collect_raw(source)
    # The rows that both have, are there once.
    assert raw.rows == last + 1
    assert len(np.unique(raw.read()["time"])) == raw.rows
    assert found.cutoffs is not None
    split = derived.data.split
    assert (split.held_out, split.end) == (None, None)
    later = Made(made.store, derived, "e" * 64)
    promote(later, raw, derived)
    held = later.model.prepared.read("held_out")["time"]
    learned = made.model.raw.read()["time"]
    assert held.min() > learned.max()
    assert len(held) == pytest.approx(fresh.count() / 2, abs=1)
    assert held.max() == raw.read()["time"].max()
    assert later.model.prepared.splits["validation"] >= 2 * HORIZON
    # And the next time round the first source still ends where it did.
    assert FreshRows(made.version, later.model, derived.data).count() == 0
    windows, times = make_windows(570, 30)
    made.device("d2").send(windows, later.model_id, times=times)
    again = join(later, made.collect())
    assert again[0].after == found.after


def _folder(path: Path) -> Path:
    folder = path / "data"
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    "spoil",
    [
        lambda asked: asked[:, :2],
        lambda asked: asked.astype(np.int64),
        lambda asked: asked + np.array([0, 0, 7]),
        lambda asked: asked + np.array([0, 0, 0.5]),
        lambda asked: asked - np.array([0, 0, 2]),
        lambda asked: np.where(np.arange(3) == 2, np.inf, asked),
    ],
)
def test_samples_that_no_model_here_takes_stop_nobody(tmp_path: Path, spoil: Any) -> None:
    made = make(tmp_path / "workspace", describe_table(_folder(tmp_path)))
    asked = ask_table(made.model.raw)[:10]
    made.device("bad").send(np.ascontiguousarray(spoil(asked)), made.model_id)
    made.device().send(asked, made.model_id)
    gathered = made.collect()
    assert (gathered.collected, gathered.misfits) == (10, 10)


def test_times_that_are_none_stop_nobody(tmp_path: Path) -> None:
    made = make(tmp_path / "workspace", describe_series(_folder(tmp_path)))
    windows, times = make_windows(480, 4)
    bad = times.copy()
    bad[0, 0], bad[1, 1], bad[2, 2] = np.nan, np.inf, 1e300
    made.device("bad").send(windows, made.model_id, times=bad)
    made.device("short").send(windows, made.model_id, times=np.ascontiguousarray(times[:, 1:]))
    gathered = made.collect()
    assert gathered.misfits == 4
    assert gathered.collected == 4 + LOOKBACK - 1 - 1  # the first hour was told once


def test_infinite_numbers_are_never_learned_from(tmp_path: Path) -> None:
    made = make(tmp_path / "workspace", describe_table(_folder(tmp_path)))
    asked = ask_table(made.model.raw)[:20]
    asked[7, 0] = np.inf
    _, ids = made.device().send(asked, made.model_id)
    write_truth_file(made.store, "serve-1", [(answer_id, "1") for answer_id in ids])
    gathered = made.collect()
    fresh = FreshRows(made.version, made.model, made.recipe.data).write("table-fresh")
    assert (fresh.rows, fresh.unfit, fresh.labelled) == (20, 1, 19)
    assert made.collect_raw(join(made, gathered)[1]).rows == 400 + 19
