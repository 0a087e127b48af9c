"""Reads suites of a user's own from files or modules, and drafts one for a start."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gates.engine.custom import OwnExpectation, parse_suite, read_suite
from gates.errors import SuiteError
from storage.base.parts import import_own
from storage.datasets.version import Version
from storage.forms.base import RowsSpec
from storage.shards.statistics import FieldStatistics
from tasks.gates.row_table import list_scalars, name_statistics, open_rows


def gather_expectations(
    expectations: Sequence[OwnExpectation], suites: Sequence[str]
) -> tuple[OwnExpectation, ...]:
    """Gather the recipe's own expectations and those of the suites that it names.

    Raises:
        SuiteError: A suite cannot be read, or is none.
    """
    return (*expectations, *(item for reference in suites for item in load_suite(reference)))


def load_suite(reference: str) -> tuple[OwnExpectation, ...]:
    """Load a suite by its path, or by `package.module:function`.

    Raises:
        SuiteError: It cannot be read, or is none.
    """
    module, _, name = reference.partition(":")
    if name and "/" not in reference and not reference.endswith(".json"):
        try:
            made = getattr(import_own(module), name)()
        except (ImportError, AttributeError) as error:
            raise SuiteError(
                f"suite ({reference}) must be importable; got: {error}; install its package"
            ) from error
        return read_suite(made, reference)
    try:
        text = Path(reference).expanduser().read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SuiteError(
            f"suite ({reference}) must be a readable file; got: {error}; check the path"
        ) from error
    return parse_suite(text, reference)


def draft_suite(version: Version, data: RowsSpec) -> dict[str, Any]:
    """Draft a suite in Great Expectations' JSON that the version passes, for a person to edit.

    Ranges are a tenth wider than what was seen.
    """
    statistics = version.statistics()
    rows = open_rows(version, data)
    expectations: list[dict[str, Any]] = [
        _draft("expect_table_row_count_to_be_between", min_value=max(1, version.rows // 2)),
    ]
    keys = {name: key for key, name in name_statistics(statistics, data).items()}
    keys |= {column.name: column.key for column in list_scalars(data)}
    for column in rows.columns:
        figures = statistics.get(keys.get(column, ""))
        if figures is not None:
            expectations += _draft_column(column, figures)
    name = f"{version.name}-{version.number}"
    return {"name": name, "expectations": expectations, "meta": {"drafted_from": version.ref}}


def _draft_column(column: str, figures: FieldStatistics) -> list[dict[str, Any]]:
    missing = (figures.null + figures.nan) / max(1, figures.count)
    found = []
    if missing < 1:
        mostly = round(max(0.0, 1 - missing - 0.01), 3) if missing else 1.0
        found.append(_draft("expect_column_values_to_not_be_null", column=column, mostly=mostly))
    if figures.distinct is not None and len(figures.distinct) <= 50:
        numeric = figures.min is not None
        values = [float(value) if numeric else value for value in figures.distinct]
        found.append(_draft("expect_column_values_to_be_in_set", column=column, value_set=values))
    elif figures.min is not None and figures.max is not None:
        margin = 0.1 * (figures.max - figures.min)
        low, high = figures.min - margin, figures.max + margin
        found.append(
            _draft(
                "expect_column_values_to_be_between", column=column, min_value=low, max_value=high
            )
        )
    return found


def _draft(rule: str, **kwargs: Any) -> dict[str, Any]:
    return {"type": rule, "kwargs": kwargs, "meta": {"on_fail": "stop"}}
