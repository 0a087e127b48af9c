"""Expectations of a user's own: from the recipe, from Great Expectations' JSON, or from Python; and what a failure does."""

import json
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from gates.errors import SuiteError
from gates.report import Check, GateReport, Severity, verdict
from gates.suite import DOMAIN_KEYS, Expectation, Suite
from storage.files import canonical_json, sha256_bytes

ROWS = "rows"


class SetAside(BaseModel):
    """How many bad rows may be set aside before the run stops after all."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_fraction: float = Field(gt=0, le=1, allow_inf_nan=False)
    """Most rows that may be set aside, as a fraction of all."""


class Quarantine(BaseModel):
    """`quarantine: {max_fraction: 0.01}`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    quarantine: SetAside


OnFail = Literal["stop", "warn"] | Quarantine


class OwnExpectation(BaseModel):
    """One expectation on the rows of a version, in Great Expectations' own words.

    Attributes:
        type: of a stock expectation, such as `expect_column_values_to_be_between`.
        kwargs: its arguments; `column` is a column of the recipe, `label`, or a derived one such as `image.brightness`.
        on_fail: stop the run, warn, or set the bad rows aside if they are few.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str
    kwargs: dict[str, JsonValue] = Field(default={})
    on_fail: OnFail = "stop"


def build_own_suite(expectations: Iterable[OwnExpectation], stage: str) -> Suite:
    """Return a suite on the table of rows."""
    return Suite(stage=stage, expectations=tuple(_translate(item) for item in expectations))


def _translate(item: OwnExpectation) -> Expectation:
    set_aside = item.on_fail.quarantine if isinstance(item.on_fail, Quarantine) else None
    severity: Severity = "quarantine" if isinstance(item.on_fail, Quarantine) else item.on_fail
    named = [str(item.kwargs[key]) for key in DOMAIN_KEYS if key in item.kwargs]
    return Expectation(
        rule=item.type,
        table=ROWS,
        about=", ".join(named) or ROWS,
        kwargs=item.kwargs,
        severity=severity,
        max_fraction=set_aside.max_fraction if set_aside is not None else 0.0,
    )


def parse_suite(text: str, origin: str) -> tuple[OwnExpectation, ...]:
    """Return the expectations of Great Expectations' JSON; `meta.on_fail` says what a failure does.

    Raises:
        SuiteError: it is no such JSON.
    """
    try:
        document = json.loads(text)
        listed = document["expectations"] if isinstance(document, dict) else document
        return tuple(_parse_one(dict(entry)) for entry in listed)
    except (ValueError, TypeError, KeyError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise SuiteError(
            f"suite ({origin}) must be Great Expectations' JSON, with a list `expectations` of type and kwargs; got "
            f"{type(error).__name__}: {reason}; export it again, or write one with `lepton gates draft`"
        ) from error


def _parse_one(entry: dict[str, Any]) -> OwnExpectation:
    rule = entry.get("type") or entry["expectation_type"]
    kwargs = {key: value for key, value in dict(entry.get("kwargs") or {}).items() if value is not None}
    on_fail = (entry.get("meta") or {}).get("on_fail", "warn" if entry.get("severity") == "warning" else "stop")
    return OwnExpectation.model_validate({"type": rule, "kwargs": kwargs, "on_fail": on_fail})


def read_suite(made: object, origin: str) -> tuple[OwnExpectation, ...]:
    """Return the expectations that a function of a user's own made: a GX suite, GX expectations, or plain dicts.

    Raises:
        SuiteError: it made something else.
    """
    listed = getattr(made, "expectations", made)
    if isinstance(listed, str | Mapping) or not isinstance(listed, Iterable):
        raise SuiteError(f"suite ({origin}) must give a list of expectations; got {type(made).__name__}; return a list")
    plain: list[Any] = []
    for item in listed:
        if isinstance(item, OwnExpectation):
            plain.append(item.model_dump())
            continue
        configuration = getattr(item, "configuration", None)
        plain.append(item if configuration is None else configuration.to_json_dict())
    named = [{**entry, "meta": {**(entry.get("meta") or {}), **_lift(entry)}} for entry in plain]
    return parse_suite(json.dumps(named, default=str), origin)


def _lift(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return what stands beside `type` in a recipe and in `meta` in Great Expectations' JSON."""
    return {"on_fail": entry["on_fail"]} if "on_fail" in entry else {}


def apply_on_fail(report: GateReport, on_fail: Mapping[str, Literal["stop", "warn"]]) -> GateReport:
    """Return a report in which failures of the named checks warn, or stop, as the recipe says.

    Args:
        report: of any gate.
        on_fail: by a check's name or rule; `*` stands for anything.
    """
    if not on_fail:
        return report
    checks = tuple(_soften(check, on_fail) for check in report.checks)
    digest = sha256_bytes(canonical_json([report.suite_digest, dict(on_fail)]))
    return GateReport(stage=report.stage, passed=verdict(checks), checks=checks, suite_digest=digest)


def _soften(check: Check, on_fail: Mapping[str, Literal["stop", "warn"]]) -> Check:
    for pattern, severity in on_fail.items():
        if fnmatchcase(check.about, pattern) or check.rule == pattern:
            return check.model_copy(update={"severity": severity})
    return check
