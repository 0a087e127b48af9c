"""What a number is by the marks of its file."""

import math

import pytest

from storage.base.cells import find_missing, read_number_cell
from storage.base.marks import Marks, NumberWriter

COMMA, GERMAN = Marks(","), Marks(",", ".")
READ = [
    (COMMA, "1,5", 1.5),
    (COMMA, "-,5", -0.5),
    (COMMA, "7,", 7.0),
    (COMMA, " 1,5e-3 ", 0.0015),
    (COMMA, "1.5", None),
    (COMMA, "1,5,6", None),
    (COMMA, "1.234,5", None),
    (COMMA, "inf", math.inf),
    (GERMAN, "1.234.567,25", 1234567.25),
    (GERMAN, "-1.234", -1234.0),
    (GERMAN, "12", 12.0),
    (GERMAN, "1.23,4", None),
    (GERMAN, "1234.567", None),
    (GERMAN, "1.5", None),
    (Marks(".", ","), "12,345.5", 12345.5),
    (Marks(".", ","), "1,5", None),
    (Marks(".", ","), "1.5", 1.5),
    (Marks(",", " "), "1 234 567,5", 1234567.5),
    (Marks(",", " "), "1\u202f234,5", 1234.5),
    (Marks(",", " "), "1\u00a0234", 1234.0),
    (Marks(".", "'"), "1'234.5", 1234.5),
    (Marks(".", "'"), "1\u2019234", 1234.0),
    (Marks(".", "'"), ".", None),
    (Marks(".", "'"), "ERR", None),
    (COMMA, "1_5", None),
    (COMMA, "\u0661,5", None),
]


@pytest.mark.parametrize(("marks", "text", "wanted"), READ, ids=str)
def test_a_number_is_read_by_the_marks_of_its_file(marks, text, wanted):
    missing = find_missing(("",))
    assert read_number_cell(NumberWriter(marks, missing).write(text), missing) == wanted


@pytest.mark.parametrize("text", ["-999,9", "-999,90", " -9,999e2"])
@pytest.mark.parametrize("listed", ["-999,9", "-999.9"])
def test_what_is_missing_is_the_same_number_written_otherwise(text, listed):
    missing = find_missing((listed,))
    written = NumberWriter(COMMA, missing).write(text)
    assert math.isnan(read_number_cell(written, missing))


def test_what_is_no_number_stays_as_it_is_written():
    writer = NumberWriter(GERMAN, find_missing(("",)))
    assert [writer.write(text) for text in ("ERR", " a ", "", "1.2.3")] == [
        "ERR",
        " a ",
        "",
        "1.2.3",
    ]
