from datetime import UTC, datetime

import pytest

from lepton_ai.client.retries import Retries, read_retry_after

NOW = datetime(2026, 11, 29, 1, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("3", 3.0),
        ("0.5", 0.5),
        ("-4", 0.0),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("", None),
        ("Sun, 29 Nov 2026 01:00:07 GMT", 7.0),
        ("Sun, 29 Nov 2026 00:59:00 GMT", 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str | None, seconds: float | None) -> None:
    assert read_retry_after(text, NOW) == seconds


def test_pauses_double_up_to_a_bound_and_are_drawn_from_nothing_on() -> None:
    retries = Retries(first_s=0.5, longest_s=3)
    longest = [retries.draw_pause(attempt, None, lambda: 1.0) for attempt in range(5)]
    assert longest == [0.5, 1, 2, 3, 3]
    assert retries.draw_pause(4, None, lambda: 0.0) == 0


def test_no_pause_is_shorter_than_the_server_asked_for() -> None:
    drawn = {Retries().draw_pause(0, 2.0) for _ in range(50)}
    assert min(drawn) >= 2
    assert len(drawn) > 1, "who is refused together must not come back together"
