"""Tables are held as shards that the engine reads one at a time, with their statistics."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import BaseModel, ConfigDict

from gates.errors import SuiteError

if TYPE_CHECKING:
    import pandas as pd

Limit: TypeAlias = Any  # a number, a text or a date, as the column holds; None for no limit


class ColumnStatistics(BaseModel):
    """Exact figures of one column of one shard, stored when it was written.

    Attributes:
        missing: rows without a value; NaN counts as missing, as it does in pandas.
        min: smallest value; None if there is none.
        max: largest value; None if there is none.
        mean: of the values; None if there is none or the column is not numeric.
        m2: sum of squared deviations from the mean; None as the mean.
        total: sum of the values; None if the column is not numeric.
        distinct: the different values; None if they are not known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    missing: int
    min: int | float | str | None = None
    max: int | float | str | None = None
    mean: float | None = None
    m2: float | None = None
    total: int | float | None = None
    distinct: tuple[int | str, ...] | None = None


@dataclass(frozen=True)
class Shard:
    """One shard of a table.

    Attributes:
        name: in messages, such as the first digits of its digest.
        rows: number of rows, as its manifest states it.
        head: frame without rows that has the table's columns and dtypes.
        load: returns the shard's rows; asked for some columns it may return more, never fewer.
        statistics: by column; columns without an entry are read.
    """

    name: str
    rows: int
    head: "pd.DataFrame"
    load: "Callable[[tuple[str, ...] | None], pd.DataFrame]"
    statistics: Mapping[str, ColumnStatistics] = field(default_factory=dict)

    def read(self, columns: tuple[str, ...] | None = None) -> "pd.DataFrame":
        """Return the rows, with these columns only.

        Raises:
            SuiteError: it has another number of rows than stated, or lacks a column.
        """
        frame = self.load(columns)
        if len(frame) != self.rows:
            raise SuiteError(
                f"shard {self.name} must have {self.rows} rows; got {len(frame)}; verify the "
                "version, then judge it"
            )
        if columns is None:
            return frame
        if lacking := [column for column in columns if column not in frame.columns]:
            raise SuiteError(
                f"shard {self.name} must have columns {lacking}; got {list(frame.columns)}; "
                "collect again"
            )
        return frame[list(columns)]


def make_shard(
    name: str, frame: "pd.DataFrame", statistics: Mapping[str, ColumnStatistics] | None = None
) -> Shard:
    """Return a frame in memory as a shard."""
    return Shard(name, len(frame), frame.iloc[:0], lambda columns: frame, statistics or {})


@dataclass(frozen=True)
class ShardedTable:
    """A table of any size, read one shard at a time.

    Attributes:
        shards: in order; the table's rows are theirs, one after the other.
        identity: columns that name a row in messages, beside its shard and its place there.
        map_shards: applies a function to every shard, in order, such as over Dask workers; None
            does it here.
    """

    shards: tuple[Shard, ...]
    identity: tuple[str, ...] = ()
    map_shards: "Callable[..., Any] | None" = None

    @property
    def rows(self) -> int:
        """Number of rows."""
        return sum(shard.rows for shard in self.shards)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self.shards[0].head.columns) if self.shards else ()

    def has_values(self, column: str) -> bool:
        """Return whether a column has a value that is not missing; read only until one is found."""
        for shard in self.shards:
            known = shard.statistics.get(column)
            if known is not None and known.missing < shard.rows:
                return True
            if known is None and bool(shard.read((column,))[column].notna().any()):
                return True
        return False

    def find_outside(self, column: str, low: Limit, high: Limit, most: int) -> list[int]:
        """Return positions of the first rows of which the value is outside [low, high]."""
        return self._find(column, lambda values: mark_outside(values, low, high), most)

    def find_marked(self, column: str, most: int) -> list[int]:
        """Return positions of the first rows of which the mark is neither zero nor false."""
        return self._find(column, lambda values: values.fillna(0).astype(bool), most)

    def _find(
        self, column: str, choose: "Callable[[pd.Series[Any]], pd.Series[Any]]", most: int
    ) -> list[int]:
        """Return positions of the first rows that are chosen."""
        found: list[int] = []
        offset = 0
        for shard in self.shards:
            chosen = choose(shard.read((column,))[column]).to_numpy(dtype=bool).nonzero()[0]
            found += [offset + int(row) for row in chosen[: most - len(found)]]
            offset += shard.rows
            if len(found) == most:
                break
        return found

    def name_rows(self, positions: Sequence[int]) -> tuple[str, ...]:
        """Return names such as `shard ab12 row 17 row_id 4711 source a.png`."""
        names: list[str] = []
        offset = 0
        for shard in self.shards:
            inside = [
                position - offset
                for position in positions
                if offset <= position < offset + shard.rows
            ]
            offset += shard.rows
            if not inside:
                continue
            known = tuple(column for column in self.identity if column in shard.head.columns)
            values = (
                shard.read(known).iloc[inside].itertuples(index=False, name=None)
                if known
                else [()] * len(inside)
            )
            for row, identity in zip(inside, values, strict=True):
                words = [f"{column} {value}" for column, value in zip(known, identity, strict=True)]
                names.append(" ".join([f"shard {shard.name} row {row}", *words]))
        return tuple(names)


def mark_outside(values: "pd.Series[Any]", low: Limit, high: Limit) -> "pd.Series[bool]":
    """Return which values are outside [low, high].

    A limit of None is open, and a missing value is none.
    """
    import pandas as pd

    outside = pd.Series(False, index=values.index)
    if low is not None:
        outside |= values.lt(low).fillna(False)
    if high is not None:
        outside |= values.gt(high).fillna(False)
    return outside
