"""Tables that gates judge: pandas frames with the columns that name a row, and how figures become such frames."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from gates.shards import Limit, Shard, make_shard, mark_outside

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


@dataclass(frozen=True)
class Table:
    """A pandas frame, and which of its columns name a row in messages.

    Attributes:
        frame: the figures; its index is a plain 0..n-1 range.
        identity: columns that name a row, most telling first; those that the frame lacks are passed over.
    """

    frame: "pd.DataFrame"
    identity: tuple[str, ...] = ()

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
        """Return positions of the first rows of which the value is missing or outside [low, high]."""
        outside = mark_outside(self.frame[column], low, high)
        return [int(position) for position in outside.to_numpy().nonzero()[0][:most]]

    def find_marked(self, column: str, most: int) -> list[int]:
        """Return positions of the first rows of which the mark is neither zero nor false."""
        return [int(position) for position in self.frame[column].to_numpy(dtype=bool).nonzero()[0][:most]]

    def name_rows(self, positions: Sequence[int]) -> tuple[str, ...]:
        """Return names such as `shard ab12 row_id 17`; positions where no column names a row; none for a single row."""
        chosen = self.frame.iloc[list(positions)]
        known = [column for column in self.identity if column in self.frame.columns]
        if not known:
            return () if self.rows == 1 else tuple(f"row {position}" for position in positions)
        return tuple(
            " ".join(f"{column} {value}" for column, value in zip(known, values, strict=True))
            for values in chosen[known].itertuples(index=False, name=None)
        )


class FieldFacts(BaseModel):
    """Figures of one field in one shard, over all its values (rows times the size of one row's value).

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
        value_range: smallest and largest value allowed, in the source's own unit; None sets no limit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    dtype: str
    shape: tuple[int, ...]
    value_range: tuple[float, float] | None = None


def tabulate_shards(shards: Iterable[ShardFacts]) -> Table:
    """Return one row a shard: shard, split, source, rows, and `<field>.<figure>` for each field.

    Figures: dtype, shape (both text), values (number of values), min, max, missing (NaN or null values), inf.
    """
    import pandas as pd

    records: list[dict[str, object]] = []
    for facts in shards:
        record: dict[str, object] = {"shard": facts.shard, "split": facts.split, "rows": facts.rows}
        if facts.source:
            record["source"] = facts.source
        for name, field in facts.fields.items():
            size = prod(field.shape)
            record |= {
                f"{name}.dtype": field.dtype,
                f"{name}.shape": str(field.shape),
                f"{name}.values": facts.rows * size,
                f"{name}.min": field.min,
                f"{name}.max": field.max,
                f"{name}.missing": field.nan + field.null * size,
                f"{name}.inf": field.inf,
            }
        records.append(record)
    return Table(pd.DataFrame.from_records(records), identity=("shard", "source"))


def tabulate_rows(
    *,
    row_id: "np.ndarray[Any, Any]",
    label: "np.ndarray[Any, Any]",
    content_hash: "np.ndarray[Any, Any]",
    split: "np.ndarray[Any, Any] | str" = "",
    label_valid: "np.ndarray[Any, Any] | None" = None,
    extra: Mapping[str, "np.ndarray[Any, Any]"] | None = None,
) -> Table:
    """Return one row a sample: row_id, label, content (32 hex digits), split, duplicate, and the extra columns.

    `duplicate` is true for each row that repeats an earlier row of its split. Where `label_valid` is false the label is
    missing (the column becomes float64 then).

    Args:
        row_id: (N,) uint64.
        label: (N,) integer class index.
        content_hash: (N, 2) uint64, 128 bits of the row's features.
        split: (N,) names, or one name for all rows.
        label_valid: (N,) bool.
        extra: further (N,) columns, such as `shard` or `source`, which name a row in messages.
    """
    import numpy as np
    import pandas as pd

    hexes = np.ascontiguousarray(content_hash, dtype=">u8").tobytes().hex()
    content = np.frombuffer(hexes.encode(), dtype="S32").astype("U32")
    frame = pd.DataFrame({"row_id": row_id, "label": label, "content": content, "split": split, **(extra or {})})
    if label_valid is not None and not label_valid.all():
        frame["label"] = frame["label"].astype("float64").where(label_valid)
    frame["duplicate"] = frame.duplicated(["split", "content"]) if len(frame) else np.zeros(0, dtype=bool)
    return Table(frame, identity=("shard", "source", "row_id"))


def tabulate_classes(rows: Table, labels: Sequence[str]) -> Table:
    """Return one row a declared class: class (its name), label (its index), count, and share of all labelled rows."""
    import pandas as pd

    counts = rows.frame["label"].value_counts() if "label" in rows.frame else pd.Series(dtype="int64")
    total = int(counts.sum())
    count = [int(counts.get(index, 0)) for index in range(len(labels))]
    share = [value / total if total else None for value in count]
    frame = pd.DataFrame({"class": list(labels), "label": range(len(labels)), "count": count, "share": share})
    return Table(frame, identity=("class",))


def tabulate_class_splits(rows: Table, labels: Sequence[str], splits: Sequence[str]) -> Table:
    """Return one row for each declared class in each split: class, split, count."""
    import pandas as pd

    counts = rows.frame.groupby(["split", "label"]).size()
    records = [
        {"class": name, "split": split, "count": int(counts.get((split, index), 0))}
        for split in splits
        for index, name in enumerate(labels)
    ]
    return Table(pd.DataFrame.from_records(records), identity=("class", "split"))
