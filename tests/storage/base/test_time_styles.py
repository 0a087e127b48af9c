"""What a time means that is a number, that a zone's clocks say, or that several columns tell."""

import numpy as np
import pytest

from storage.base.time_styles import TimeStyle, check_style, choose_format, join_parts, read_step

BERLIN = TimeStyle(zone="Europe/Berlin")


@pytest.mark.parametrize(
    ("style", "text", "wanted"),
    [
        (TimeStyle("epoch_s"), "1600000000", "2020-09-13T12:26:40"),
        (TimeStyle("epoch_s"), "1600000000.123456789", "2020-09-13T12:26:40.123456789"),
        (TimeStyle("epoch_ms"), "1.6e12", "2020-09-13T12:26:40"),
        (TimeStyle("epoch_ns"), "1600000000000000001", "2020-09-13T12:26:40.000000001"),
        (TimeStyle("epoch_d"), "-0.5", "1969-12-31T12:00:00"),
        (TimeStyle(step_ns=read_step("10min")), "6", "1970-01-01T01:00:00"),
        (TimeStyle(step_ns=read_step(1), start_ns=10**18), "0", "2001-09-09T01:46:40"),
        (BERLIN, "2024-07-01 12:00", "2024-07-01T10:00:00"),
        (BERLIN, "2024-01-01 12:00", "2024-01-01T11:00:00"),
        (BERLIN, "2024-10-27 02:30+02:00", "2024-10-27T00:30:00"),
        (BERLIN, "2024-10-27 01:59", "2024-10-26T23:59:00"),
        (BERLIN, "2024-10-27 03:00", "2024-10-27T02:00:00"),
        (TimeStyle("%d.%m.%Y %H:%M", "Europe/Berlin"), "01.07.2024 12:00", "2024-07-01T10:00:00"),
        (
            TimeStyle("%Y-%m-%d %H:%M%z", "Europe/Berlin"),
            "2024-07-01 12:00Z",
            "2024-07-01T12:00:00",
        ),
        (TimeStyle("%s", "Europe/Berlin"), "1600000000", "2020-09-13T12:26:40"),
        (TimeStyle("%F %T %Z", "Europe/Berlin"), "2024-07-01 12:00:00 UTC", "2024-07-01T12:00:00"),
    ],
    ids=str,
)
def test_a_time_is_read_by_its_style(style, text, wanted):
    assert style.read(text) == np.datetime64(wanted, "ns").astype(np.int64)
    assert style.is_moment(text)
    assert not style.explain(text)


@pytest.mark.parametrize("text", ["", "x", "nan", "inf", "1_0", "1e999999", "\u0661", "1e30"])
def test_what_is_no_number_is_no_epoch(text):
    assert TimeStyle("epoch_s").read(text) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [("2024-10-27 02:30", "twice in Europe/Berlin"), ("2024-03-31 02:30", "no time in Europe/Ber")],
)
def test_what_clocks_say_twice_or_never_is_no_time(text, why):
    assert BERLIN.read(text) is None
    assert not BERLIN.is_moment(text)
    assert BERLIN.explain(text).startswith(why)


def test_times_that_are_no_texts_are_placed_alike():
    hours = np.arange("2024-01-01", "2025-01-01", dtype="datetime64[h]").astype("datetime64[ns]")
    times, there = BERLIN.place_all(hours.astype(np.int64))
    read = [BERLIN.read(str(hour)) for hour in hours.astype("datetime64[s]")]
    assert there.tolist() == [time is not None for time in read]
    assert (~there).sum() == 2
    assert times[there].tolist() == [time for time in read if time is not None]


@pytest.mark.parametrize(
    ("cells", "style", "wanted"),
    [
        (["2013", "1", "7.0", "0"], choose_format(4), "2013-01-07T00:00:00"),
        (["2024-05-01", "13:00"], choose_format(2), "2024-05-01T13:00:00"),
        (["10/03/2004", "18.00.00"], "%d/%m/%Y %H.%M.%S", "2004-03-10T18:00:00"),
        (["20040310", "18.00"], "%Y%m%d %H.%M", "2004-03-10T18:00:00"),
    ],
)
def test_several_columns_tell_one_time(cells, style, wanted):
    text = join_parts(cells, style)
    assert TimeStyle(style).read(text) == np.datetime64(wanted, "ns").astype(np.int64)
    assert join_parts([*cells[:-1], None], style) is None


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("10min", 600e9), ("1.5 h", 5400e9), (2, 2e9), ("0.5", 5e8), ("1d", 86400e9), ("250ms", 25e7)],
)
def test_steps_are_lengths_of_time(text, wanted):
    assert read_step(text) == wanted


@pytest.mark.parametrize("text", ["", "0", "-1s", "1 fortnight", "1e9d", "h"])
def test_what_is_no_length_of_time_is_refused(text):
    with pytest.raises(ValueError, match=r"step .* must be a length of time above 0"):
        read_step(text)


@pytest.mark.parametrize("text", ["1e9999999", "-1e9999999", "9" * 5000, "1e30"])
def test_a_number_beyond_all_times_is_none(text):
    for style in (TimeStyle("epoch_s"), TimeStyle(step_ns=10**9)):
        assert style.read(text) is None
        assert not style.is_moment(text)


def test_an_unknown_zone_is_refused():
    for zone in ("Europe/Nowhere", "../etc/passwd", ""):
        with pytest.raises(ValueError, match=r"time_zone .* must be a zone"):
            check_style(None, zone)
