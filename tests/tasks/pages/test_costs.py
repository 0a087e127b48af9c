"""Wrong answers are priced on the page where a recipe chooses the threshold by cost, only."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from tasks.pages.run_page import _price_errors


@pytest.mark.parametrize("positive", [0, 1])
def test_a_recipe_that_prices_errors_gets_their_sum(positive: int) -> None:
    def price(threshold: dict[str, Any] | None, **told: Any) -> Any:
        record = SimpleNamespace(recipe={"document": {"model": {"threshold": threshold}}})
        counts = told.get("counts", ((90, 4), (1, 5)))
        sample = SimpleNamespace(positive=positive)
        evaluated = SimpleNamespace(labels=("No", "Yes"), confusion=counts, sample=sample)
        return _price_errors(cast(Any, record), cast(Any, evaluated))

    cost = {"cost": {"missed": 50, "false_alarm": 3}}
    found = price(cost)
    assert found.total == (50 + 4 * 3 if positive else 4 * 50 + 3)
    assert found.positive == ("Yes" if positive else "No")
    assert price(None) is price({"recall": 0.9}) is price(cost, counts=()) is None
