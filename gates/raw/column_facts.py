"""The raw gate judges these facts of tables and of series, as tables."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict

from gates.engine.on_fail import BadRows
from gates.engine.tables import Table


class ColumnFacts(BaseModel):
    """Figures of one column of a version, as its manifest states them.

    Attributes:
        column: the recipe's name.
        role: what it is for.
        rows: number of rows.
        missing: rows without a value; of the label or target also those with an unreadable one.
        infinite: rows with an infinite value.
        std: standard deviation of the numbers; None for texts, or without numbers.
        distinct: number of different values; None if unknown.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str
    role: Literal["number", "text", "target", "label", "time"]
    rows: int
    missing: int
    infinite: int = 0
    std: float | None = None
    distinct: int | None = None


class UnreadableFacts(BaseModel):
    """Values of one column of numbers or times that are there and cannot be read.

    Attributes:
        count: how many.
        values: the first ones as they stand in the source, without secrets.
        places: where each of them stands, such as `data.csv line 12`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: int = 0
    values: tuple[str, ...] = ()
    places: tuple[str, ...] = ()


@dataclass(frozen=True)
class ColumnsFacts:
    """What the raw gate judges of a table or of series.

    Attributes:
        columns: one entry a column of the recipe.
        rows: number of rows.
        unread: records that could not be read as rows: how many, and which the first ones are.
        duplicates: rows that repeat an earlier one of their split.
        labels: names of the declared classes; empty if none is.
        label_counts: rows by class index; -1 counts labels that are not declared.
        undeclared: first names of those.
        unreadable: of each column of numbers or times what is there and is none.
        time: figures of the time column, by name: rows `undated`, `repeated` (with entity and time
            of another), `unsorted`, `gaps` (places where the next row comes late), `future`; empty
            without one.
        predictors: how nearly each column alone gives the answer away, 0 to 1; empty where nothing
            is to be predicted.
    """

    columns: tuple[ColumnFacts, ...]
    rows: int
    unread: BadRows
    duplicates: int
    labels: tuple[str, ...] = ()
    label_counts: Mapping[int, int] = field(default_factory=dict)
    undeclared: tuple[str, ...] = ()
    unreadable: Mapping[str, UnreadableFacts] = field(default_factory=dict)
    time: Mapping[str, int] = field(default_factory=dict)
    predictors: Mapping[str, float] = field(default_factory=dict)


def tabulate_columns_facts(facts: ColumnsFacts) -> dict[str, Table]:
    """Return the tables that the expectations name: version, columns, classes, predictors."""
    import pandas as pd

    rows = max(1, facts.rows)
    version = {
        "rows": facts.rows,
        "unread": facts.unread.count / max(1, facts.rows + facts.unread.count),
        "duplicates": facts.duplicates / rows,
        **{name: count / rows for name, count in facts.time.items()},
        "undeclared": facts.label_counts.get(-1, 0) / rows,
    }
    tables = {
        "version": Table(pd.DataFrame([version]), named={"unread": facts.unread.names}),
        "columns": _tabulate_columns(facts),
    }
    if facts.unreadable:
        shares = [found.count / rows for found in facts.unreadable.values()]
        frame = pd.DataFrame({"column": list(facts.unreadable), "share": shares})
        tables["unreadable"] = Table(frame, identity=("column",))
    if facts.labels:
        tables["classes"] = _tabulate_classes(facts)
    if facts.predictors:
        names, strengths = list(facts.predictors), list(facts.predictors.values())
        frame = pd.DataFrame({"column": names, "strength": strengths})
        tables["predictors"] = Table(frame, identity=("column",))
    return tables


def _tabulate_columns(facts: ColumnsFacts) -> Table:
    """Return one row a column: column, missing, infinite, answer_missing and target_std.

    The last two are of the answer alone, of which `missing` is none.
    """
    import pandas as pd

    records: list[dict[str, object]] = []
    for column in facts.columns:
        share = column.missing / max(1, column.rows)
        answer = column.role in ("label", "target")
        records.append(
            {
                "column": column.column,
                "missing": None if answer else share,
                "infinite": column.infinite / max(1, column.rows),
                "answer_missing": share if answer else None,
                "target_std": column.std if column.role == "target" else None,
            }
        )
    frame = pd.DataFrame.from_records(records)
    numeric = [name for name in frame.columns if name != "column"]
    return Table(frame.astype(dict.fromkeys(numeric, "float64")), identity=("column",))


def _tabulate_classes(facts: ColumnsFacts) -> Table:
    """Return one row a declared class: class, count, share."""
    import pandas as pd

    counts = [facts.label_counts.get(index, 0) for index in range(len(facts.labels))]
    shares = [count / max(1, sum(counts)) for count in counts]
    frame = pd.DataFrame({"class": list(facts.labels), "count": counts, "share": shares})
    return Table(frame, identity=("class",))
