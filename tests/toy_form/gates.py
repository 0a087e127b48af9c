"""What the gates ask of pairs, and of answers that put them in order."""

from typing import Any

import numpy as np
import pandas as pd

from gates.engine.judge import run_suite
from gates.engine.report import GateReport
from gates.engine.suite import Suite, expect, expect_present
from gates.engine.tables import Table
from gates.model.facts import STAGE, ModelFacts
from gates.model.objective import ModelGateOfObjective
from gates.model.objectives import OBJECTIVES
from gates.raw.check_names import DUPLICATES, LABEL
from gates.raw.form import RawForm
from gates.raw.forms import FORMS
from gates.raw.image import LIMITS, judge_images
from gates.specs.limits import Fraction
from gates.specs.model import ModelLimits


class OrderGate(ModelLimits):
    """What a model must show that puts pairs in order."""

    min_ordered: Fraction = 0.9
    """Smallest share of held-out pairs of which the larger side is named."""
    min_gain: Fraction = 0.2
    """Smallest share above that of the best baseline."""


def judge_order(gate: OrderGate, facts: ModelFacts) -> GateReport:
    """Judge held-out margins: complete, finite, mostly right, better than the baselines."""
    ordered = facts.find_figure("ordered")
    others = [float(np.mean((found > 0) == facts.truth)) for found in facts.baselines.values()]
    figures: dict[str, Any] = {"ordered": ordered, "gain": ordered - max(others)}
    tables = {
        "answers": Table(pd.DataFrame({"lost": ~np.isfinite(facts.answers)})),
        "figures": Table(pd.DataFrame([figures])),
    }
    least, about = "expect_column_min_to_be_between", "pairs in the right order"
    expectations = (
        expect(
            "expect_table_row_count_to_equal", "answers", "pairs judged", value=facts.rows_held_out
        ),
        expect("expect_column_sum_to_be_between", "answers", "lost", column="lost", max_value=0),
        *expect_present("figures", {"ordered": about}),
        expect(least, "figures", about, column="ordered", min_value=gate.min_ordered),
        expect(least, "figures", "gain over baselines", column="gain", min_value=gate.min_gain),
    )
    return run_suite(Suite(stage=STAGE, expectations=expectations), tables)


FORMS.register("pairs", RawForm("pairs", LIMITS, (LABEL, DUPLICATES), judge_images))
OBJECTIVES.register("order", ModelGateOfObjective("order", OrderGate, judge_order))
