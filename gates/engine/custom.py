"""Reads expectations of a user's own: from the recipe, from JSON, or from Python."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from gates.engine.on_fail import OnFail, Quarantine
from gates.engine.report import Severity
from gates.engine.suite import DOMAIN_KEYS, Expectation, Suite
from gates.errors import SuiteError
from storage.base.json_keys import load_json

ROWS = "rows"
_ON_ROWS = (
    "expect_column_values_",
    "expect_column_value_",
    "expect_column_pair_values_",
    "expect_multicolumn_",
    "expect_compound_columns_",
    "expect_select_column_values_",
)


class OwnExpectation(BaseModel):
    """One expectation on the rows of a version, in Great Expectations' own words."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    type: str
    """Type of a stock expectation, such as `expect_column_values_to_be_between`."""
    kwargs: dict[str, JsonValue] = Field(default={})
    """Its arguments; `column` is one of the recipe, `label`, or one such as `image.brightness`."""
    on_fail: OnFail = "stop"
    """What a failure does: stop the run, warn, or set the bad rows aside if they are few."""

    @model_validator(mode="after")
    def _only_rows_can_be_set_aside(self) -> Self:
        if isinstance(self.on_fail, Quarantine) and not self.type.startswith(_ON_ROWS):
            raise ValueError(
                f"on_fail of {self.type} must be stop or warn; got quarantine; it judges all rows "
                "together and names none: expect something of each row (expect_column_values_...) "
                "to set rows aside"
            )
        return self


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
        document = load_json(text)
        listed = document["expectations"] if isinstance(document, dict) else document
        return tuple(_parse_one(dict(entry)) for entry in listed)
    except (ValueError, TypeError, KeyError, RecursionError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise SuiteError(
            f"suite ({origin}) must be Great Expectations' JSON, with a list `expectations` of "
            f"type and kwargs; got {type(error).__name__}: {reason}; export it again, or write one "
            "with `lepton gates draft`"
        ) from error


def _parse_one(entry: dict[str, Any]) -> OwnExpectation:
    rule = entry.get("type") or entry["expectation_type"]
    kwargs = {
        key: value for key, value in dict(entry.get("kwargs") or {}).items() if value is not None
    }
    on_fail = (entry.get("meta") or {}).get(
        "on_fail", "warn" if entry.get("severity") == "warning" else "stop"
    )
    return OwnExpectation.model_validate({"type": rule, "kwargs": kwargs, "on_fail": on_fail})


def read_suite(made: object, origin: str) -> tuple[OwnExpectation, ...]:
    """Return the expectations that a function of a user's own made.

    It may have made a suite of Great Expectations, its expectations, or plain dicts.

    Raises:
        SuiteError: it made something else.
    """
    listed = getattr(made, "expectations", made)
    if isinstance(listed, str | Mapping) or not isinstance(listed, Iterable):
        raise SuiteError(
            f"suite ({origin}) must give a list of expectations; got {type(made).__name__}; return "
            "a list"
        )
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
