"""Times: one documented set of directives, no moment that does not exist."""

import numpy as np
import pytest
from pydantic import ValidationError

from storage.base.times import check_time_format, read_time
from storage.forms.table import TableSpec


@pytest.mark.parametrize(
    ("style", "text", "wanted"),
    [
        ("%F %T", "2021-03-01 10:00:00", "2021-03-01T10:00:00"),
        ("%D", "03/01/21", "2021-03-01"),
        ("%D", "03/01/69", "1969-03-01"),
        ("%s", "1600000000", "2020-09-13T12:26:40"),
        ("%e/%m/%Y", " 1/02/2021", "2021-02-01"),
        ("%m/%d/%Y %I:%M %p", "03/01/2021 1:05PM", "2021-03-01T13:05:00"),
        ("%m/%d/%Y %I:%M %p", "03/01/2021 12:00 am", "2021-03-01"),
        (
            "%Y-%m-%dT%H:%M:%S.%f%z",
            "2021-03-01T10:00:00.123456789+0130",
            "2021-03-01T08:30:00.123456789",
        ),
        ("%d %B %Y", "1 MARCH 2021", "2021-03-01"),
        ("%a %d %b %Y", "Mon 1 Mar 2021", "2021-03-01"),
        ("%Y %j", "2020 366", "2020-12-31"),
        ("%d/%m/%Y %H:%M", "1/3/2021 0:05", "2021-03-01T00:05:00"),
        (None, "2021-03-01T10:00:00+01:00", "2021-03-01T09:00:00"),
    ],
)
def test_times_are_read(style, text, wanted):
    assert read_time(text, style) == np.datetime64(wanted, "ns").astype(np.int64)


@pytest.mark.parametrize(
    ("style", "text"),
    [
        ("%d/%m/%Y", "30/02/2021"),
        ("%d/%m/%Y", "31/04/2021"),
        ("%d/%m/%Y", "01/13/2021"),
        ("%Y %j", "2021 366"),
        ("%F %T", "2021-03-01 10:00:60"),
        ("%F %T", "2021-03-01 10:00:00 x"),
        ("%m/%d/%Y %I:%M %p", "03/01/2021 13:05 PM"),
        ("%H:%M %p %F", "13:05 AM 2021-03-01"),
        ("%F", "9999-12-31"),
        (None, "30/02/2021"),
        (None, "2021-02-30"),
        (None, ""),
    ],
)
def test_what_is_no_moment_is_no_time(style, text):
    assert read_time(text, style) is None


@pytest.mark.parametrize(
    ("style", "words"),
    [
        ("%Y-%U", "got %U; choose among"),
        ("%c", "got %c"),
        ("%d/%m/%Y %I:%M", "got %I without %p"),
        ("%Y %F", "got %Y twice"),
        ("%d.%m.", "none of %Y"),
        ("%Y-%", "got %;"),
    ],
)
def test_a_format_that_cannot_be_read_is_refused_in_the_recipe(style, words):
    with pytest.raises(ValueError, match="time_format") as refused:
        check_time_format(style)
    assert words in str(refused.value)
    with pytest.raises(ValidationError, match="time_format"):
        TableSpec(numbers=("x",), time="t", time_format=style)
