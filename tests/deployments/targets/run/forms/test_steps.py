"""When the steps of a forecast are: where the rows say it, and nowhere else."""

from datetime import UTC, datetime

import numpy as np
import pytest

from deployments.targets.run.forms.steps import list_step_times
from deployments.targets.trust.card import OutputSpec
from tests.deployments.targets.material import make_golden
from tests.deployments.targets.run.forms.test_rows import SERIES
from tests.deployments.targets.run.forms.test_rows import make_card as make_row_card
from tests.deployments.targets.serve.asking import Held, Node, make_live

START = datetime(2016, 3, 4, tzinfo=UTC).timestamp()


def list_times(*seconds: float, steps: int = 2, ahead: int = 0) -> tuple[str, ...]:
    return list_step_times(START + np.array(seconds), steps, ahead)


def test_even_rows_go_on_as_they_went() -> None:
    assert list_times(0, 300, 600) == ("2016-03-04T00:15:00Z", "2016-03-04T00:20:00Z")
    assert list_times(0, 86400, steps=1) == ("2016-03-06T00:00:00Z",)
    assert list_times(0, 0.25, steps=1) == ("2016-03-04T00:00:00.500000Z",)
    assert list_times(0, 300, steps=0) == ()


def test_rows_to_come_say_when_they_are() -> None:
    told = list_times(0, 300, 700, 900, ahead=2)
    assert told == ("2016-03-04T00:11:40Z", "2016-03-04T00:15:00Z")
    assert list_times(0, 300, 700, 900, steps=1, ahead=2) == told[:1]


@pytest.mark.parametrize(
    "seconds", [(0,), (0, 300, 900), (0, 0), (300, 0), (0, np.nan), (0, 1e300), (0, 4e11)]
)
def test_what_nobody_knows_is_not_told(seconds: tuple[float, ...]) -> None:
    assert list_times(*seconds) == ()


def test_answers_say_when_what_they_forecast_is() -> None:
    outputs = (OutputSpec(name="values", meaning="values", shape=(2, 1), labels=("flow",)),)
    golden = make_golden(b"", SERIES, outputs)
    asked = {"objective": "forecast", "outputs": outputs, "golden": golden}
    card = make_row_card(SERIES).model_copy(update=asked)
    node = Node(Held(make_live(card)))
    text = b"flow,when\n1,04/03/2016 00:00\n2,04/03/2016 00:05\n"
    (told,) = node.post("/predict/x", text, "text/csv").json["predictions"]
    assert len(told["forecast"]["flow"]) == 2
    assert told["times"] == ["2016-03-04T00:10:00Z", "2016-03-04T00:15:00Z"]
