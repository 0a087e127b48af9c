"""A gate's report has one check an expectation, and passes only if every check was proven.

The records are plain data: they survive JSON unchanged and never hold NaN or an infinity, which
JSON cannot carry; such a number is kept as its name ("NaN", "Infinity"), and it never passes.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, JsonValue, model_validator

from storage.base.store import canonical_json, sha256_bytes

Severity = Literal["stop", "quarantine", "warn"]

MAX_ROWS_NAMED = 20
MAX_REASONS = 10
_MAX_ITEMS_SHOWN = 8
_NOT_NUMBERS = frozenset({"NaN", "Infinity", "-Infinity"})


class Check(BaseModel):
    """The verdict on one expectation.

    Attributes:
        rule: type of the expectation, in Great Expectations' words.
        about: what was judged, such as `image.max`.
        observed: the figure that was seen; None only if the check did not apply or could not be
            computed.
        limit: the figure that was allowed.
        passed: True only if `observed` was computed and lies within `limit`, or if the check does
            not apply.
        severity: what a failure does: `stop` the run, `quarantine` the rows, or `warn`.
        applicable: False if there was nothing to compare with, such as no champion yet; the message
            says so.
        contained: whether a failed check with severity `quarantine` leaves few enough bad rows to
            set them aside.
        message: one sentence naming rule, observed, limit and where.
        rows: the first offending rows, shards or files, at most 20.
        subject: what the check is about beside others, such as a column; empty for its own name.
        hint: what to do about a failure, as far as the gate knows it.
        key: where the recipe states the limit, as `gates.raw.min_rows`; empty where it does not.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: str
    about: str
    observed: JsonValue
    limit: JsonValue
    passed: bool
    severity: Severity = "stop"
    applicable: bool = True
    contained: bool = False
    message: str
    rows: tuple[str, ...] = ()
    subject: str = ""
    hint: str = ""
    key: str = ""

    @model_validator(mode="after")
    def _pass_needs_proof(self) -> Self:
        if self.passed and self.applicable and not is_proven(self.observed):
            raise ValueError(
                f"check ({self.rule} on {self.about}) must fail without a finite observation; got "
                f"{self.observed!r}"
            )
        return self

    @property
    def stops(self) -> bool:
        """Whether this check alone ends the run."""
        if self.passed or self.severity == "warn":
            return False
        return not (self.severity == "quarantine" and self.contained)


class GateReport(BaseModel):
    """All that one gate has seen.

    Attributes:
        stage: the gate's name.
        passed: no check stopped the run, and at least one was made.
        checks: in the order of the suite.
        suite_digest: sha256 of the suite's canonical JSON, hex: which limits were applied.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: str
    passed: bool
    checks: tuple[Check, ...]
    suite_digest: str

    @model_validator(mode="after")
    def _verdict_must_follow(self) -> Self:
        if self.passed != verdict(self.checks):
            raise ValueError(
                f"report of gate {self.stage} (passed={self.passed}) must follow from its checks"
            )
        return self

    @property
    def reasons(self) -> tuple[str, ...]:
        """Messages of the checks that stopped the run, in the order of the suite."""
        return tuple(check.message for check in self.checks if check.stops)

    @property
    def told(self) -> tuple[str, ...]:
        """What a stop says: at most ten reasons, each subject once before any a second time."""
        return shorten_reasons([check for check in self.checks if check.stops])

    @property
    def warnings(self) -> tuple[str, ...]:
        """Messages of the checks that failed without stopping the run."""
        return tuple(check.message for check in self.checks if not check.passed and not check.stops)


def shorten_reasons(checks: Sequence[Check]) -> tuple[str, ...]:
    """Return the messages of ten checks at most, and how many more the gate's page has.

    The first of each subject goes before the others of it: a column that breaks five limits does
    not hide the next one.
    """
    if len(checks) <= MAX_REASONS:
        return tuple(check.message for check in checks)
    subjects: dict[str, int] = {}
    ranks = []
    for check in checks:
        subject = check.subject or check.about
        subjects[subject] = subjects.get(subject, 0) + 1
        ranks.append(subjects[subject])
    order = sorted(range(len(checks)), key=lambda place: (ranks[place], place))[:MAX_REASONS]
    more = len(checks) - MAX_REASONS
    kept = tuple(checks[place].message for place in sorted(order))
    return (*kept, f"and {more} more of {len(subjects)} subjects: the gate's page has them all")


def verdict(checks: tuple[Check, ...]) -> bool:
    """Return whether these checks let the run go on: at least one applied, and none stops it."""
    return any(check.applicable for check in checks) and not any(check.stops for check in checks)


def join_reports(stage: str, reports: Sequence[GateReport]) -> GateReport:
    """Return one report of several suites on the same data; its digest is over theirs."""
    checks = tuple(check for report in reports for check in report.checks)
    digest = sha256_bytes(canonical_json([report.suite_digest for report in reports]))
    return GateReport(stage=stage, passed=verdict(checks), checks=checks, suite_digest=digest)


def skip_check(rule: str, about: str, reason: str) -> Check:
    """Record a check that does not apply, and why: it neither proves nor stops anything."""
    message = f"{rule} on {about}: not applicable, {reason}"
    return Check(
        rule=rule,
        about=about,
        observed=None,
        limit=None,
        passed=True,
        applicable=False,
        message=message,
    )


def is_proven(observed: JsonValue) -> bool:
    """Return whether an observation is there and finite, all the way down."""
    if observed is None or (isinstance(observed, str) and observed in _NOT_NUMBERS):
        return False
    if isinstance(observed, float):
        return math.isfinite(observed)
    if isinstance(observed, list):
        return all(is_proven(item) for item in observed)
    if isinstance(observed, dict):
        return all(is_proven(item) for item in observed.values())
    return True


def to_plain(value: object) -> JsonValue:
    """Return a value as plain JSON data.

    Numpy scalars are unwrapped, dates are ISO 8601, NaN and infinities stand by name.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return float(value)
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((to_plain(item) for item in value), key=str)
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    if hasattr(value, "tolist") and (plain := value.tolist()) is not value:
        return to_plain(plain)
    return str(value)


def show(value: JsonValue) -> str:
    """Return a value as a person reads it: ten digits, long lists cut."""
    if isinstance(value, bool) or value is None:
        return str(value).lower() if value is not None else "nothing"
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, list):
        shown = ", ".join(show(item) for item in value[:_MAX_ITEMS_SHOWN])
        more = (
            f", and {len(value) - _MAX_ITEMS_SHOWN} more" if len(value) > _MAX_ITEMS_SHOWN else ""
        )
        return f"[{shown}{more}]"
    if isinstance(value, dict):
        return ", ".join(f"{key} {show(item)}" for key, item in value.items())
    return str(value)
