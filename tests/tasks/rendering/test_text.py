"""Numbers and strings as a person reads them."""

import pytest
from pydantic import JsonValue

from tasks.rendering import text


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (text.format_rate(0.98889), "98.89 %"),
        (text.format_rate(0.999999), "99.99 %"),
        (text.format_rate(1.0), "100.00 %"),
        (text.format_rate(None), "\N{EN DASH}"),
        (text.name_figure("mae_first_1"), "MAE of the first step"),
        (text.name_figure("mse_first_24"), "MSE of the first 24 steps"),
        (text.format_bytes(34_211), "34.2 kB"),
        (text.format_bytes(999), "999 B"),
        (text.format_bytes(999_600), "1 MB"),
        (text.format_seconds(0.42), "420 ms"),
        (text.format_seconds(14.63), "14.6 s"),
        (text.format_seconds(125), "2 min 05 s"),
        (text.format_seconds(3840), "1 h 04 min"),
        (text.format_milliseconds(0.0412), "41.2 µs"),
        (text.format_milliseconds(12.34), "12.3 ms"),
        (text.format_number(1797), "1,797"),
        (text.format_number(-0.0148), "\N{MINUS SIGN}0.0148"),
        (text.format_number(float("nan")), "nan"),
        (text.format_number(7812.0), "7,812"),
        (text.format_number(7812.4, 3), "7,812"),
        (text.format_number(-123456.7), "\N{MINUS SIGN}123,457"),
        (text.format_number(0.12345, 3), "0.123"),
        (text.show_observed(0.63131357, {"max_value": 0.6164}), "0.631"),
        (text.show_observed(0.96996, {"min_value": 0.97}), "0.96996"),
        (text.shorten_digest("ab" * 32), "abababababab…"),
        (text.shorten_digest("sklearn:digits"), "sklearn:digits"),
    ],
)
def test_figures_as_words(shown: str, expected: str) -> None:
    assert shown == expected


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ({"min_value": 0, "max_value": 16}, "0 to 16"),
        ({"min_value": 0.97}, "at least 0.97"),
        ({"max_value": 0}, "at most 0"),
        ({"min_value": 0, "max_value": 8, "strict_min": True}, "above 0, at most 8"),
        ({"min_value": 0, "max_value": 0}, "exactly 0"),
        ({"value": 539}, "exactly 539"),
        ({"value_set": list(range(10))}, "in 0, 1, … 9"),
        ({"value_set": ["train", "held_out"]}, "in train, held_out"),
        ({}, "none allowed"),
    ],
)
def test_limits_as_words(limit: JsonValue, expected: str) -> None:
    assert text.show_limit(limit) == expected


def test_observations_as_words() -> None:
    assert text.show_observed({"unexpected": 0, "of": 1797}) == "none of 1,797"
    assert (
        text.show_observed({"unexpected": 3, "of": 9, "examples": [10, 11]})
        == "3 of 9, such as 10, 11"
    )
    assert len(text.show_value(["x" * 500] * 500)) <= 160


def test_text_hides_nothing() -> None:
    assert text.clean_text("a\u202eb\x00c\ud800d") == "a\ufffdb\ufffdc\ufffdd"
    assert text.clean_text("line\nline") == "line line"
    assert len(str(text.clean_text("x" * 1_000_000))) == text.MAX_TEXT
    assert text.clean_value({"k\x00": ["\u202e", 3]}) == {"k\ufffd": ["\ufffd", 3]}
