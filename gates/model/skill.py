"""Holds a model against the best of its baselines: it must be better, and not by chance."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gates.engine.suite import Expectation, expect, expect_present
from gates.engine.tables import Table
from gates.errors import SuiteError
from gates.model.facts import ModelFacts, find_measure
from gates.model.measure import Measure, measure_error, measure_errors
from gates.model.paired import compare_skill, divide_gain
from gates.model.part import FIGURES, KEYS, LEAST, Part
from gates.specs.model import SkillLimits

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

SKILL_LOW = "lower end of the skill's 95 % interval"
BESIDE = "worst other figure's skill over its best baseline"
MORE_ROWS = (
    "an interval needs two blocks of held-out rows, of windows each lookback + horizon steps long: "
    "hold out more"
)


def compare_baselines(limits: SkillLimits, facts: ModelFacts, figure: str) -> Part:
    """Compare with the baseline that is best by one figure, and warn where others say no.

    Args:
        limits: the recipe's.
        facts: of the model.
        figure: the one that it is judged by.

    Raises:
        SuiteError: there is no baseline, or the figure is unknown.
    """
    measure = find_measure(facts, figure)
    errors = measure_baselines(measure, facts)
    best = find_best(errors)
    own = measure_errors(measure, facts.answers, facts.truth, facts.drawn)
    skill = compare_skill(own, errors[best], least=measure.find_least(facts.rows))
    least = limits.min_skill
    about = f"skill over the best baseline, {best}, by {figure}"
    shipping = facts.shipping.get(best, "take the baseline")
    hint = (
        f"over {skill.blocks} blocks of rows: hold out more, train better, or state by how much "
        f"the model may be worse; of the baseline ({best}): {shipping}"
    )
    beside = _compare_others(facts, measure)
    return Part(
        expectations=(
            *expect_present(FIGURES, {"skill": about}),
            expect(
                LEAST,
                FIGURES,
                about,
                column="skill",
                min_value=least,
                strict_min=True,
                hint=f"train better; of the baseline: {shipping}",
                key=KEYS + "min_skill",
            ),
            *_expect_low(limits, hint),
            *beside.expectations,
        ),
        figures={"skill": skill.value, "skill_low": skill.low},
        tables=beside.tables,
    )


def _expect_low(limits: SkillLimits, hint: str) -> list[Expectation]:
    """Return the expectations on the lower end of the skill's interval: known, and high enough."""
    stated = limits.min_skill_lower_bound
    return [
        *(
            item.model_copy(update={"hint": MORE_ROWS})
            for item in expect_present(FIGURES, {"skill_low": SKILL_LOW})
        ),
        expect(
            LEAST,
            FIGURES,
            SKILL_LOW,
            column="skill_low",
            min_value=limits.min_skill if stated is None else stated,
            strict_min=True,
            hint=hint,
            key=KEYS + ("min_skill" if stated is None else "min_skill_lower_bound"),
        ),
    ]


def measure_baselines(measure: Measure, facts: ModelFacts) -> dict[str, "Array"]:
    """Return the errors of each baseline, over all rows and without each block.

    Raises:
        SuiteError: there is none.
    """
    if not facts.baselines:
        raise SuiteError(
            "baselines (none) must be given to judge skill; got none; give the last value, the "
            "mean or the commonest class"
        )
    return {
        name: measure_errors(
            find_measure(facts, measure.name, name), answers, facts.truth, facts.drawn
        )
        for name, answers in facts.baselines.items()
    }


def find_best(errors: Mapping[str, "Array"]) -> str:
    """Return the baseline with the smallest error; one that is not finite comes last."""
    return min(errors, key=lambda name: _put_last(float(errors[name][0])))


def _compare_others(facts: ModelFacts, judged: Measure) -> Part:
    """Warn where the model is worse than a baseline by a figure that it is not judged by."""
    import pandas as pd

    records = []
    for measure in facts.measures:
        if measure.name == judged.name:
            continue
        errors = {
            name: measure_error(find_measure(facts, measure.name, name), answers, facts.truth)
            for name, answers in facts.baselines.items()
        }
        own = measure_error(measure, facts.answers, facts.truth)
        best = min(errors, key=lambda name: _put_last(errors[name]))
        least = max(errors[best], measure.find_least(facts.rows))
        skill = float(divide_gain(errors[best] - own, least))
        if math.isfinite(skill):
            records.append({"figure": measure.name, "baseline": best, "skill": skill})
    if not records:
        return Part()
    table = Table(pd.DataFrame.from_records(records), identity=("figure", "baseline"))
    warned = expect(LEAST, "beside", BESIDE, column="skill", min_value=0, severity="warn")
    return Part(expectations=(warned,), tables={"beside": table})


def _put_last(error: float) -> float:
    return error if math.isfinite(error) else math.inf
