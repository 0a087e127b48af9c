"""The embedded default: scikit-learn's digits."""

import numpy as np
import pytest
from pydantic import ValidationError

from storage.sources.sklearn import SklearnSource
from tests.storage.source_contract import SourceContract, read_all


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
