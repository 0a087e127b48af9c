"""Cut-off times of a split are told by the clocks that a recipe names."""

import numpy as np
import pytest
from pydantic import ValidationError

from storage.forms.rules import SplitSpec
from storage.forms.table import TableSpec
from storage.pipeline.splits import find_cutoffs

HOUR = 3600 * 10**9
START = int(np.datetime64("2024-03-30T00", "ns").astype(np.int64))
TIMES = START + HOUR * np.arange(72)
"""Three days, hour by hour, in which the clocks of Berlin go forward."""


def cut(**section: object) -> tuple[np.datetime64, np.datetime64]:
    spec = SplitSpec.model_validate({"by": "time", **section})
    found = find_cutoffs(TIMES, spec)
    return np.datetime64(int(found.validation), "ns"), np.datetime64(int(found.held_out), "ns")


@pytest.mark.parametrize(
    ("zone", "validation", "held_out"),
    [
        (None, "2024-03-31T00", "2024-04-01T00"),
        ("Europe/Berlin", "2024-03-30T23", "2024-03-31T22"),
        ("America/New_York", "2024-03-31T04", "2024-04-01T04"),
    ],
)
def test_a_day_begins_when_the_zone_s_clocks_say_so(
    zone: str | None, validation: str, held_out: str
) -> None:
    cuts = {"validation_from": "2024-03-31", "held_out_from": "2024-04-01"}
    assert cut(**cuts, time_zone=zone) == (np.datetime64(validation), np.datetime64(held_out))


def test_a_time_that_says_its_offset_means_that() -> None:
    cuts = {"validation_from": "2024-03-31", "held_out_from": "2024-04-01T00:00+00:00"}
    assert cut(**cuts, time_zone="Europe/Berlin")[1] == np.datetime64("2024-04-01T00")


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"held_out_from": "2024-03-31T02:30"}, "held_out_from .* no time in Europe/Berlin"),
        ({"held_out_from": "2024-10-27T02:30"}, "held_out_from .* twice in Europe/Berlin"),
        ({"held_out": 0.2}, "must go with a time"),
        ({"held_out_from": 1.7e18}, "must go with a time"),
        ({"held_out_from": "2024-04-01", "time_zone": "Europe/Bärlin"}, "IANA"),
    ],
)
def test_what_no_clock_says_is_refused(section: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        SplitSpec.model_validate({"by": "time", "time_zone": "Europe/Berlin", **section})


def test_a_recipe_without_a_zone_leaves_no_trace_of_it() -> None:
    split = {"by": "time", "held_out_from": "2024-04-01"}
    data = {"numbers": ["x"], "time": "t", "split": split}
    assert "time_zone" not in TableSpec.model_validate(data).model_dump(mode="json")["split"]
    told = {**data, "split": {**split, "time_zone": "Europe/Berlin"}}
    dumped = TableSpec.model_validate(told).model_dump(mode="json")
    assert dumped["split"]["time_zone"] == "Europe/Berlin"
    assert TableSpec.model_validate(dumped) == TableSpec.model_validate(told)
