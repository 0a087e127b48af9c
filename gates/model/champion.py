"""Holds a model against the promoted one on the same rows, with what chance may have done."""

import math

from gates.engine.report import Severity, skip_check
from gates.engine.suite import Expectation, expect, expect_present
from gates.model.facts import CHAMPION, ModelFacts, find_measure
from gates.model.measure import measure_errors
from gates.model.paired import Comparison, compare_difference, compare_skill, make_unknown
from gates.model.part import FIGURES, KEYS, LEAST, Part
from gates.specs.model import SkillLimits

MOST_UNPROVEN = 0.03
ONE_SIDED = 1.645 / 1.96
"""Quantiles of the normal: what one of twenty exceeds, over the end of an interval of 95 %."""
WORSE = "p-value that the champion is no better (paired test over blocks of rows)"


def compare_champion(limits: SkillLimits, facts: ModelFacts, figure: str) -> Part:
    """Compare with the champion: a loss beyond the margin stops where it is no chance.

    What chance may have done warns, up to a limit of its own. A gain is relative to the champion's
    error where less is better, else a difference of fractions.

    Args:
        limits: the recipe's.
        facts: of the model and the champion.
        figure: the one that both are judged by.
    """
    about = f"{figure} gained over the champion"
    if facts.champion is None:
        return Part(skipped=(skip_check(LEAST, about, "no model has been promoted yet"),))
    gain = _compare(figure, facts)
    proven = not gain.high >= 0
    severity: Severity = "stop" if proven else "warn"
    hint = f"95 % interval {gain.low:.4g} to {gain.high:.4g}, over {gain.blocks} blocks of rows"
    margin, most = -limits.max_loss_to_champion, -_choose_most(limits, gain)
    return Part(
        expectations=(
            *expect_present(FIGURES, {"champion_gain": about}),
            expect(
                LEAST,
                FIGURES,
                about,
                column="champion_gain",
                min_value=margin,
                severity=severity,
                hint=hint if proven else f"{hint}: chance may have done it",
                key=KEYS + "max_loss_to_champion",
            ),
            expect(
                LEAST,
                FIGURES,
                f"{about}, proven or not",
                column="champion_gain",
                min_value=min(margin, most),
                hint=f"{hint}: hold out more rows to know more",
                key=KEYS + "max_unproven_loss_to_champion",
            ),
            _expect_no_worse(limits.min_worse_p_value),
        ),
        figures={"champion_gain": gain.value, "worse_p_value": gain.p_no_worse},
    )


def _choose_most(limits: SkillLimits, gain: Comparison) -> float:
    """Return the most that may be lost unproven: stated, or what chance does to equal models."""
    if limits.max_unproven_loss_to_champion is not None:
        return limits.max_unproven_loss_to_champion
    reach = gain.value - gain.low  # to the end of an interval of 95 %, which is two-sided
    return max(MOST_UNPROVEN, ONE_SIDED * reach) if math.isfinite(reach) else MOST_UNPROVEN


def _expect_no_worse(least: float) -> Expectation:
    """Return the expectation, which warns, that the champion is not surely better."""
    column, key = "worse_p_value", KEYS + "min_worse_p_value"
    return expect(LEAST, FIGURES, WORSE, column=column, min_value=least, severity="warn", key=key)


def _compare(figure: str, facts: ModelFacts) -> Comparison:
    """Return how far the model is ahead of the champion, each decided as it decides itself."""
    if facts.champion is None or not facts.rows:
        return make_unknown()
    measure = find_measure(facts, figure)
    own, champion = (
        measure_errors(find_measure(facts, figure, by), answers, facts.truth, facts.drawn)
        for by, answers in (("", facts.answers), (CHAMPION, facts.champion))
    )
    compare = compare_skill if measure.direction == "lower" else compare_difference
    return compare(own, champion)
