"""Every limit that a recipe can state is named by the check that holds rows or models to it."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gates.artifact import judge_artifacts
from gates.engine.suite import Expectation, Suite
from gates.live import LiveFacts, judge_live
from gates.model.classes import judge_classes
from gates.model.facts import ModelFacts
from gates.model.reconstruction import judge_reconstruction
from gates.model.values import judge_values
from gates.specs.artifact import ArtifactGate
from gates.specs.limits import Limits
from gates.specs.live import LiveGate
from gates.specs.model import ClassesGate, ReconstructionGate, ValuesGate
from tests.gates.builders import make_artifact, make_model_facts
from tests.gates.model.test_quantiles import with_quantiles
from tests.gates.model.test_reconstruction import make_facts as make_scores
from tests.gates.model.test_values import make_facts as make_values

CHOICES = {"on_fail", "skill_by", "min_skill_lower_bound", "agreement_tolerance"}
"""Settings that choose, or that take another limit's place, and so are no limit of their own."""
DECIDED = {"min_rows", "min_labels"}  # of the live gate: with fewer there is nothing to judge


def judge_artifact(gate: ArtifactGate, **changes: Any) -> None:
    facts = make_artifact(**changes)
    judge_artifacts({facts.name: gate}, [facts])


def judge_all_classes() -> None:
    gate = ClassesGate(min_average_precision=0.5, min_recall=0.5, min_precision=0.5)
    few = make_model_facts(slices={"phone": np.arange(300) % 2})
    judge_classes(gate, replace(few, champion=few.answers))


def judge_all_values() -> None:
    facts: ModelFacts = with_quantiles(make_values(slices={"phone": np.arange(400) % 2}), 0.3)
    gate = ValuesGate(max_mae=1, max_rmse=1, min_pinball_skill=0.0)
    judge_values(gate, replace(facts, champion=facts.answers))


def judge_all_scores() -> None:
    facts: ModelFacts = make_scores(slices={"phone": np.arange(500) % 2})
    judge_reconstruction(ReconstructionGate(), replace(facts, champion=facts.answers))


def judge_both_artifacts() -> None:
    judge_artifact(ArtifactGate())
    judge_artifact(ArtifactGate(), scored_by="error")


def judge_live_rows() -> None:
    judge_live(LiveGate(), LiveFacts(rows=500, unfit=0, age_hours=1.0, ahead_hours=0.0))


@pytest.mark.parametrize(
    ("section", "limits", "judge"),
    [
        ("model", ClassesGate, judge_all_classes),
        ("model", ValuesGate, judge_all_values),
        ("model", ReconstructionGate, judge_all_scores),
        ("artifact", ArtifactGate, judge_both_artifacts),
        ("live", LiveGate, judge_live_rows),
    ],
)
def test_every_limit_is_named_by_a_check(
    section: str, limits: type[Limits], judge: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Expectation] = []
    build = Suite.__init__

    def record(self: Suite, **given: Any) -> None:
        seen.extend(given["expectations"])
        build(self, **given)

    monkeypatch.setattr(Suite, "__init__", record)
    judge()
    named = {item.key for item in seen if item.key}
    left_out = CHOICES | (DECIDED if section == "live" else set())
    wanted = {f"gates.{section}.{name}" for name in limits.model_fields if name not in left_out}
    # Of a slice that is too small nothing is judged; it is said.
    wanted -= {f"gates.{section}.min_slice_rows"}
    assert wanted <= named
