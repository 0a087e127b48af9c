"""Series of which a class, a number or the life that is left is asked: each draft is what a person
would write, loads, and asks no more than the rows can show.
"""

import numpy as np
import pytest

from flows.drafting import draft_recipe
from flows.recipe.load import load_recipe
from flows.recipe.model import Recipe
from storage.forms.columns import SERIES_ID, TIME
from storage.shards.row_ids import LABEL
from storage.sources.base import Part
from tasks.drafting.guesses import DraftError, Notes
from tasks.drafting.lookback import choose_lookback
from tasks.drafting.looking import look_and_draft

ACTIVITIES = 3


def make_activity(people=12, each=16, steps=24, seed=0):
    """Windows of a sensor, still or moving at two rates; every person at a pace of their own."""
    draws = np.random.default_rng(seed)
    values, answers, whose = [], [], []
    for person in range(people):
        pace = draws.uniform(0.9, 1.1)
        for turn in range(each):
            activity = turn % ACTIVITIES
            waves = np.sin(
                activity * pace * np.arange(steps)[:, None] + draws.uniform(0, 6, (1, 2))
            )
            values.append(waves * bool(activity) + draws.normal(0, 0.2, (steps, 2)))
            answers.append(activity)
            whose.append(person)
    return np.array(values, np.float32), np.array(answers), np.array(whose)


def write_engines(path, engines=24, noise=0.1, wears=True):
    """Rows that run to failure: two sensors drift with wear, one stands still."""
    draws = np.random.default_rng(0)
    lines = ["unit,cycle,heat,speed,idle"]
    for unit in range(engines):
        life = int(draws.integers(50, 90))
        for cycle in range(1, life + 1):
            worn = (cycle / life) ** 2 * wears
            heat, speed = 500 + 20 * worn + draws.normal(0, noise), 90 - 5 * worn
            speed += draws.normal(0, noise)
            lines.append(f"{unit},{cycle},{heat:.3f},{speed:.3f},7")
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def write_shifts(path, days=40, hours=24):
    """Hours of a plant whose days are of two sorts."""
    draws = np.random.default_rng(1)
    lines = ["time,day,load,temperature,sort"]
    for day in range(days):
        sort = ("calm", "busy")[day % 2]
        for hour in range(hours):
            moment = np.datetime64("2024-01-01T00") + day % 7 * 24 + hour
            load = draws.normal(10 + 8 * (sort == "busy") * np.sin(hour / 4), 1)
            lines.append(f"{moment},d{day},{load:.3f},{draws.normal(20, 3):.2f},{sort}")
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def load(tmp_path, url, **given):
    """The draft, and the recipe that its text is."""
    drafted = draft_recipe(url, **given)
    path = tmp_path / "drafted.yaml"
    path.write_text(drafted.text, "utf-8")
    return drafted.draft, load_recipe(str(path))


def test_windows_of_arrays_are_told_apart_by_person(tmp_path):
    values, answers, whose = make_activity()
    np.savez(tmp_path / "activity.npz", x=values, y=answers, subject=whose)
    draft, recipe = load(tmp_path, str(tmp_path / "activity.npz"))
    assert recipe.kind == "series-classification"
    assert draft.document["source"]["train"] == ["x", "y", "subject"]
    assert recipe.data.split.by == "group"
    assert recipe.data.split.field == "subject"
    assert recipe.model.window.lookback == 24
    assert 0.5 < recipe.gates.model.min_accuracy < 1


@pytest.mark.parametrize("names", [("7", "3", "5"), ("walking", "lying", "running")])
def test_answers_to_windows_are_named_as_they_are(tmp_path, names):
    values, answers, whose = make_activity()
    told = np.array(names)[answers]
    told = told.astype(np.int64) if names[0].isdigit() else told
    np.savez(tmp_path / "activity.npz", x=values, y=told, subject=whose.astype(str))
    _, recipe = load(tmp_path, str(tmp_path / "activity.npz"))
    assert recipe.data.labels == tuple(sorted(names))
    (part,) = recipe.source.parts(1 << 30, recipe.data)
    found = recipe.source.read(part, recipe.data)["label"].reshape(len(values), -1)
    np.testing.assert_array_equal(np.array(sorted(names))[found[:, 0]], np.array(names)[answers])
    assert 0.5 < recipe.gates.model.min_accuracy < 1


def test_arrays_that_say_what_is_held_out_are_left_as_they_are(tmp_path):
    values, answers, _ = make_activity()
    parts = {"train": slice(0, 140), "test": slice(140, None)}
    for split, rows in parts.items():
        np.save(tmp_path / f"x_{split}.npy", values[rows])
        np.save(tmp_path / f"y_{split}.npy", answers[rows])
    _, recipe = load(tmp_path, str(tmp_path), kind="series-classification")
    assert recipe.data.split.by == "source"
    assert recipe.source.held_out == ("x_test", "y_test")


def test_a_number_of_a_window_is_predicted(tmp_path):
    values, _, _ = make_activity()
    np.savez(tmp_path / "level.npz", x=values, y=values.mean(axis=(1, 2)))
    _, recipe = load(tmp_path, str(tmp_path / "level.npz"))
    assert recipe.kind == "series-regression"
    assert recipe.data.split.by == "entity"
    assert recipe.gates.model.max_mae > 0


def test_windows_without_an_answer_teach_nothing_and_stop_nothing(tmp_path):
    values, _, _ = make_activity()
    answers = values.mean(axis=(1, 2))
    answers[::10] = np.nan
    np.savez(tmp_path / "level.npz", x=values, y=answers)
    _, recipe = load(tmp_path, str(tmp_path / "level.npz"))
    assert recipe.kind == "series-regression"
    assert recipe.gates.model.max_mae > 0


def test_texts_are_classes_however_few_windows_each_has(tmp_path):
    values, answers, _ = make_activity(people=4, each=15)
    texts = np.array([f"{turn % 5}/{answer}" for turn, answer in enumerate(answers)])
    np.savez(tmp_path / "few.npz", x=values, y=texts)
    assert len(np.unique(texts)) > len(texts) // 5
    assert look_and_draft(str(tmp_path / "few.npz")).kind == "series-classification"
    with pytest.raises(DraftError, match="must hold numbers to be predicted; got texts"):
        look_and_draft(str(tmp_path / "few.npz"), kind="series-regression")


@pytest.mark.parametrize(
    ("x", "y"), [((60, 24, 2), (60, 2)), ((60, 24, 2), (50,)), ((60, 4), (60, 2)), ((60,), (60,))]
)
def test_arrays_that_do_not_belong_together_are_refused(tmp_path, x, y):
    draws = np.random.default_rng(0)
    np.savez(tmp_path / "odd.npz", x=draws.normal(size=x), y=draws.normal(size=y))
    with pytest.raises(DraftError, match="must hold one value for each row of odd"):
        look_and_draft(str(tmp_path / "odd.npz"))


@pytest.mark.parametrize(
    ("shape", "dtype", "kind"),
    [
        ((60, 28, 28), np.uint8, "image-classification"),
        ((60, 8, 8, 3), np.uint8, "image-classification"),
    ],
)
def test_pictures_stay_pictures(tmp_path, shape, dtype, kind):
    draws = np.random.default_rng(0)
    np.savez(tmp_path / "p.npz", x=draws.integers(0, 255, shape).astype(dtype), y=np.arange(60) % 2)
    assert look_and_draft(str(tmp_path / "p.npz")).kind == kind


def test_columns_before_steps_get_the_remedy(tmp_path):
    values, answers, _ = make_activity(steps=64)
    np.savez(tmp_path / "turned.npz", x=values.transpose(0, 2, 1), y=answers)
    with pytest.raises(DraftError, match=r"np\.transpose\(x, \(0, 2, 1\)\)"):
        look_and_draft(str(tmp_path / "turned.npz"))


@pytest.mark.parametrize("given", [{}, {"target": "cycle"}, {"kind": "series-regression"}])
def test_rows_that_run_to_failure_ask_for_what_remains(tmp_path, given):
    draft, recipe = load(tmp_path, write_engines(tmp_path / "engines.csv"), **given)
    data = recipe.data
    assert recipe.kind == "series-regression"
    assert (data.entity, data.time, data.numbers) == ("unit", "cycle", ("heat", "speed"))
    assert data.remaining.remaining == "cycle"
    assert 20 < data.remaining.cap < 90
    assert data.split.by == "entity"
    # The quick race errs by far less than the mean of lives would.
    assert recipe.gates.model.max_mae < data.remaining.cap / 4
    assert any(guess.what == "data.target" for guess in draft.guesses)


def test_lives_are_found_where_columns_have_no_names(tmp_path):
    path = write_engines(tmp_path / "engines.csv")
    lines = (tmp_path / "engines.csv").read_text().splitlines()[1:]
    (tmp_path / "engines.csv").write_text("\n".join(line.replace(",", " ") for line in lines))
    _, recipe = load(tmp_path, path)
    assert recipe.data.remaining.remaining == "column_2"
    assert recipe.data.entity == "column_1"


def test_rows_of_a_plan_without_names_are_no_lives(tmp_path):
    draws = np.random.default_rng(0)
    lines = [f"{unit} {n} {draws.normal():.4f}" for unit in range(12) for n in range(1, 41)]
    (tmp_path / "plan.txt").write_text("\n".join(lines))
    assert "remaining" not in str(look_and_draft(str(tmp_path / "plan.txt")).document["data"])


def test_lives_that_nothing_tells_of_are_told_to_stop(tmp_path):
    draft = look_and_draft(write_engines(tmp_path / "engines.csv", wears=False))
    said = [guess.why for guess in draft.guesses if guess.what == "gates.model"]
    assert any("the gate will stop the model" in why for why in said)


def test_entities_of_one_class_each_are_told_apart(tmp_path):
    _, recipe = load(tmp_path, write_shifts(tmp_path / "shifts.csv"), target="sort")
    assert recipe.kind == "series-classification"
    assert (recipe.data.entity, recipe.data.label) == ("day", "sort")
    assert recipe.data.labels == ("busy", "calm")
    assert recipe.model.window.lookback == 24


def test_files_in_folders_of_classes_are_told_apart_by_their_rows(tmp_path):
    draws = np.random.default_rng(0)
    for folder, rate in (("worn", 0.9), ("new", 0.0)):
        (tmp_path / "pumps" / folder).mkdir(parents=True)
        for number in range(6):
            noise = draws.normal(size=1200)
            values = noise + rate * np.concatenate([[0], noise[:-1]])
            lines = "\n".join(["vibration", *(f"{value:.4f}" for value in values)])
            (tmp_path / "pumps" / folder / f"{folder}_{number}.csv").write_text(lines)
    _, recipe = load(tmp_path, str(tmp_path / "pumps"), target="folder")
    assert recipe.kind == "series-classification"
    assert (recipe.data.entity, recipe.data.label) == ("file", "folder")
    assert recipe.data.labels == ("new", "worn")
    assert recipe.data.split.by == "entity"


def test_a_table_with_a_count_and_an_answer_stays_a_table(tmp_path):
    """Trials of people, numbered: their answer is asked, not how many trials are left."""
    draws = np.random.default_rng(0)
    lines = ["person,run,speed,label"]
    for person in range(20):
        for run in range(1, 21):
            speed = draws.normal(run % 2 * 3, 1)
            lines.append(f"{person},{run},{speed:.3f},{('slow', 'fast')[run % 2]}")
    (tmp_path / "trials.csv").write_text("\n".join(lines) + "\n")
    assert look_and_draft(str(tmp_path / "trials.csv")).kind == "tabular-classification"


def test_folders_of_classes_with_equal_file_names_are_told_apart_by_folder_and_file(tmp_path):
    """Two folders of six runs, called alike in both, are twelve entities of one class each."""
    draw, steps = np.random.default_rng(0), np.arange(240)
    for state in ("good", "worn"):
        (tmp_path / "runs" / state).mkdir(parents=True)
        for run in range(6):
            wave = np.sin(0.3 * steps) + (state == "worn") * 0.8 * np.sin(1.3 * steps)
            lines = ["x"] + [f"{value:.4f}" for value in wave + draw.normal(0, 0.2, len(steps))]
            (tmp_path / "runs" / state / f"run{run}.csv").write_text("\n".join(lines))
    draft = look_and_draft(str(tmp_path / "runs"), "folder")
    data = draft.document["data"]
    assert draft.kind == "series-classification"
    assert draft.document["source"]["path_columns"] == "{folder}/{file}.csv"
    assert data["entity"] == "folder/file"
    assert data["labels"] == ["good", "worn"]
    assert data["split"]["by"] == "entity"
    # Twelve whole runs are too few windows: they are cut.
    assert 16 <= draft.document["model"]["window"]["lookback"] < 240
    recipe = Recipe.model_validate(draft.document)
    parts = recipe.source.scan(recipe.data, 1 << 20)
    rows = [
        recipe.source.decode(part, recipe.data).rows for part in parts if isinstance(part, Part)
    ]
    assert len({int(ids) for each in rows for ids in np.unique(each["series_id"])}) == 12


@pytest.mark.parametrize(("steps", "lookback", "why"), [(20, 20, "whole"), (240, 60, "a part of")])
def test_few_entities_of_one_class_are_cut_where_they_are_long_and_what_was_done_is_told(
    steps, lookback, why
):
    entities = np.repeat(np.arange(8), steps)
    times = np.tile(np.arange(steps), 8)
    notes = Notes()
    rows = {SERIES_ID: entities, TIME: times, LABEL: entities % 2}
    assert choose_lookback(rows, notes) == lookback
    assert notes.guesses[-1].why.startswith(why)
