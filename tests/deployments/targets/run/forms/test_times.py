"""Times on the device: composed, counted, of a zone; of files and of JSON alike."""

import numpy as np
import pytest

from deployments.targets.errors import BadInput
from deployments.targets.run.inputs import read_samples, read_values
from deployments.targets.trust.card import Card, InputSpec
from deployments.targets.trust.card_columns import ColumnSpec
from tests.deployments.targets.run.forms.test_rows import make_card


def make_window(**time: object) -> Card:
    told = ColumnSpec(name="t", is_time=True).model_copy(update=time)
    columns = (ColumnSpec(name="x"), told)
    return make_card(
        InputSpec(
            form="series", name="window", dtype="float64", shape=(2, 2), columns=columns, time=told
        )
    )


@pytest.mark.parametrize(
    ("time", "text", "rows"),
    [
        (
            {"name": "d+h", "parts": ("d", "h")},
            "x,d,h\n1,2024-05-01,12:00\n2,2024-05-01,13:00\n",
            [{"x": 1, "d": "2024-05-01", "h": "12:00"}, {"x": 2, "d": "2024-05-01", "h": "13:00"}],
        ),
        (
            {"name": "y+m+d+h", "parts": ("y", "m", "d", "h"), "time_format": "%Y %m %d %H"},
            "x,y,m,d,h\n1,2024,5,1.0,12\n2,2024,05,1.0,13\n",
            [
                {"x": 1, "y": 2024, "m": 5, "d": 1.0, "h": 12},
                {"x": 2, "y": 2024, "m": 5, "d": 1, "h": 13.0},
            ],
        ),
        (
            {"time_format": "epoch_ms"},
            "x,t\n1,1714564800000\n2,1714568400000\n",
            [{"x": 1, "t": 1714564800000}, {"x": 2, "t": 1714568400000.0}],
        ),
        (
            {"time_zone": "Europe/Berlin"},
            "x,t\n1,2024-05-01 14:00\n2,2024-05-01 15:00\n",
            [{"x": 1, "t": "2024-05-01T14:00"}, {"x": 2, "t": "2024-05-01T13:00+00:00"}],
        ),
        (
            {"time_step_ns": 3600 * 10**9, "time_start_ns": 1714564800 * 10**9},
            "x,t\n1,0\n2,1\n",
            [{"x": 1, "t": 0}, {"x": 2, "t": 1}],
        ),
    ],
    ids=["two", "four", "epoch", "zone", "count"],
)
def test_times_are_asked_as_they_are_learned_from(time, text, rows) -> None:
    card = make_window(**time)
    assert Card.parse(card.to_bytes()) == card
    wanted = [[[1, 1714564800.0], [2, 1714568400.0]]]
    for samples in (
        read_samples(text.encode(), card, "rows.csv"),
        read_values(rows, card, "request"),
    ):
        np.testing.assert_array_equal(samples.raw, wanted)
        np.testing.assert_array_equal(samples.times, np.array(wanted)[..., 1])


def test_what_clocks_say_twice_is_no_time_to_ask_with() -> None:
    card = make_window(time_zone="Europe/Berlin")
    rows = [{"x": 1, "t": "2024-10-27 01:30"}, {"x": 2, "t": "2024-10-27 02:30"}]
    with pytest.raises(BadInput, match=r"twice in Europe/Berlin: its offset must be said"):
        read_values(rows, card, "request")
    parts = make_window(name="d+h", parts=("d", "h"))
    with pytest.raises(BadInput, match=r"must have the columns x, d, h; got no h"):
        read_values([{"x": 1, "d": "2024-05-01"}], parts, "request")


def test_a_card_says_nothing_new_of_a_plain_time() -> None:
    plain = {"name": "t", "vocabulary": (), "is_time": True, "time_format": None}
    assert ColumnSpec(name="t", is_time=True).model_dump() == plain
