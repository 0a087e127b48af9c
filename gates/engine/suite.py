"""A suite as plain data: which stock expectation is applied to which table, with which limits.

It mirrors Great Expectations' own configuration (type and kwargs) and adds what its results are
read with: the table, the name under which a person knows the figure, and what a failure does.
Importing this loads nothing heavy.
"""

import math
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator

from gates.engine.report import Severity, to_plain
from storage.base.store import canonical_json, sha256_bytes

DOMAIN_KEYS = ("column", "column_A", "column_B", "column_list")


class Expectation(BaseModel):
    """One expectation on one table.

    Attributes:
        rule: type of a stock expectation, such as `expect_column_max_to_be_between`.
        table: name of the table that it is applied to.
        about: the figure's name in messages, such as `image.max`.
        kwargs: the expectation's own arguments.
        severity: what a failure does.
        max_fraction: most rows that a failure may set aside instead of stopping, as a fraction of
            the table; only with severity `quarantine`.
        mark: column of the table of which the entries that are neither zero nor false are the
            offending rows; empty if the rule itself names them.
        hint: what a person who reads of a failure should know besides; no part of the suite's
            identity.
        key: where the recipe states the limit, as `gates.raw.min_rows`; no part of it either.
        subject: what it is about beside others, such as a column; nor is this.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: str
    table: str
    about: str
    kwargs: dict[str, JsonValue]
    severity: Severity = "stop"
    mark: str = ""
    max_fraction: float = Field(default=0.0, ge=0, le=1)
    hint: str = Field(default="", exclude=True)
    key: str = Field(default="", exclude=True)
    subject: str = Field(default="", exclude=True)

    @field_validator("kwargs")
    @classmethod
    def _limits_must_be_finite(cls, kwargs: dict[str, JsonValue]) -> dict[str, JsonValue]:
        for key, value in kwargs.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(
                    f"limit {key} ({value}) must be finite; got {value}; leave it out to set no "
                    "limit"
                )
        return kwargs

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the expectation names."""
        named: list[str] = []
        for key in DOMAIN_KEYS:
            value = self.kwargs.get(key)
            named += (
                [str(item) for item in value]
                if isinstance(value, list)
                else [str(value)]
                if value
                else []
            )
        return tuple(named)

    @property
    def limit(self) -> dict[str, JsonValue]:
        """The arguments that state a limit: all but the domain."""
        return {key: value for key, value in self.kwargs.items() if key not in DOMAIN_KEYS}


class Suite(BaseModel):
    """The expectations of one gate, in the order in which they are reported."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: str
    expectations: tuple[Expectation, ...]

    @property
    def digest(self) -> str:
        """Sha256 of the suite's canonical JSON, hex."""
        return sha256_bytes(canonical_json(self.model_dump(mode="json")))


def expect(
    rule: str,
    table: str,
    about: str = "",
    *,
    severity: Severity = "stop",
    mark: str = "",
    max_fraction: float = 0.0,
    hint: str = "",
    key: str = "",
    subject: str = "",
    **kwargs: object,
) -> Expectation:
    """Return an expectation; arguments that are None set no limit and are left out.

    Args:
        rule: type of a stock expectation.
        table: the table that it is applied to.
        about: the figure's name in messages; the column's name if empty.
        severity: what a failure does.
        mark: column that marks the offending rows.
        max_fraction: most rows that severity `quarantine` may set aside.
        hint: what the message of a failure says besides.
        key: where the recipe states the limit; the message of a failure ends with it.
        subject: what it is about beside others, such as a column.
        **kwargs: the expectation's own arguments.
    """
    plain = {key: to_plain(value) for key, value in kwargs.items() if value is not None}
    return Expectation(
        rule=rule,
        table=table,
        about=about or str(plain.get("column", table)),
        kwargs=plain,
        severity=severity,
        mark=mark,
        max_fraction=max_fraction,
        hint=hint,
        key=key,
        subject=subject,
    )


def expect_present(
    table: str, columns: Mapping[str, str] | tuple[str, ...], key: str = ""
) -> list[Expectation]:
    """Return one expectation a column that no entry is missing.

    Great Expectations itself passes over missing values.

    Args:
        table: the table that they are applied to.
        columns: the columns, or a mapping from column to the figure's name.
        key: where the recipe states what is expected.
    """
    names = columns if isinstance(columns, Mapping) else {column: column for column in columns}
    return [
        expect("expect_column_values_to_not_be_null", table, about, column=column, key=key)
        for column, about in names.items()
    ]
