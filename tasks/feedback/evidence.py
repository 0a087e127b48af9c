"""Evidence: what a decision rests on, one short finding after the other."""

from collections.abc import Iterable
from typing import Literal

from gates.engine.report import GateReport
from tasks.runtime.outcome_base import Result

MOST_NAMED = 20
"""Findings of one sort that are named one by one; the others are counted."""


class Finding(Result):
    """One thing that was found out, or could not be.

    Attributes:
        name: What was looked at, as "fresh rows" or "refused batch".
        outcome: "green" and "red" are judged; what was "not computed" is never green; "noted" is
            told only.
        detail: A sentence.
    """

    name: str
    outcome: Literal["green", "red", "not computed", "noted"]
    detail: str

    def __str__(self) -> str:
        return f"{self.name}: {self.outcome}, {self.detail}"


def list_findings(name: str, report: GateReport) -> list[Finding]:
    """Return a finding for each check that failed, or one that says that all passed."""
    failed = (*report.reasons, *report.warnings)
    found = [Finding(name=name, outcome="red", detail=text) for text in failed[:MOST_NAMED]]
    if (more := len(failed) - MOST_NAMED) > 0:
        found.append(Finding(name=name, outcome="red", detail=f"{more} more checks failed"))
    if found and not report.passed:
        return found
    judged = sum(check.applicable for check in report.checks)
    return [*found, Finding(name=name, outcome="green", detail=f"{judged} checks passed")]


def name_each(name: str, details: Iterable[str]) -> list[Finding]:
    """Return a note for each sentence, the first ones by themselves and the others as a number."""
    told = list(details)
    found = [Finding(name=name, outcome="noted", detail=text) for text in told[:MOST_NAMED]]
    if (more := len(told) - MOST_NAMED) > 0:
        found.append(Finding(name=name, outcome="noted", detail=f"{more} more"))
    return found
