"""From data that nobody has described to a promoted model, with no edit: `new`, `check`, `run`."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from flows.checking import check_whole_recipe
from flows.drafting import draft_recipe
from flows.recipe.load import load_recipe
from tests.conftest import SHARED_DATA
from tests.flows.material import call, write_digits
from tests.tasks.drafting.sets import write_sales, write_set


def write_digit_folder(folder: Path) -> Path:
    write_digits(folder)
    return folder


def write_arrays(path: Path) -> Path:
    digits = load_digits()
    np.savez(path, x=digits.images.astype(np.uint8), y=digits.target)
    return path


MADE = {
    "wine": lambda folder: write_set(folder / "wine.csv", "wine", sep=";"),
    "diabetes": lambda folder: write_set(folder / "diabetes.txt", "diabetes", sep="|"),
    "sales": lambda folder: write_sales(folder / "sales.csv"),
    "digits": lambda folder: write_digit_folder(folder / "digits"),
    "arrays": lambda folder: write_arrays(folder / "arrays.npz"),
}
SHARED = ("ai4i2020", "ett", "mnist", "photos-ants-bees", "traffic-pems-single")


def find(name: str, folder: Path) -> Path:
    """Data of a name: made here, or at hand on this machine."""
    if name in MADE:
        return MADE[name](folder)
    if not (SHARED_DATA / name).is_dir():
        pytest.skip(f"{name} is not on this machine")
    return SHARED_DATA / name


@pytest.mark.parametrize(
    "name", [*MADE, *(pytest.param(name, marks=pytest.mark.slow) for name in SHARED)]
)
def test_every_draft_loads_and_passes_its_check(tmp_path, name):
    drafted = draft_recipe(str(find(name, tmp_path)))
    path = tmp_path / "drafted.yaml"
    path.write_text(drafted.text, "utf-8")
    assert load_recipe(str(path)).kind == drafted.draft.kind
    checked = check_whole_recipe(str(path), str(tmp_path / "work"))
    assert checked.faults == []
    assert checked.look.rows > 0
    assert not (tmp_path / "work").exists(), "nothing is written"


@pytest.mark.prefect
@pytest.mark.parametrize(
    "name",
    [
        "wine",
        pytest.param("diabetes", marks=pytest.mark.slow),
        pytest.param("sales", marks=pytest.mark.slow),
        pytest.param("digits", marks=pytest.mark.slow),
    ],
)
def test_what_is_drafted_is_promoted_without_an_edit(
    tmp_path, monkeypatch, prefect_url, dask_scheduler, name
):
    data = find(name, tmp_path)
    monkeypatch.chdir(tmp_path)
    made = call("new", str(data), "--name", name)
    assert made.status == 0, made.messages
    recipe = made.out.splitlines()[-1]
    done = call("run", recipe, "--workspace", "w", "--scheduler", dask_scheduler, "--json")
    assert done.status == 0, done.messages
    clash = call("check", "digits", "--workspace", "w", f"--set=targets={{{name}-edge: {{}}}}")
    assert clash.status == 2
    assert f"targets.{name}-edge" in clash.messages
    assert "name another channel" in clash.messages


def test_new_prints_what_it_guessed_and_keeps_what_is_there(tmp_path, monkeypatch):
    data = find("wine", tmp_path)
    monkeypatch.chdir(tmp_path)
    made = call("new", str(data), "--json")
    fields = json.loads(made.out)
    assert set(fields) == {"recipe", "kind", "guesses"}
    assert Path(fields["recipe"]).read_text("utf-8").startswith("# Drafted")
    assert {frozenset(guess) for guess in fields["guesses"]} == {
        frozenset({"what", "value", "confidence", "why"})
    }
    again = call("new", str(data))
    assert again.status == 2
    assert "must be a new file" in again.messages
    elsewhere = call("new", str(data), "--out", "other.yaml")
    assert elsewhere.out.splitlines()[-1] == "other.yaml"
    assert call("new", "absent.csv").status == 2
    assert call("new", str(data), "--kind", "guessing").status == 2
    assert call("new", str(data), "--option", "anon").status == 2
    assert call("new", str(data), "--name", "Wine 1").status == 2


def test_check_tells_what_stops_a_run_and_writes_nothing(tmp_path, monkeypatch):
    data = find("wine", tmp_path)
    monkeypatch.chdir(tmp_path)
    call("new", str(data), "--name", "wine")
    sound = call("check", "wine.yaml", "--json")
    assert sound.status == 0, sound.messages
    assert json.loads(sound.out)["source_classes"] == {
        "class_0": 59,
        "class_1": 71,
        "class_2": 48,
    }
    page = Path(json.loads(sound.out)["page"]).read_text("utf-8")
    assert "lepton run wine.yaml" in page
    assert tmp_path not in Path(json.loads(sound.out)["page"]).parents
    faults = {
        "data.labels=[class_0, class_1]": "class_2 besides",
        "source.url=absent.csv": "a path that exists",
        "data.numbers=[alcohol, colour]": "the columns colour",
        "data.numbers=[alcohol, ash]": None,
        "gates.raw.min_rows=1000": "fetch more rows",
        "model.network.family=cnn": "be a family for table rows",
    }
    for setting, told in faults.items():
        done = call("check", "wine.yaml", "--no-measure", "--page", "check.html", "--set", setting)
        assert done.status == (2 if told else 0), setting
        assert told is None or told in done.messages, setting
        assert told is None or "What to mend" in Path("check.html").read_text("utf-8")
    call("check", "wine.yaml", "--no-measure", "--page", "check.html", "--set", "train.seed=46321")
    page = Path("check.html").read_text("utf-8")
    assert "--set train.seed=..." in page
    assert "46321" not in page, "a value can be a secret"
    Path("folder").mkdir()
    done = call("check", "wine.yaml", "--no-measure", "--page", "folder")
    assert done.status == 2
    assert "--page (folder) must be a file that can be written" in done.messages
    text = data.read_text().replace("14.23;", "ERR;", 1)
    data.write_text(text)
    assert "got 1 values that are none" in call("check", "wine.yaml").messages
    assert not Path("workspace").exists()
