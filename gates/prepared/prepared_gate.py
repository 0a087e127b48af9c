"""The prepared gate: are the splits sound, before a model learns from one and is judged on another?"""

from collections.abc import Mapping
from dataclasses import dataclass

from gates.engine.field_checks import SHARDS, build_field_expectations
from gates.engine.judge import run_suite
from gates.engine.on_fail import BadRows
from gates.engine.report import GateReport
from gates.engine.sharded_table import ShardedTable
from gates.engine.suite import Expectation, Suite, expect, expect_present
from gates.engine.tables import FieldRule, Table, tabulate_class_splits, tabulate_counts
from gates.specs import PreparedGate

STAGE = "prepared"
SPLITS = ("train", "validation", "held_out")
_ASKED = ("filtered", "transformed", "left_out")  # dropped because the recipe says so


@dataclass(frozen=True)
class PreparedFacts:
    """What the prepared gate judges.

    Attributes:
        shards: one row a shard, from `gates.tables.tabulate_shards`.
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
        columns: one row a column of a table, with its missing and infinite share in the training
            split; None for images.
        crossings: one row: rows among `held_out` and `validation` rows of their entity; None where
            order means nothing.
        twins: one row: held-out `rows` that look like a training row; None where they are not
            sought.
        learned: one row: held-out rows that a model to start from learned from by `content`, by
            `place` in the source, and by `looks`; None without one.
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
    crossings: Table | None = None
    twins: Table | None = None
    learned: Table | None = None


def judge_prepared(gate: PreparedGate, facts: PreparedFacts) -> GateReport:
    """Judge a prepared version: split sizes, no row shared, every class in every split, statistics, rows accounted."""
    tables: dict[str, Table | ShardedTable] = {
        SHARDS: facts.shards,
        "rows": facts.rows,
        "splits": _tabulate_splits(facts.splits),
        "apart": tabulate_counts(row_id=facts.alike, content=facts.shared),
        "fitted": _tabulate_fitted(facts.fitted),
        "account": _tabulate_account(facts),
    }
    if facts.labels:
        tables["classes"] = tabulate_class_splits(facts.label_counts, facts.labels, SPLITS)
    optional = {name: getattr(facts, name) for name in ("columns", "crossings", "twins", "learned")}
    tables |= {name: table for name, table in optional.items() if table is not None}
    return run_suite(build_prepared_suite(gate, facts), tables)


def build_prepared_suite(gate: PreparedGate, facts: PreparedFacts) -> Suite:
    """Return the prepared gate's expectations for these facts."""
    fields = build_field_expectations(
        facts.fields, facts.shards, max_missing_fraction=0.0, max_infinite_fraction=0.0
    )
    return Suite(
        stage=STAGE,
        expectations=(
            *_expect_splits(gate),
            *_expect_apart(),
            *(_expect_labels(gate, facts) if facts.labels else []),
            *fields,
            *_expect_fitted(facts),
            *_expect_account(gate, facts),
            *_expect_columns(gate, facts),
            *_expect_uncrossed(gate, facts),
        ),
    )


def _expect_labels(gate: PreparedGate, facts: PreparedFacts) -> list[Expectation]:
    """Return expectations on the labels: present, declared, and every class in every split."""
    classes = list(range(len(facts.labels)))
    about, each = "rows of a class in a split", "expect_column_values_to_be_between"
    return [
        *expect_present("rows", ("label",)),
        expect("expect_column_values_to_be_in_set", "rows", column="label", value_set=classes),
        expect(each, "classes", about, column="count", min_value=gate.min_rows_per_class),
    ]


def _expect_columns(gate: PreparedGate, facts: PreparedFacts) -> list[Expectation]:
    """Return expectations on the columns of the training split: something to learn from, nothing infinite."""
    if facts.columns is None:
        return []
    each = "expect_column_values_to_be_between"
    about = "missing share of a training column"
    return [
        expect(
            each,
            "columns",
            about,
            column="missing",
            min_value=0,
            max_value=gate.max_missing_fraction,
        ),
        expect(
            each,
            "columns",
            "infinite share of a training column",
            column="infinite",
            min_value=0,
            max_value=0,
        ),
    ]


def _expect_uncrossed(gate: PreparedGate, facts: PreparedFacts) -> list[Expectation]:
    """Return expectations that no window reaches over a split in time, and that no picture looks like one elsewhere."""
    total = "expect_column_sum_to_be_between"
    found: list[Expectation] = []
    if facts.crossings is not None:
        about = "rows of a series that lie in time among held-out rows of it"
        found.append(
            expect(total, "crossings", about, column="held_out", max_value=0, mark="held_out")
        )
        about = "rows of a series that lie in time among validation rows of it"
        found.append(
            expect(
                total,
                "crossings",
                about,
                column="validation",
                max_value=0,
                severity="warn",
                mark="validation",
            )
        )
    most = int(gate.max_twin_fraction * facts.rows.rows)
    if facts.twins is not None:
        about = "held-out rows that look like a training row"
        found.append(expect(total, "twins", about, column="rows", max_value=most))
    if facts.learned is not None:
        about = "held-out rows that the model to start from learned from"
        found.append(expect(total, "learned", about, column="content", max_value=0))
        about = "held-out rows from the same place in the source as one that the model to start from learned from"
        found.append(expect(total, "learned", about, column="place", max_value=0))
        about = "held-out rows that look like one that the model to start from learned from"
        found.append(expect(total, "learned", about, column="looks", max_value=most))
    return found


def _expect_splits(gate: PreparedGate) -> list[Expectation]:
    """Return expectations on which splits there are, and how large each is."""
    fewest = {
        "train": gate.min_train_rows,
        "validation": gate.min_validation_rows,
        "held_out": gate.min_held_out_rows,
    }
    smallest = {
        "train": gate.min_train_share,
        "validation": gate.min_split_share,
        "held_out": gate.min_split_share,
    }
    between = "expect_column_min_to_be_between"
    return [
        *expect_present("rows", ("row_id",)),
        *expect_present(SHARDS, ("split",)),
        expect(
            "expect_column_distinct_values_to_equal_set",
            SHARDS,
            "splits",
            column="split",
            value_set=list(SPLITS),
        ),
        *(
            expect(between, "splits", f"{split} rows", column=f"{split}.rows", min_value=rows)
            for split, rows in fewest.items()
        ),
        *(
            expect(
                between,
                "splits",
                f"{split} share of rows",
                column=f"{split}.share",
                min_value=share,
            )
            for split, share in smallest.items()
        ),
    ]


def _expect_apart() -> list[Expectation]:
    """Return expectations that no row, by id or by content, is in two splits."""
    total = "expect_column_sum_to_be_between"
    return [
        expect(
            total, "apart", "row_id over all splits", column="row_id", max_value=0, mark="row_id"
        ),
        expect(
            total,
            "apart",
            "content hash between splits",
            column="content",
            max_value=0,
            mark="content",
        ),
    ]


def _expect_fitted(facts: PreparedFacts) -> list[Expectation]:
    """Return expectations on fitted statistics: finite, mean in the value range, 0 < std <= half the range.

    No distribution on [a, b] has a standard deviation above (b - a) / 2 (Popoviciu's inequality,
    1935).
    """
    expectations: list[Expectation] = []
    for name in facts.fitted:
        if name not in facts.fields:
            continue  # columns: a constant one teaches nothing, and harms nothing
        mean, std = f"{name}.mean", f"{name}.std"
        value_range = facts.fields[name].value_range if name in facts.fields else None
        low, high = value_range if value_range is not None else (-1e300, 1e300)
        expectations += [
            *expect_present("fitted", (mean, std)),
            expect(
                "expect_column_values_to_be_between",
                "fitted",
                column=mean,
                min_value=low,
                max_value=high,
            ),
            expect(
                "expect_column_values_to_be_between",
                "fitted",
                column=std,
                min_value=0,
                max_value=(high - low) / 2,
                strict_min=True,
            ),
        ]
    return expectations


def _expect_account(gate: PreparedGate, facts: PreparedFacts) -> list[Expectation]:
    """Return expectations that no collected row went missing unnamed, and that few were dropped."""
    total = "expect_column_sum_to_be_between"
    most = int(gate.max_dropped_fraction * facts.rows_collected)
    asked = ", ".join(reason for reason in _ASKED if facts.rows_dropped.get(reason))
    return [
        expect(
            total, "account", "rows unaccounted for", column="unaccounted", min_value=0, max_value=0
        ),
        expect(
            total,
            "account",
            f"rows dropped, not counting {asked}" if asked else "rows dropped",
            column="dropped",
            min_value=0,
            max_value=most,
        ),
    ]


def _tabulate_splits(rows: Mapping[str, int]) -> Table:
    """Return one row: rows and share of each split."""
    import pandas as pd

    total = max(1, sum(rows.values()))
    figures: dict[str, float] = {}
    for split in SPLITS:
        figures |= {
            f"{split}.rows": rows.get(split, 0),
            f"{split}.share": rows.get(split, 0) / total,
        }
    return Table(pd.DataFrame([figures]))


def _tabulate_fitted(fitted: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]]) -> Table:
    """Return one row a channel: `<field>.mean` and `<field>.std`, repeated for fields with fewer channels."""
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
    """Return one row: rows collected, prepared, dropped, and left unaccounted for."""
    import pandas as pd

    prepared, dropped = facts.rows.rows, sum(facts.rows_dropped.values())
    unaccounted = facts.rows_collected - prepared - dropped
    dropped -= sum(facts.rows_dropped.get(reason, 0) for reason in _ASKED)
    figures = {
        "collected": facts.rows_collected,
        "prepared": prepared,
        "dropped": dropped,
        "unaccounted": unaccounted,
    }
    return Table(pd.DataFrame([figures]))
