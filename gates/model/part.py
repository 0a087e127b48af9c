"""A part of the model gate's suite: expectations with the figures and tables that they judge."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gates.engine.report import Check
from gates.engine.suite import Expectation
from gates.engine.tables import Table

FIGURES, KEYS = "figures", "gates.model."
LEAST = "expect_column_min_to_be_between"
MOST = "expect_column_max_to_be_between"


@dataclass(frozen=True)
class Part:
    """What one comparison adds to a suite.

    Attributes:
        expectations: on these figures and tables.
        figures: columns of the one row of the table `figures`.
        tables: further tables, by name.
        skipped: checks that do not apply.
    """

    expectations: tuple[Expectation, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)
    tables: Mapping[str, Table] = field(default_factory=dict)
    skipped: tuple[Check, ...] = ()


def join_parts(parts: Sequence[Part]) -> Part:
    """Return the parts as one, in their order."""
    return Part(
        expectations=tuple(item for part in parts for item in part.expectations),
        figures={name: value for part in parts for name, value in part.figures.items()},
        tables={name: table for part in parts for name, table in part.tables.items()},
        skipped=tuple(check for part in parts for check in part.skipped),
    )


def tabulate_figures(figures: Mapping[str, float]) -> Table:
    """Return the table of one row, of which each figure is a column."""
    import pandas as pd

    return Table(pd.DataFrame([dict(figures)]))
