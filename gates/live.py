"""The live gate judges what came back from a model at work: whether it fits, and how old it is.

How far its values are from those that the model learned from, the drift gate says.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict

from gates.engine.judge import run_suite
from gates.engine.on_fail import apply_on_fail
from gates.engine.report import GateReport
from gates.engine.suite import Expectation, Suite, expect, expect_present
from gates.engine.tables import Table
from gates.specs.live import LiveGate

STAGE = "live"
UNFIT = "share of rows that break the data section"
AGE = "age of the newest row, in hours"
AHEAD = "furthest row in the future, in hours"
_KEYS = "gates.live."
_MOST = "expect_column_max_to_be_between"


class LiveFacts(BaseModel):
    """What is known of rows that came back. A figure is None where it could not be computed.

    Attributes:
        rows: Rows that came back and that the promoted model has not learned from, unfit ones
            among them.
        unfit: Rows among them that break what the data section declares.
        age_hours: Age of the newest row.
        ahead_hours: How far the newest row lies in the future; 0 where it lies in the past.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int
    unfit: int | None
    age_hours: float | None
    ahead_hours: float | None


def judge_live(gate: LiveGate, facts: LiveFacts) -> GateReport:
    """Judge rows that came back; what could not be computed is red, and so is no row at all."""
    table = _tabulate(facts)
    suite = Suite(stage=STAGE, expectations=tuple(_list_expectations(gate)))
    report = run_suite(suite, {"live": table} if facts.rows else {})
    return apply_on_fail(report, gate.on_fail)


def _list_expectations(gate: LiveGate) -> list[Expectation]:
    limits = {
        "unfit_share": (UNFIT, "max_unfit_fraction"),
        "age_hours": (AGE, "max_age_hours"),
        "ahead_hours": (AHEAD, "max_ahead_hours"),
    }

    def ask(column: str, about: str, limit: str) -> Expectation:
        most, key = getattr(gate, limit), _KEYS + limit
        return expect(_MOST, "live", about, column=column, max_value=most, key=key)

    present = expect_present("live", {name: about for name, (about, _) in limits.items()})
    return [*present, *(ask(name, *limit) for name, limit in limits.items())]


def _tabulate(facts: LiveFacts) -> Table:
    """Return one row of the figures."""
    import pandas as pd

    share = None if facts.unfit is None else facts.unfit / max(1, facts.rows)
    figures: dict[str, Any] = {
        "unfit_share": share,
        "age_hours": facts.age_hours,
        "ahead_hours": facts.ahead_hours,
    }
    return Table(pd.DataFrame([{"judged": 1, **figures}]))
