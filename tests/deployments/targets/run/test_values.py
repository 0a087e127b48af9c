"""The same samples as CSV, JSON and .npy are the same raw arrays: one reader, whatever they came
as.
"""

import contextlib
import csv
import io
import math
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.targets.errors import BadInput
from deployments.targets.run.forms.arrays import read_npy, write_npy
from deployments.targets.run.inputs import read_samples, read_values
from deployments.targets.trust.card import Card, InputSpec
from deployments.targets.trust.card_columns import ColumnSpec
from tests.deployments.targets.run.forms.test_rows import SERIES, TABLE, make_card

NUMBERS = st.one_of(
    st.none(),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
)
ROWS = st.lists(st.tuples(NUMBERS, NUMBERS, st.sampled_from(["H", "L", None])), min_size=1)


def write_csv(header: list[str], rows: list[list[Any]]) -> bytes:
    stream = io.StringIO(newline="")
    csv.writer(stream).writerows([header, *rows])
    return stream.getvalue().encode()


def write_array(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_rows_of_a_table_are_the_same_as_csv_json_and_npy(rows: list[tuple[Any, ...]]) -> None:
    card, names = make_card(TABLE), ["speed", "wear", "grade"]
    texts = [["" if value is None else value for value in row] for row in rows]
    as_csv = read_samples(write_csv(names, texts), card, "x").raw
    objects = [dict(zip(names, row, strict=True)) for row in rows]
    places = {"H": 0, "L": 1, None: math.nan}
    coded = [[*(math.nan if v is None else v for v in row[:2]), places[row[2]]] for row in rows]
    as_npy = read_samples(write_array(np.array(coded, np.float64)), card, "x").raw
    as_lists = read_values(
        [[*row[:2], {"H": 0, "L": 1, None: None}[row[2]]] for row in rows], card, "x"
    )
    assert as_csv.dtype == np.float64
    for found in (read_values(objects, card, "x").raw, as_npy, as_lists.raw):
        np.testing.assert_array_equal(found, as_csv)


def test_one_object_is_one_row() -> None:
    found = read_values(
        {"speed": 1, "wear": None, "grade": "L", "more": [1]}, make_card(TABLE), "x"
    )
    np.testing.assert_array_equal(found.raw, [[1, math.nan, 1]])


WINDOWS = SERIES.model_copy(update={"time": SERIES.columns[1], "entity": "site"})


def test_rows_of_a_series_are_the_same_as_csv_json_and_npy_and_tell_their_times() -> None:
    card = make_card(WINDOWS)
    rows = [[step / 3, f"04/03/2016 0:{5 * step:02}", "a"] for step in range(4)]
    as_csv = read_samples(write_csv(["flow", "when", "site"], rows), card, "x")
    names = ["flow", "when", "site"]
    as_json = read_values([dict(zip(names, row, strict=True)) for row in rows], card, "x")
    start = 1_457_049_600.0
    numbers = np.array([[row[0], start + 300 * step] for step, row in enumerate(rows)])
    as_npy = read_samples(write_array(numbers), card, "x")
    for found in (as_csv, as_json, as_npy):
        np.testing.assert_array_equal(found.raw, numbers[None, -2:])
        np.testing.assert_array_equal(found.times, [[start + 600, start + 900]])


def test_times_that_are_no_input_are_told(  # Most forecasts do not take the time as a column.
) -> None:
    spec = InputSpec(
        form="series",
        name="window",
        dtype="float64",
        shape=(2, 1),
        columns=(ColumnSpec(name="flow"),),
        time=ColumnSpec(name="when", is_time=True),
    )
    rows = [{"when": f"1970-01-01T00:00:0{second}", "flow": second} for second in range(3)]
    found = read_values(rows, make_card(spec), "x")
    np.testing.assert_array_equal(found.times, [[1.0, 2.0]])
    no_times = read_values([{"flow": 1}, {"flow": 2}], make_card(spec), "x")
    assert no_times.times is None


def test_pictures_are_the_same_as_nested_lists_and_npy(card: Card) -> None:
    digit = np.arange(64).reshape(8, 8) % 17
    as_npy = read_samples(write_array(digit.astype(np.uint8)), card, "x").raw
    np.testing.assert_array_equal(read_values(digit.tolist(), card, "x").raw, as_npy)
    np.testing.assert_array_equal(read_values([digit.tolist()], card, "x").raw, as_npy)


@pytest.mark.parametrize(
    ("value", "text", "number"),
    [(True, "true", 1.0), (False, "false", 0.0)],
)
def test_truth_values_are_read_as_from_parquet(value: bool, text: str, number: float) -> None:
    spec = InputSpec(
        form="table",
        name="row",
        dtype="float64",
        shape=(2,),
        columns=(ColumnSpec(name="n"), ColumnSpec(name="t", vocabulary=("x", text))),
    )
    found = read_values({"n": value, "t": value}, make_card(spec), "x").raw
    np.testing.assert_array_equal(found, [[number, 1.0]])


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"speed": 1}, r"got no wear, grade"),
        ([{"speed": 1, "wear": 1, "grade": "L"}, {"speed": 1}], r"\(x, row 1\).*got no wear"),
        ([{"speed": 1, "wear": 1, "grade": "L"}, 7], r"row 1\) must be an object"),
        ({"speed": [1], "wear": 1, "grade": "L"}, "row 0.*got a list"),
        ({"speed": {}, "wear": 1, "grade": "L"}, "row 0.*got a dict"),
        ({"speed": "fast", "wear": 1, "grade": "L"}, r"row 0\).*finite number in speed"),
        ({"speed": 1e999, "wear": 1, "grade": "L"}, "finite number in speed"),
        ([], "at least one row"),
        ({}, "must have the columns"),
        (None, "at least one row"),
        ("text", "nested lists of numbers"),
        (True, "at least one row"),
        ([[1, 2], [1]], "of one shape"),
        ([["1", "2", "3"]], "nested lists of numbers"),
        ([[1, 2, [3]]], "of one shape"),
        ([[[[[1]]]]], "at least one row of 3 columns"),
    ],
)
def test_what_is_no_row_is_refused(value: object, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        read_values(value, make_card(TABLE), "x")


def test_secrets_of_a_cell_are_not_repeated_where_it_is_cut() -> None:
    secret = "https://user:" + "hunter2" * 9 + "@host/"
    with pytest.raises(BadInput) as caught:
        read_values({"speed": secret, "wear": 1, "grade": "L"}, make_card(TABLE), "x")
    assert "hunter2" not in str(caught.value)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_an_npy_file_that_is_cut_or_altered_is_refused_or_read(data: st.DataObject) -> None:
    whole = bytearray(write_array(np.arange(6, dtype=data.draw(st.sampled_from(["<f8", "<i4"])))))
    for _ in range(data.draw(st.integers(0, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(whole)[: data.draw(st.integers(0, len(whole)))]
    with warnings.catch_warnings(), contextlib.suppress(BadInput):
        warnings.simplefilter("ignore")
        read_samples(b"\x93NUMPY" + cut[6:], make_card(TABLE), "x")


@pytest.mark.parametrize(
    "header",
    [
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (",  # The tokenizer's own error.
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (%d, 0), }" % 2**70,
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (-2, -3), }" + b" " * 8,
        b"(" * 300,
        b"[" * 3000 + b"]" * 3000,
        b"{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,), }",
        b"{'descr': 'O', 'fortran_order': False, 'shape': (), }",
        b"\xff\xfe",
        b"",
    ],
)
def test_a_header_of_any_kind_is_refused(header: bytes) -> None:
    data = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for rest in (b"", b"\0" * 48):
            with pytest.raises(BadInput, match=r"must be a \.npy file of numbers"):
                read_npy(data + rest, "x")


def test_arrays_are_written_as_numpy_writes_them() -> None:
    for array in (np.zeros((2, 3), np.float32), np.arange(4), np.array(True), np.zeros((0, 3))):
        found = read_npy(write_npy(array), "x")
        assert (found.dtype, found.shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(found, array)
        np.testing.assert_array_equal(np.load(io.BytesIO(write_npy(array))), array)
