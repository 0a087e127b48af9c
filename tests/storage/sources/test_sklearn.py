"""The embedded default: scikit-learn's digits."""

import numpy as np
import pytest
from pydantic import ValidationError

from storage.base.errors import SourceError
from storage.forms.table import TableSpec
from storage.sources.sklearn import SklearnSource
from storage.testing.sources import SourceContract, read_all


class TestDigits(SourceContract):
    @pytest.fixture
    def source(self):
        return SklearnSource(dataset="digits")

    @pytest.fixture
    def expected_rows(self):
        return 1797


def test_digits_are_small_images():
    rows = read_all(SklearnSource())
    assert rows["image"].shape == (1797, 1, 8, 8)
    assert rows["image"].dtype == np.uint8
    assert (rows["image"].min(), rows["image"].max()) == (0, 16)
    assert np.bincount(rows["label"]).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_an_unknown_set_is_refused():
    with pytest.raises(ValidationError, match="digits"):
        SklearnSource(dataset="nope")


class TestWine(SourceContract):
    @pytest.fixture
    def source(self):
        return SklearnSource(dataset="wine")

    @pytest.fixture
    def expected_rows(self):
        return 178


@pytest.mark.parametrize(
    ("name", "rows", "columns"), [("iris", 150, 4), ("breast_cancer", 569, 30)]
)
def test_tables_with_a_class(name, rows, columns):
    read = read_all(SklearnSource(dataset=name))
    assert read["numbers"].shape == (rows, columns)
    assert read["label"].dtype == np.int64


def test_columns_are_chosen_by_the_recipe():
    spec = TableSpec(numbers=["bp", "bmi"], target="progression")
    part = SklearnSource(dataset="diabetes").parts(1 << 20, spec)[0]
    decoded = SklearnSource(dataset="diabetes").decode(part, spec)
    assert decoded.rows["numbers"].shape == (442, 2)
    assert decoded.columns["numbers"] == ("bp", "bmi")
    assert decoded.rows["target"].max() == 346
    with pytest.raises(SourceError, match="weight"):
        read_all(SklearnSource(dataset="diabetes"), TableSpec(numbers=["weight"]))
