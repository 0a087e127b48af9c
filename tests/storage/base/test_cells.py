"""What a cell means, and where records end: the rules that learning and asking share."""

import csv
import io
import math
from random import Random

import numpy as np
import pyarrow as pa
import pytest

from storage.base import records
from storage.base.cells import (
    explain_unreadable,
    find_missing,
    match_number,
    read_number_cell,
    read_text_cell,
    write_number,
)


def test_a_number_is_missing_by_its_value_and_a_text_by_its_letters():
    missing = find_missing(("NA", "-999"))
    for text in ("NA", " NA ", "-999", "-999.0", " -9.99e2", "", "  ", None):
        assert math.isnan(read_number_cell(text, missing))
    assert read_number_cell(" 1e3 ", missing) == 1000
    assert [read_text_cell(text, missing) for text in ("NA ", "-999.0", "", None)] == [
        None,
        "-999.0",
        "",
        None,
    ]


@pytest.mark.parametrize("text", ["1,5", "1_000", "1.5%", "$7", "ERR", "nan(1)", "0x10", "1d5"])
def test_what_is_neither_missing_nor_a_number_is_unreadable(text):
    assert read_number_cell(text, find_missing(("",))) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1,5", "a decimal comma"),
        ("22.946,46", "a decimal comma"),
        ("1,234.5", "a comma between thousands"),
        ("1.5 %", "a percent sign"),
        ("ERR", ""),
        ("1,2,3", ""),
    ],
)
def test_why_a_text_is_no_number_is_said_where_it_can_be_seen(text, words):
    assert explain_unreadable(text).startswith(words)
    assert bool(explain_unreadable(text)) == bool(words)


def test_a_number_among_texts_is_written_as_in_a_column_of_texts():
    random = np.random.default_rng(0)
    values = random.normal(size=500) * 10.0 ** random.integers(-20, 20, 500)
    values = np.concatenate([values, [0.0, -0.0, 1, 10, 1e9, 1e10, 1e-5, 1e-6, 1e-7, 1.5e-6]])
    assert [write_number(value) for value in values.tolist()] == pa.array(values).cast(
        pa.string()
    ).to_pylist()
    assert match_number(1.0, ("1",)) == match_number(1, ("1", "2")) == "1"
    assert match_number(1, ("1.0",)) == "1.0"
    assert match_number(10**400, ("1.0",)) == str(10**400)


def test_records_end_where_a_parser_of_csv_ends_them():
    """Beside the standard library's, over texts of nothing but marks."""
    for seed in range(300):
        random = Random(seed)
        text = "".join(random.choices('",\n\r ab', weights=[3, 3, 2, 1, 1, 3, 1], k=30))
        found = list(records.split_records(text))
        if any(record.fault for record in found):
            continue
        theirs = [row for row in csv.reader(io.StringIO(text, newline="")) if "".join(row).strip()]
        ours = [record.cells for record in found if "".join(record.cells).strip()]
        assert ours == theirs, repr(text)
        data = text.encode()
        ends = records.find_ends(data, b",")
        assert records.count_records(data, ends) == len(found), repr(text)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_records_know_their_lines(end):
    text = end.join(["a,b", '"x' + end + 'y",2', "", '5" p,3', '"p"q,4', '"open,5'])
    found = list(records.split_records(text))
    assert [record.line for record in found] == [1, 2, 4, 5, 6, 7]
    assert [record.is_blank for record in found] == [False, False, True, False, False, False]
    assert [record.fault for record in found[3:]] == [
        "",
        "has text behind a closing quote",
        "has a quote that is never closed",
    ]
    assert found[3].cells == ['5" p', "3"]
