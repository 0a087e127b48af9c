"""Applies what a recipe says of failed checks: stop the run, warn, or set bad rows aside."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from gates.engine.report import Check, GateReport, show, verdict
from storage.base.store import canonical_json, sha256_bytes


class SetAside(BaseModel):
    """How many bad rows may be set aside before the run stops after all."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    max_fraction: float = Field(gt=0, le=1, allow_inf_nan=False)
    """Most rows that may be set aside, as a fraction of all."""


class Quarantine(BaseModel):
    """Sets the bad rows of a check aside, as in `quarantine: {max_fraction: 0.01}`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    quarantine: SetAside
    """How many rows may be set aside."""


Soft = Literal["stop", "warn"]
OnFail = Soft | Quarantine


@dataclass(frozen=True)
class BadRows:
    """The rows that a failed check is about.

    Attributes:
        count: how many there are.
        rows: how many rows were judged.
        names: of the first ones.
    """

    count: int
    rows: int
    names: Sequence[str] = ()


FindRows = Callable[[Check], BadRows]


def refuse_quarantines(on_fail: object) -> object:
    """Refuse to set rows aside after the raw gate.

    What is trained on would no longer be what was prepared or compared.

    Raises:
        ValueError: some check is to quarantine.
    """
    wrong = (
        [name for name, wanted in on_fail.items() if isinstance(wanted, dict)]
        if isinstance(on_fail, dict)
        else []
    )
    if wrong:
        raise ValueError(
            f"on_fail of {', '.join(map(str, wrong))} must be stop or warn; got quarantine; rows "
            "are set aside by the raw gate alone: write it under gates.raw.on_fail, or as an "
            "expectation of your own in gates.raw.expectations"
        )
    return on_fail


def apply_on_fail(
    report: GateReport,
    on_fail: Mapping[str, OnFail] | Mapping[str, Soft],
    find_rows: FindRows | None = None,
) -> GateReport:
    """Return a report in which failures of named checks do what the recipe says.

    They warn, stop, or set rows aside.

    Args:
        report: of any gate.
        on_fail: by a check's name or rule; `*` stands for anything.
        find_rows: finds the bad rows of a check that is about rows; None where no row can be set
            aside.
    """
    if not on_fail:
        return report
    checks = tuple(_change(check, on_fail, find_rows) for check in report.checks)
    plain = {
        name: wanted.model_dump(mode="json") if isinstance(wanted, Quarantine) else wanted
        for name, wanted in on_fail.items()
    }
    digest = sha256_bytes(canonical_json([report.suite_digest, plain]))
    return GateReport(
        stage=report.stage, passed=verdict(checks), checks=checks, suite_digest=digest
    )


def _change(
    check: Check, on_fail: Mapping[str, OnFail] | Mapping[str, Soft], find_rows: FindRows | None
) -> Check:
    for pattern, wanted in on_fail.items():
        if not fnmatchcase(check.about, pattern) and check.rule != pattern:
            continue
        if not isinstance(wanted, Quarantine):
            return check.model_copy(update={"severity": wanted})
        if check.passed or find_rows is None:
            return check.model_copy(update={"severity": "quarantine"})
        return _contain(check, find_rows(check), wanted.quarantine.max_fraction)
    return check


def _contain(check: Check, found: BadRows, most: float) -> Check:
    """Return a failed check with its rows, contained if there are some, and few enough of them."""
    contained = 0 < found.count <= most * found.rows
    share = show(found.count / max(1, found.rows))
    verb = "set aside" if contained else "stops"
    message = (
        f"{check.message}; {found.count} rows, a fraction of {share}, {verb}: at most {show(most)} "
        "may be set aside"
    )
    rows = tuple(found.names) or check.rows
    return check.model_copy(
        update={"severity": "quarantine", "contained": contained, "message": message, "rows": rows}
    )
