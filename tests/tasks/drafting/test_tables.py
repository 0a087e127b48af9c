"""Tables that nobody has described: dialect, roles, leaks, limits."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.datasets import load_wine

from flows.recipe.model import Recipe
from tasks.drafting.guesses import DraftError
from tasks.drafting.looking import look_and_draft
from tests.conftest import SHARED_DATA
from tests.tasks.drafting.sets import read_set, write_set, write_table


def find(draft, what, confidence=None):
    """Values of the guesses on a path."""
    return [
        guess.value
        for guess in draft.guesses
        if guess.what == what and confidence in (None, guess.confidence)
    ]


DIALECTS = {
    "comma.csv": {},
    "semicolon.csv": {"sep": ";", "end": "\r\n", "mark": b"\xef\xbb\xbf"},
    "tab.tsv.gz": {"sep": "\t", "encoding": "latin-1"},
    "bar.txt": {"sep": "|", "encoding": "utf-16"},
}


@pytest.mark.parametrize("name", DIALECTS)
def test_one_table_is_the_same_task_in_every_dialect(tmp_path, name):
    names, rows, answers = read_set("wine")
    body = [[*row, f"Güte {text}"] for row, text in zip(rows, answers, strict=True)]
    path = write_table(tmp_path / name, [*names, "Güte"], body, **DIALECTS[name])
    draft = look_and_draft(str(path), "Güte", None, "wine")
    assert draft.kind == "tabular-classification"
    assert draft.document["data"]["numbers"] == names
    assert draft.document["data"]["labels"] == [f"Güte class_{number}" for number in range(3)]
    source = draft.document["source"]
    assert source.get("delimiter", ",") == DIALECTS[name].get("sep", ",")
    assert source.get("encoding", "utf-8") == ("latin-1" if "tsv" in name else "utf-8")


def test_a_file_without_a_header_gets_one(tmp_path):
    _, rows, answers = read_set("iris")
    path = write_table(
        tmp_path / "iris.csv", None, [[*r, a] for r, a in zip(rows, answers, strict=True)]
    )
    draft = look_and_draft(str(path))
    assert draft.document["source"]["header"] == [f"column_{n}" for n in range(1, 6)]
    assert draft.document["data"]["label"] == "column_5"
    assert find(draft, "data.label", "unknown"), "which column is asked for nobody said"


def test_what_stands_for_a_missing_number_is_found(tmp_path):
    names, rows, answers = read_set("diabetes")
    draws = np.random.default_rng(0)
    for row in rows:
        row[2] = "-" if draws.random() < 0.1 else row[2]
        row[4] = "-999" if draws.random() < 0.05 else row[4]
    body = [[*row, text] for row, text in zip(rows, answers, strict=True)]
    path = write_table(tmp_path / "d.csv", [*names, "progression"], body)
    draft = look_and_draft(str(path), "progression")
    assert draft.kind == "tabular-regression"
    assert {"-", "-999"} <= set(draft.document["data"]["missing"])
    assert draft.document["data"]["numbers"] == names


@pytest.mark.parametrize(
    ("marks", "sep"), [((",", ""), ";"), ((",", "."), "\t"), ((".", "'"), ","), ((",", " "), ";")]
)
def test_marks_of_decimals_and_thousands_are_found(tmp_path, marks, sep):
    names, rows, answers = read_set("wine")

    def show(value):
        shown = f"{float(value) * 1000:_.2f}".replace(".", "@").replace("_", marks[1])
        return shown.replace("@", marks[0])

    body = [[*map(show, row), text] for row, text in zip(rows, answers, strict=True)]
    path = write_table(tmp_path / "wine.csv", [*names, "class"], body, sep=sep)
    draft = look_and_draft(str(path))
    source = draft.document["source"]
    assert (source.get("decimal", "."), source.get("thousands", "")) == marks
    assert draft.document["data"]["numbers"] == names
    assert draft.document["data"]["labels"] == [f"class_{number}" for number in range(3)]


def test_a_sign_that_may_be_either_mark_is_told(tmp_path):
    rows = [[f"{n},{n % 7}00", str(n % 2)] for n in range(1, 200)]
    path = write_table(tmp_path / "x.csv", ["weight", "class"], rows, sep=";")
    draft = look_and_draft(str(path))
    assert find(draft, "source.decimal", "unsure") == ["','"]


def test_lines_before_the_table_and_its_units_are_found(tmp_path):
    names, rows, answers = read_set("wine")
    body = [[*row, text] for row, text in zip(rows, answers, strict=True)]
    units = [["mg"] * len(names) + [""]]
    path = write_table(tmp_path / "wine.csv", [*names, "class"], [*units, *body])
    path.write_text("Station,7\n\nby hand\n" + path.read_text())
    draft = look_and_draft(str(path))
    source = draft.document["source"]
    assert (source["skip_rows"], source["units_row"]) == (3, True)
    assert draft.document["data"]["numbers"] == names
    assert len(draft.document["data"]["labels"]) == 3


def test_options_of_the_address_are_written_but_for_secrets(tmp_path):
    rows = [[f"{n % 17}.5", f"{n % 29}.25", "ab"[n % 2]] for n in range(60)]
    path = write_table(tmp_path / "x.csv", ["size", "power", "class"], rows)
    options = {"auto_mkdir": False, "token": "hunter2", "client_kwargs": {"secret": "hunter2"}}
    draft = look_and_draft(f"file://{path}", "class", options=options)
    assert draft.document["source"]["options"] == {"auto_mkdir": False}
    assert find(draft, "source.options", "unknown") == ["without token, client_kwargs"]
    assert "hunter2" not in f"{draft.document} {draft.guesses}"


def test_identifiers_groups_and_leaks_are_no_features(tmp_path):
    draws = np.random.default_rng(0)
    count = 1200
    size = draws.normal(0, 1, count)
    patient = draws.integers(0, 80, count)
    ill = (size + draws.normal(0, 1, count) > 2.2).astype(int)
    columns = {
        "record_id": [f"r{n:05d}" for n in range(count)],
        "patient_id": patient.tolist(),
        "size": size.round(4).tolist(),
        "unit": ["mm"] * count,
        "treated": (ill * (draws.random(count) < 0.5)).tolist(),
        "report": [("benign", "malignant")[n] for n in ill],
        "outcome": [("no", "yes")[n] for n in ill],
    }
    pq.write_table(pa.table(columns), tmp_path / "visits.parquet")
    draft = look_and_draft(str(tmp_path / "visits.parquet"))
    data = draft.document["data"]
    assert data["numbers"] == ["size"]
    assert "texts" not in data
    assert data["metadata"] == ["patient_id"]
    assert data["split"]["by"] == "group"
    left = " ".join(find(draft, "data.numbers"))
    assert all(name in left for name in ("record_id", "unit", "treated", "report"))


@pytest.mark.parametrize("rare", ["aa", "zz"])
def test_a_class_that_nothing_validates_leaves_no_race_by_whatever_name(tmp_path, rare):
    draws = np.random.default_rng(0)
    answers = draws.integers(0, 2, 2000)
    values = draws.normal(size=2000) + 2 * answers
    names = np.array(["mm", "nn"])[answers]
    names[:3] = rare
    lines = [f"{x:.3f},{draws.normal():.3f},{y}" for x, y in zip(values, names, strict=True)]
    (tmp_path / "rare.csv").write_text("\n".join(["x,z,target", *lines]) + "\n")
    draft = look_and_draft(str(tmp_path / "rare.csv"))
    assert draft.document["model"]["network"]["family"] != "auto"


def test_the_parts_of_a_sum_are_suspected(tmp_path):
    draws = np.random.default_rng(0)
    guests, members = draws.poisson(20, 800), draws.poisson(90, 800)
    heat = draws.normal(15, 5, 800).round(2)
    rows = [
        [str(h), str(g), str(m), str(g + m)] for h, g, m in zip(heat, guests, members, strict=True)
    ]
    path = write_table(tmp_path / "rent.csv", ["heat", "guests", "members", "cnt"], rows)
    draft = look_and_draft(str(path))
    assert draft.document["data"]["target"] == "cnt"
    assert draft.document["data"]["numbers"][0] == "heat"
    assert "members" not in draft.document["data"]["numbers"]


def test_ai4i_leaves_out_what_leaks_and_minds_the_rare_class():
    path = SHARED_DATA / "ai4i2020"
    if not path.is_dir():
        pytest.skip("ai4i2020 is not on this machine")
    draft = look_and_draft(str(path))
    data, model = draft.document["data"], draft.document["gates"]["model"]
    assert data["label"] == "Machine_failure"
    assert data["texts"] == ["Type"]
    assert not {"UDI", "Product ID", "TWF", "HDF", "PWF", "OSF"} & set(data["numbers"])
    assert model["min_gain_over_majority"] is None
    assert 0.3 < model["min_average_precision"] < 0.9


def test_rows_unlike_the_others_are_judged_by_a_column_of_two_values(tmp_path):
    names, rows, answers = read_set("cancer")
    pairs = zip(rows, answers, strict=True)
    body = [[*row, text] for n, (row, text) in enumerate(pairs) if text == "benign" or n % 4 == 0]
    path = write_table(tmp_path / "tumours.csv", [*names, "state"], body)
    draft = look_and_draft(str(path), "state", "anomaly-detection")
    assert draft.document["data"]["labels"] == ["benign", "malignant"]
    assert 0.1 < draft.document["gates"]["model"]["min_average_precision"] < 1
    path = write_set(tmp_path / "wine.csv", "wine")
    with pytest.raises(DraftError, match="a column of two values"):
        look_and_draft(str(path), "answer", "anomaly-detection")


@pytest.mark.parametrize(
    ("name", "share"), [("is_anomaly", 0.03), ("Outlier", 0.03), ("anomaly", 0.5)]
)
def test_a_column_of_few_anomalies_asks_for_rows_unlike_the_others(tmp_path, name, share):
    draws = np.random.default_rng(0)
    odd = draws.random(2000) < share
    values = draws.normal(50, 1, 2000) + 12 * odd
    moments = np.datetime64("2024-01-01") + np.arange(2000) * np.timedelta64(5, "m")
    rows = [
        [str(at).replace("T", " "), f"{value:.3f}", str(int(mark))]
        for at, value, mark in zip(moments, values, odd, strict=True)
    ]
    path = write_table(tmp_path / "load.csv", ["timestamp", "value", name], rows)
    draft = look_and_draft(str(path))
    # Half of all rows are no anomalies, whatever they are called.
    assert (draft.kind == "anomaly-detection") == (share < 0.25)
    if draft.kind == "anomaly-detection":
        assert draft.document["data"]["labels"] == ["0", "1"]
        assert draft.document["data"]["numbers"] == ["value"]


def test_a_word_that_is_no_number_is_told_as_unsure(tmp_path):
    rows = [[f"{n % 17}.5", f"{n % 29}.25"] for n in range(300)]
    rows.insert(7, ["mm", "kW"])
    draft = look_and_draft(str(write_table(tmp_path / "u.csv", ["size", "power"], rows)), "power")
    assert find(draft, "data.missing", "unsure") == ["'mm'", "'kW'"]
    rows = [["inf" if n % 50 == 0 else f"{n % 17}.5", f"{n % 29}.25"] for n in range(300)]
    draft = look_and_draft(str(write_table(tmp_path / "i.csv", ["size", "power"], rows)), "power")
    assert find(draft, "data.missing", "unsure") == ["'inf'"]


def test_files_named_after_splits_are_these(tmp_path):
    names, rows, answers = read_set("cancer")
    body = [[*row, text] for row, text in zip(rows, answers, strict=True)]
    write_table(tmp_path / "train.csv", [*names, "class"], body[:400])
    write_table(tmp_path / "test.csv", [*names, "class"], body[400:])
    draft = look_and_draft(str(tmp_path), None, None, "cancer")
    assert draft.document["source"]["splits"] == {"train": "train.csv", "held_out": "test.csv"}
    assert draft.document["data"]["split"]["by"] == "source"


def test_what_is_no_data_is_refused_with_what_can_be_looked_at(tmp_path):
    (tmp_path / "notes.docx").write_bytes(b"PK")
    with pytest.raises(DraftError, match="CSV, Parquet, idx"):
        look_and_draft(str(tmp_path))
    with pytest.raises(DraftError, match=r"absent\.csv"):
        look_and_draft(str(tmp_path / "absent.csv"))
    path = write_set(tmp_path / "iris.csv", "iris")
    with pytest.raises(DraftError, match="must be a column; choose among"):
        look_and_draft(str(path), "colour")


@pytest.mark.parametrize("answers", ["classes", "numbers", "a rare class"])
def test_what_nothing_tells_apart_gets_no_margin_and_says_so(tmp_path, answers):
    draws = np.random.default_rng(3)
    count = 1500
    body = draws.normal(size=(count, 4)).round(4).tolist()
    told = {
        "classes": [("a", "b", "c")[n] for n in draws.integers(0, 3, count)],
        "numbers": draws.normal(50, 9, count).round(3).tolist(),
        "a rare class": [("no", "yes")[n] for n in (draws.random(count) < 0.06).astype(int)],
    }[answers]
    rows = [[*map(str, row), str(text)] for row, text in zip(body, told, strict=True)]
    path = write_table(tmp_path / "noise.csv", ["p", "q", "r", "s", "target"], rows)
    draft = look_and_draft(str(path), "target")
    limits = draft.document["gates"]["model"]
    assert not {"min_skill", "min_skill_lower_bound"} & limits.keys()
    assert limits.get("min_gain_over_majority") in (None, 0.1) or answers == "a rare class"
    if answers == "numbers":
        numbers = np.array([float(text) for text in told])
        assert limits["max_mae"] <= 1.05 * np.abs(numbers - numbers.mean()).mean()
    assert find(draft, "gates.model", "unknown") == ["left as they are"]


def test_files_of_one_device_each_are_entities_by_their_names(tmp_path):
    folder = tmp_path / "devices"
    folder.mkdir()
    draws = np.random.default_rng(0)
    for device in range(3):
        rows = [
            [str(1700000000 + 300 * n), *(f"{value:.3f}" for value in draws.normal(size=2))]
            for n in range(300)
        ]
        write_table(folder / f"d{device}.csv", ["timestamp", "flow", "speed"], rows)
    draft = look_and_draft(str(folder), "flow")
    assert draft.document["source"]["path_columns"] == "{file}.csv"
    assert draft.document["data"]["entity"] == "file"


@pytest.mark.parametrize("units", [False, True])
def test_columns_without_a_name_of_their_own_get_one(tmp_path, units):
    wine = load_wine(as_frame=True).frame.iloc[:, [0, 1, 2, 3, 13]]
    lines = ["some logger", ",alcohol,alcohol,ash,target,", *(["-,%,%,g,-,"] if units else [])]
    lines += [",".join(map(str, row)) + "," for row in wine.to_numpy()]
    (tmp_path / "wine.csv").write_text("\n".join(lines))
    draft = look_and_draft(str(tmp_path / "wine.csv"))
    source = draft.document["source"]
    assert source["header"] == ["column_1", "alcohol", "alcohol_3", "ash", "target", "column_6"]
    assert source["skip_rows"] == 2 + units
    assert draft.document["data"]["numbers"] == ["column_1", "alcohol", "alcohol_3", "ash"]
    recipe = Recipe.model_validate(draft.document)
    (part,) = recipe.source.parts(1 << 20, recipe.data)
    assert len(recipe.source.read(part, recipe.data)["label"]) == len(wine)
