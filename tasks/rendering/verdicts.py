"""What a gate's checks came to, in words."""

from collections.abc import Iterable
from typing import Literal

from gates.engine.report import Check, GateReport

Verdict = Literal["passed", "failed", "warning", "quarantined", "not applicable"]
SIGNS: dict[Verdict, str] = {
    "passed": "✓",
    "failed": "✕",
    "warning": "△",
    "quarantined": "△",
    "not applicable": "○",
}


def name_verdict(check: Check) -> Verdict:
    """Return a check's outcome in a word; only "failed" stops a run."""
    if not check.applicable:
        return "not applicable"
    if check.passed:
        return "passed"
    if check.severity == "quarantine" and check.contained:
        return "quarantined"
    return "warning" if check.severity == "warn" else "failed"


def list_failed(report: GateReport) -> tuple[Check, ...]:
    """Return the checks that stopped the run."""
    return _choose(report, {"failed"})


def list_noted(report: GateReport) -> tuple[Check, ...]:
    """Return the checks that failed without stopping the run."""
    return _choose(report, {"warning", "quarantined"})


def _choose(report: GateReport, verdicts: Iterable[str]) -> tuple[Check, ...]:
    return tuple(check for check in report.checks if name_verdict(check) in verdicts)


def find_note(check: Check) -> str:
    """Return what a check's message says besides rule, observation and limit."""
    head = f"{check.rule} on {check.about}: observed "
    if not check.message.startswith(head):
        return check.message
    return check.message.partition(", limit ")[2].partition("; ")[2]
