"""Two models of one channel answer the same question, or the later one is refused at once."""

from typing import Any

import pytest

from flows.run.clashes import _compare

WINDOW = {"lookback": 24, "horizon": 3, "targets": ["sales"]}


def describe(**window: Any) -> dict[str, Any]:
    data = {"numbers": ["sales", "offer"]}
    return {"name": "sales", "kind": "forecasting", "data": data, "model": {"window": window}}


@pytest.mark.parametrize(
    ("changes", "differ"),
    [
        ({}, []),
        ({"lead": 0, "known": []}, []),  # as a recipe is written today
        ({"lead": 2}, ["model.window.lead"]),
        ({"known": ["offer"]}, ["model.window.known"]),
        ({"horizon": 4}, ["model.window.horizon"]),
    ],
)
def test_other_steps_ahead_are_another_question(changes: dict[str, Any], differ: list[str]) -> None:
    assert _compare(describe(**{**WINDOW, **changes}), describe(**WINDOW)) == differ
