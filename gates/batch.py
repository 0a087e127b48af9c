"""The batch gate judges the answers to all rows of a data set before any of them is published.

How far the rows are from those that the model learned from, the drift gate says.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict

from gates.engine.judge import run_suite
from gates.engine.on_fail import apply_on_fail
from gates.engine.report import GateReport
from gates.engine.suite import Expectation, Suite, expect, expect_present
from gates.engine.tables import Table
from gates.specs.batch import BatchGate

STAGE = "answers"
UNANSWERED = "share of rows without an answer"
NOTED = "share of answers with a note"
_KEYS = "gates.batch."
_MOST = "expect_column_max_to_be_between"


class BatchFacts(BaseModel):
    """What is known of a batch.

    Attributes:
        rows: Rows that were asked for, those that could not be read among them.
        answered: Rows with an answer.
        noted: Answers with a note.
        hints: The first reasons why rows have no answer, and the first notes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int
    answered: int
    noted: int
    hints: tuple[str, ...] = ()


def judge_batch(gate: BatchGate, facts: BatchFacts) -> GateReport:
    """Judge a batch; one without any answer is red, whatever a failed check does otherwise."""
    table = _tabulate(facts)
    suite = Suite(stage=STAGE, expectations=tuple(_list_expectations(gate, facts)))
    if not facts.answered:
        return run_suite(suite, {})
    return apply_on_fail(run_suite(suite, {"batch": table}), gate.on_fail)


def _list_expectations(gate: BatchGate, facts: BatchFacts) -> list[Expectation]:
    limits = {
        "unanswered": (UNANSWERED, "max_unanswered_fraction"),
        "noted": (NOTED, "max_noted_fraction"),
    }

    def ask(column: str, about: str, limit: str) -> Expectation:
        most, key, hint = getattr(gate, limit), _KEYS + limit, "; ".join(facts.hints)
        return expect(_MOST, "batch", about, column=column, max_value=most, key=key, hint=hint)

    present = expect_present("batch", {name: about for name, (about, _) in limits.items()})
    return [*present, *(ask(name, *limit) for name, limit in limits.items())]


def _tabulate(facts: BatchFacts) -> Table:
    """Return one row of the figures."""
    import pandas as pd

    figures: dict[str, Any] = {
        "unanswered": (facts.rows - facts.answered) / max(1, facts.rows),
        "noted": facts.noted / max(1, facts.answered),
    }
    return Table(pd.DataFrame([{"judged": 1, **figures}]))
