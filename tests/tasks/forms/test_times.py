"""What a card says of the time is what the recipe's rows are read by."""

import pytest

from storage.forms.series import SeriesSpec
from tasks.forms.table.samples import describe_time

TOLD = [
    {"time": "t"},
    {"time": "t", "time_format": "%d.%m.%Y %H:%M", "time_zone": "Europe/Berlin"},
    {"time": "t", "time_format": "epoch_ms"},
    {"time": ["d", "h"]},
    {"time": ["y", "m", "d", "h"]},
    {"time": ["d", "h"], "time_format": "%d/%m/%Y %H"},
    {"time": {"count": "cycle", "step": "10min", "start": "2024-05-01"}},
]


@pytest.mark.parametrize("section", TOLD, ids=str)
def test_a_card_tells_the_time_as_the_recipe_does(section):
    data = SeriesSpec.model_validate({"numbers": ["x"], **section})
    told = describe_time(data)
    assert told is not None
    assert told.time_style == data.time_style
    assert told.columns == tuple(name for name in data.columns if name != "x")
    assert type(told).model_validate(told.model_dump(mode="json")) == told
    assert SeriesSpec.model_validate(data.model_dump(mode="json")) == data


def test_what_no_column_tells_is_asked_of_nobody():
    data = SeriesSpec.model_validate({"numbers": ["x"], "time": {"step": "1h"}})
    assert describe_time(data) is None
    assert data.columns == ("x",)
