"""Gates judge tables: pandas frames with the columns that name a row."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from gates.engine.on_fail import BadRows
from gates.engine.sharded_table import Limit, Shard, make_shard, mark_outside

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Table:
    """A pandas frame, and which of its columns name a row in messages.

    Attributes:
        frame: the figures; its index is a plain 0..n-1 range.
        identity: columns that name a row, most telling first; those that the frame lacks are passed
            over.
        named: names of the first offending rows by mark, where the frame holds only how many there
            are.
    """

    frame: "pd.DataFrame"
    identity: tuple[str, ...] = ()
    named: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.frame)

    def has_values(self, column: str) -> bool:
        """Return whether a column has at least one value that is not missing."""
        return bool(self.frame[column].notna().any())

    @property
    def shards(self) -> tuple[Shard, ...]:
        """The frame as a single shard."""
        return (make_shard("", self.frame),)

    def find_outside(self, column: str, low: Limit, high: Limit, most: int) -> list[int]:
        """Return positions of the first rows of which the value is outside [low, high]."""
        outside = mark_outside(self.frame[column], low, high)
        return [int(position) for position in outside.to_numpy().nonzero()[0][:most]]

    def find_marked(self, column: str, most: int) -> list[int]:
        """Return positions of the first rows of which the mark is neither zero nor false."""
        return [
            int(position)
            for position in self.frame[column].to_numpy(dtype=bool).nonzero()[0][:most]
        ]

    def name_rows(self, positions: Sequence[int]) -> tuple[str, ...]:
        """Return names such as `shard ab12 row_id 17`.

        Positions where no column names a row; nothing for a table of a single row.
        """
        chosen = self.frame.iloc[list(positions)]
        known = [column for column in self.identity if column in self.frame.columns]
        if not known:
            return () if self.rows == 1 else tuple(f"row {position}" for position in positions)
        return tuple(
            " ".join(f"{column} {value}" for column, value in zip(known, values, strict=True))
            for values in chosen[known].itertuples(index=False, name=None)
        )


class FieldFacts(BaseModel):
    """Figures of one field in one shard, over all its values.

    Attributes:
        dtype: numpy's name, such as `uint8`.
        shape: of one row, without N.
        min: smallest finite value; None if there is none.
        max: largest finite value; None if there is none.
        nan: number of NaN values.
        null: number of rows without a value (validity mask false).
        inf: number of infinite values.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dtype: str
    shape: tuple[int, ...]
    min: float | None
    max: float | None
    nan: int = 0
    null: int = 0
    inf: int = 0


class ShardFacts(BaseModel):
    """Figures of one shard, as its manifest states them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shard: str
    rows: int
    split: str = ""
    source: str = ""
    fields: dict[str, FieldFacts]


class FieldRule(BaseModel):
    """What the recipe declares about a field.

    Attributes:
        dtype: numpy's name, such as `uint8`.
        shape: of one row, without N.
        value_range: smallest and largest value allowed, in the source's own unit; None sets no
            limit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    dtype: str
    shape: tuple[int, ...]
    value_range: tuple[float, float] | None = None


def tabulate_shards(shards: Iterable[ShardFacts]) -> Table:
    """Return one row a shard: shard, split, source, rows, and `<field>.<figure>` for each field.

    Figures: dtype, shape (both text), values (number of values), min, max, missing (NaN or null
        values), inf.
    """
    import pandas as pd

    records: list[dict[str, object]] = []
    for facts in shards:
        record: dict[str, object] = {"shard": facts.shard, "split": facts.split, "rows": facts.rows}
        if facts.source:
            record["source"] = facts.source
        for name, figures in facts.fields.items():
            size = prod(figures.shape)
            record |= {
                f"{name}.dtype": figures.dtype,
                f"{name}.shape": str(figures.shape),
                f"{name}.values": facts.rows * size,
                f"{name}.min": figures.min,
                f"{name}.max": figures.max,
                f"{name}.missing": figures.nan + figures.null * size,
                f"{name}.inf": figures.inf,
            }
        records.append(record)
    return Table(pd.DataFrame.from_records(records), identity=("shard", "source"))


def tabulate_classes(label_counts: Mapping[int, int], labels: Sequence[str]) -> Table:
    """Return one row a declared class: class, label, count, share.

    `class` is its name, `label` its index, `share` that of all labelled rows.
    """
    import pandas as pd

    total = sum(label_counts.values())
    count = [label_counts.get(index, 0) for index in range(len(labels))]
    share = [value / total if total else None for value in count]
    frame = pd.DataFrame(
        {"class": list(labels), "label": range(len(labels)), "count": count, "share": share}
    )
    return Table(frame, identity=("class",))


def tabulate_class_splits(
    label_counts: Mapping[str, Mapping[int, int]],
    labels: Sequence[str],
    splits: Sequence[str],
    *,
    normal_splits: Sequence[str] = (),
) -> Table:
    """Return one row for each declared class in each split: class, split, count.

    Of `normal_splits` only the first class has a row.
    """
    import pandas as pd

    records = [
        {"class": name, "split": split, "count": label_counts.get(split, {}).get(index, 0)}
        for split in splits
        for index, name in enumerate(labels[:1] if split in normal_splits else labels)
    ]
    return Table(pd.DataFrame.from_records(records), identity=("class", "split"))


def tabulate_counts(**found: BadRows) -> Table:
    """Return one row: how many offending rows there are of each kind, the first of them named."""
    import pandas as pd

    counts = {name: rows.count for name, rows in found.items()}
    return Table(pd.DataFrame([counts]), named={name: rows.names for name, rows in found.items()})
