"""The prepared gate judges these facts, as tables that its expectations name."""

from collections.abc import Mapping
from dataclasses import dataclass

from gates.engine.field_checks import SHARDS
from gates.engine.on_fail import BadRows
from gates.engine.sharded_table import ShardedTable
from gates.engine.tables import FieldRule, Table, tabulate_class_splits, tabulate_counts

SPLITS = ("train", "validation", "held_out")
ASKED = ("filtered", "transformed", "left_out")
"""Reasons for which rows are dropped because the recipe says so."""
REPEATS = "duplicate"
"""Reason for which rows are dropped that repeat another one; they have limits of their own."""
COARSE = 0.1
"""From which share of repeats equal rows are what such columns hold, not copies of a row."""


@dataclass(frozen=True)
class PreparedFacts:
    """What the prepared gate judges.

    Attributes:
        shards: one row a shard, from `gates.engine.tables.tabulate_shards`.
        rows: one row a sample, with its label.
        splits: rows of each split.
        alike: rows with the row_id of another.
        shared: rows with contents that another split has as well, of each split the first.
        fields: what the recipe declares about each field.
        labels: names of the declared classes; class i has label i.
        label_counts: rows with each label, by split.
        fitted: (means, standard deviations) of each field's channels over the training split.
        rows_collected: rows of the raw version.
        rows_dropped: rows that preparing dropped, by reason.
        columns: one row a column, with its missing and infinite share in the training split; None
            where rows have no columns.
        leakage: one row: rows among `held_out` and `validation` rows of their entity; None where
            order means nothing.
        near_duplicates: one row: held-out `rows` that look like a training row; None where they are
            not sought.
        contrary: rows that were dropped as equal to another one though their label is another.
        normal_splits: splits in which no class but the first must have rows, since a model learns
            from it what is normal.
        learned: one row: held-out rows that a model to start from learned from by `content`, by
            `place` in the source, and by `looks`; None without one.
        answers: one row a split, with its windows and the share of them of which no step asked for
            has a value; None where nothing is forecast.
    """

    shards: Table
    rows: ShardedTable
    splits: Mapping[str, int]
    alike: BadRows
    shared: BadRows
    fields: Mapping[str, FieldRule]
    labels: tuple[str, ...]
    label_counts: Mapping[str, Mapping[int, int]]
    fitted: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]]
    rows_collected: int
    rows_dropped: Mapping[str, int]
    columns: Table | None = None
    leakage: Table | None = None
    near_duplicates: Table | None = None
    contrary: int = 0
    normal_splits: tuple[str, ...] = ()
    learned: Table | None = None
    answers: Table | None = None


def tabulate_prepared_facts(facts: PreparedFacts) -> dict[str, Table | ShardedTable]:
    """Return the tables that the expectations name."""
    tables: dict[str, Table | ShardedTable] = {
        SHARDS: facts.shards,
        "rows": facts.rows,
        "splits": _tabulate_splits(facts.splits),
        "apart": tabulate_counts(row_id=facts.alike, content=facts.shared),
        "fitted": _tabulate_fitted(facts.fitted),
        "account": _tabulate_account(facts),
    }
    if facts.labels:
        tables["classes"] = tabulate_class_splits(
            facts.label_counts, facts.labels, SPLITS, normal_splits=facts.normal_splits
        )
    for name in ("columns", "leakage", "near_duplicates", "learned", "answers"):
        if (table := getattr(facts, name)) is not None:
            tables[name] = table
    return tables


def _tabulate_splits(rows: Mapping[str, int]) -> Table:
    """Return one row: rows and share of each split."""
    import pandas as pd

    total = max(1, sum(rows.values()))
    figures: dict[str, float] = {}
    for split in SPLITS:
        found = rows.get(split, 0)
        figures |= {f"{split}.rows": found, f"{split}.share": found / total}
    return Table(pd.DataFrame([figures]))


def _tabulate_fitted(fitted: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]]) -> Table:
    """Return one row a channel: `<field>.mean` and `<field>.std`, the last repeated where few."""
    import pandas as pd

    channels = max((max(len(means), len(stds)) for means, stds in fitted.values()), default=0)
    columns: dict[str, list[float | None]] = {}
    for name, (means, stds) in fitted.items():
        columns[f"{name}.mean"] = _fill(means, channels)
        columns[f"{name}.std"] = _fill(stds, channels)
    frame = pd.DataFrame({"channel": range(channels), **columns})
    return Table(frame, identity=("channel",))


def _fill(values: tuple[float, ...], length: int) -> list[float | None]:
    """Return values lengthened by repeating the last one; missing if there is none."""
    last = values[-1] if values else None
    return [*values, *([last] * (length - len(values)))]


def _tabulate_account(facts: PreparedFacts) -> Table:
    """Return one row: rows collected, prepared, dropped, repeated, and left unaccounted for."""
    import pandas as pd

    prepared, dropped = facts.rows.rows, sum(facts.rows_dropped.values())
    figures = {
        "collected": facts.rows_collected,
        "prepared": prepared,
        "dropped": dropped - sum(facts.rows_dropped.get(reason, 0) for reason in (*ASKED, REPEATS)),
        "repeats": facts.rows_dropped.get(REPEATS, 0),
        "contrary": facts.contrary,
        "unaccounted": facts.rows_collected - prepared - dropped,
    }
    return Table(pd.DataFrame([figures]))


def count_allowed_contrary(facts: PreparedFacts, most: float) -> int:
    """Return how many rows may be equal to another one and have another label.

    Where columns are so coarse that many rows repeat, as many are allowed as labels that have
    nothing to do with the columns would give.
    """
    repeats = facts.rows_dropped.get(REPEATS, 0)
    counts = [0] * len(facts.labels)
    for found in facts.label_counts.values():
        for label, rows in found.items():
            if 0 <= label < len(counts):
                counts[label] += rows
    total = max(1, sum(counts))
    chance = 1 - sum((count / total) ** 2 for count in counts)
    coarse = repeats * chance if repeats > COARSE * facts.rows_collected else 0.0
    return round(max(most * facts.rows_collected, coarse))
