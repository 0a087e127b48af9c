"""What a smaller network must come to is said by the figure that artifacts are judged by."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from lightning_modules.specs.objectives import OBJECTIVES, ObjectiveSpec
from lightning_modules.training import tuning
from lightning_modules.training.tuning import Tuning, find_goal


@pytest.mark.parametrize("row", OBJECTIVES.rows, ids=lambda row: row.name)
def test_only_a_headline_that_is_watched_gives_a_training_up(
    row: ObjectiveSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = SimpleNamespace(figures={row.watched.name: 0.5})
    monkeypatch.setattr(tuning, "predict_rows", lambda *given: told)
    teacher = SimpleNamespace(answer=SimpleNamespace(spec=row))
    plan = SimpleNamespace(most_lost=0.1, open_validation=lambda: None, reader=None)
    goal = find_goal(cast(Any, teacher), cast(Tuning, plan))
    worst = 0.55 if row.watched.direction == "lower" else 0.4
    judged_by_it = row.headline == row.watched_as
    assert goal == (pytest.approx(worst) if judged_by_it else None)
    assert judged_by_it != (row.name == "reconstruction")
