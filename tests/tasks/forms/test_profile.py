"""Rows are profiled column by column, and by class: what is told is what the rows hold."""

from collections import Counter

import numpy as np
import pytest
from sklearn.datasets import load_wine

from storage.forms.image import ImageSpec
from storage.forms.series import SeriesSpec
from storage.forms.table import TableSpec
from tasks.forms import profile as profile_module
from tasks.forms.profile import BARS, MOST_COLUMNS, profile_numbers, profile_rows
from tasks.rendering.profile import DataProfile


def find(profile: DataProfile, name: str):
    (found,) = (column for column in profile.columns if column.name == name)
    return found


@pytest.fixture
def table():
    """Wine as the fields of rows: two columns of numbers, one of them with gaps, and a text."""
    wine = load_wine()
    numbers = wine.data[:, [0, 12]].copy()
    valid = np.ones(numbers.shape, np.bool_)
    valid[:18, 1] = False
    spec = TableSpec(
        numbers=("alcohol", "proline"), texts=("hue",), label="class", labels=("a", "b", "c")
    )
    hues = np.array(["dark", "light"], np.dtypes.StringDType())[(wine.data[:, 9] < 5).astype(int)]
    rows = {"numbers": numbers, "numbers__valid": valid, "hue": hues, "label": wine.target}
    return rows, spec


def test_numbers_texts_and_classes_are_told_as_they_are(table):
    rows, spec = table
    profile = profile_rows(rows, spec)
    assert profile.classes == {"a": 59, "b": 71, "c": 48}
    alcohol, proline, hue = (find(profile, name) for name in ("alcohol", "proline", "hue"))
    assert alcohol.missing == 0
    assert proline.missing == pytest.approx(18 / 178, abs=1e-4)
    kept = rows["numbers"][18:, 1]
    assert proline.values == f"{kept.min():,.0f} to {kept.max():,.0f}, mean {kept.mean():.4g}"
    (first, most), (second, least) = Counter(rows["hue"].tolist()).most_common()
    assert hue.values == f"{first} ({most}), {second} ({least})"
    # Each class's bars add up to all of its rows: outliers count in the outermost ones.
    assert list(alcohol.bars) == ["a", "b", "c"]
    for bars in alcohol.bars.values():
        assert len(bars) == BARS
        assert sum(bars) == pytest.approx(1, abs=0.01)
    # The class of the strongest wines lies to the right.
    centres = {name: np.dot(bars, np.arange(BARS)) for name, bars in alcohol.bars.items()}
    assert centres["a"] > centres["b"]


def test_classes_that_are_rare_or_many_are_not_drawn_apart(table):
    rows, spec = table
    kept = {
        name: values[(rows["label"] < 2) | (np.arange(178) > 175)] for name, values in rows.items()
    }
    assert list(find(profile_rows(kept, spec), "alcohol").bars) == [""]
    several = spec.model_copy(update={"labels": ("a", "b", "c", "d", "e")})
    assert list(find(profile_rows(rows, several), "alcohol").bars) == [""]


def test_a_column_without_a_value_or_of_one_value_is_told_so(table):
    rows, spec = table
    rows["numbers__valid"][:, 1] = False
    rows["numbers"][:, 0] = 3.0
    profile = profile_rows(rows, spec)
    assert find(profile, "proline").values == "none"
    assert find(profile, "proline").missing == 1
    assert find(profile, "proline").bars == {}
    assert find(profile, "alcohol").ends == ("3",)
    assert profile_rows({}, spec) == DataProfile()


def test_times_and_pictures_have_their_own_words():
    moments = np.array(["2024-01-01", "2024-01-02", "2024-01-04"], "datetime64[ns]")
    spec = SeriesSpec(numbers=("heat",), time="day")
    rows = {"numbers": np.arange(3.0)[:, None], "time": moments.astype(np.int64)}
    profile = profile_rows(rows, spec)
    assert find(profile, "day").values == "2024-01-01 00:00:00 to 2024-01-04 00:00:00"
    assert profile.classes == {}
    pictures = ImageSpec.model_validate(
        {"image": {"shape": [1, 4, 4], "value_range": [0, 16]}, "labels": ["x", "y"]}
    )
    images = np.zeros((12, 1, 4, 4), np.uint8)
    images[6:] = 9
    profile = profile_rows({"image": images, "label": np.repeat([0, 1], 6)}, pictures)
    assert find(profile, "image").type == "uint8 1 x 4 x 4"
    dark, light = find(profile, "image").bars.values()
    assert np.argmax(dark) == 0
    assert np.argmax(light) == BARS - 1


def test_a_count_of_cycles_is_no_date():
    spec = SeriesSpec(numbers=("heat",), time={"count": "cycle", "step": "1h"})
    rows = {"numbers": np.arange(3.0)[:, None], "time": np.array([0, 1, 4]) * 3_600 * 10**9}
    (_, cycle) = profile_rows(rows, spec).columns
    assert (cycle.name, cycle.type) == ("cycle", "count")
    assert cycle.values == "0 to 4, mean 1.667"


@pytest.mark.parametrize("count", [4, 60])
def test_numbers_too_large_for_a_row_are_shown_and_stop_nothing(count):
    values = 1.7e308 * np.linspace(-1, 1, count)
    found = profile_numbers("far", values, {"": np.ones(count, np.bool_)})
    assert found.values.startswith("\N{MINUS SIGN}1.7e+308 to 1.7e+308")
    assert sum(found.bars[""]) == pytest.approx(1, abs=0.01)


def test_of_very_many_columns_only_those_that_are_shown_are_profiled(monkeypatch):
    names = tuple(f"c{number}" for number in range(10 * MOST_COLUMNS))
    numbers = np.arange(20 * len(names), dtype=np.float64).reshape(20, -1)
    seen = []
    real = profile_module.profile_numbers
    monkeypatch.setattr(
        profile_module,
        "profile_numbers",
        lambda name, *rest: seen.append(name) or real(name, *rest),
    )
    rows = {"numbers": numbers, "numbers__valid": np.ones(numbers.shape, np.bool_)}
    profile = profile_rows(rows, TableSpec(numbers=names, target="y"))
    assert [column.name for column in profile.columns] == seen == list(names[:MOST_COLUMNS])
