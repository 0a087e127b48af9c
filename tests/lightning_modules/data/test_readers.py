"""Rows of streams as samples."""

import numpy as np
import pytest

from lightning_modules.data.readers import CodeBook, RowReader, encode_texts
from lightning_modules.errors import SpecError
from lightning_modules.specs.samples import CategoryColumn, NumberColumn, RowSample

NUMBERS = (NumberColumn(name="a", mean=1e9, std=2.0), NumberColumn(name="b", mean=-1.0, std=0.0))
GRADE = CategoryColumn(name="grade", vocabulary=("H", "L", "M"))
ROW = RowSample(objective="classes", numbers=NUMBERS, categories=(GRADE,), classes=2)


def test_categories_are_found_by_row_id_and_padding_has_none() -> None:
    codes = encode_texts(np.array(["L", "X", "M", ""]), np.array([True, True, True, False]), GRADE)
    np.testing.assert_array_equal(codes, [1, np.nan, 2, np.nan])
    book = CodeBook(np.array([3, 5, 7, 9], np.uint64), codes[:, None])
    reader = RowReader(ROW, ("b", "a"), book)
    rows = {
        "numbers": np.array([[1.0, 2.0], [3.0, 4.0]]),
        "numbers__valid": np.array([[True, True], [True, False]]),
        "label": np.array([0, 1]),
        "row_id": np.array([7, 0], np.uint64),
    }
    np.testing.assert_array_equal(
        reader.read(rows).sample, [[2.0, 1.0, 2.0], [np.nan, 3.0, np.nan]]
    )
    with pytest.raises(SpecError, match="got no a; use the data set that it was trained on"):
        RowReader(ROW, ("b",), book)
