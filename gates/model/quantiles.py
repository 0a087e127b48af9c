"""Judges quantiles: each has its share of the truths, and they are nearer than the baselines'."""

from gates.engine.suite import Expectation, expect, expect_present
from gates.engine.tables import Table
from gates.model.facts import ModelFacts
from gates.model.measure import measure_errors
from gates.model.paired import compare_skill
from gates.model.part import FIGURES, KEYS, LEAST, MOST, Part
from gates.model.quantile_facts import QuantileFacts
from gates.model.skill import find_best
from gates.specs.model import ValuesGate

COVERAGE = "distance between a quantile and the share of the truths that it is above"
UNLIKE = (
    "the held-out rows are not as the validation rows are: hold back more of those, of times or "
    "entities like them"
)
MEDIAN = 0.5


def judge_quantiles(gate: ValuesGate, facts: ModelFacts) -> Part:
    """Judge how nearly the quantiles hold their shares, and their skill; nothing without any."""
    import pandas as pd

    found = facts.quantiles
    if found is None:
        return Part()
    records = [
        {"quantile": f"{level:g}", "share_below": share, "gap": abs(share - level)}
        for level, share in zip(found.levels, found.shares, strict=True)
        if level != MEDIAN
    ]
    table = Table(pd.DataFrame.from_records(records), identity=("quantile", "share_below"))
    covered = expect(
        MOST,
        "quantiles",
        COVERAGE,
        column="gap",
        max_value=gate.max_coverage_gap,
        hint=UNLIKE,
        key=KEYS + "max_coverage_gap",
    )
    skill, best = _compare_baselines(found, facts)
    return Part(
        expectations=(covered, *_expect_skill(gate, best)),
        figures={"pinball_skill": skill},
        tables={"quantiles": table},
    )


def _expect_skill(gate: ValuesGate, best: str) -> list[Expectation]:
    """Return the expectations on the skill by the pinball loss: known, and high enough."""
    stated, about = gate.min_pinball_skill, f"pinball skill over the best baseline, {best}"
    return [
        *expect_present(FIGURES, {"pinball_skill": about}),
        expect(
            LEAST,
            FIGURES,
            about,
            column="pinball_skill",
            min_value=gate.min_skill if stated is None else stated,
            strict_min=True,
            hint="train better, or state by how much the quantiles may be worse",
            key=KEYS + ("min_skill" if stated is None else "min_pinball_skill"),
        ),
    ]


def _compare_baselines(found: QuantileFacts, facts: ModelFacts) -> tuple[float, str]:
    """Return the skill by the pinball loss, and the baseline that it is over."""
    errors = {
        name: measure_errors(
            found.measure, answers[:, None] + found.margins[name], facts.truth, facts.drawn
        )
        for name, answers in facts.baselines.items()
    }
    best = find_best(errors)
    own = measure_errors(found.measure, found.answers, facts.truth, facts.drawn)
    return compare_skill(own, errors[best]).value, best
