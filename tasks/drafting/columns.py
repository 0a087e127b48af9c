"""Profiles columns of a table: numbers, times or texts, what is missing, how many values differ."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from storage.base.cells import LARGEST, explain_unreadable, read_number
from storage.base.time_styles import TimeStyle
from storage.forms.base import MISSING
from storage.forms.parsing import parse_times
from tasks.drafting.time_formats import find_time_format

if TYPE_CHECKING:
    import pyarrow as pa

PLACEHOLDERS = frozenset(
    (
        "-",
        "--",
        "---",
        ".",
        "..",
        "n/a",
        "na",
        "n.a.",
        "n.a",
        "nan",
        "nil",
        "none",
        "null",
        "#n/a",
        "#na",
        "#null!",
        "#div/0!",
        "<na>",
        "nat",
        "missing",
        "unknown",
        "undefined",
        "*",
        "**",
        "x",
        "unk",
    )
)
"""Texts that people write where they have no number, in lower case."""
TIME_WORDS = re.compile(
    r"time|date|stamp|epoch|zeit|datum|(?<![a-z])ts(?![a-z])|year|month|day", re.I
)
_MOSTLY = 0.9
_FEW_TEXTS = 5


@dataclass
class Column:
    """What was seen of one column.

    Attributes:
        name: Its name.
        holds: `number`, `time`, `text`, or `empty`.
        rows: Number of rows.
        missing: Share of them without a value.
        distinct: Number of different values.
        texts: The different values as texts, as a recipe names classes.
        counts: How many rows have each of them.
        codes: Which of them each row has, -1 where none, shape (N,).
        numbers: The numbers, NaN where there is none; None where it holds none.
        times: Nanoseconds since 1970; None where it holds none.
        time_format: Format of the times; None for ISO 8601.
        parts: Columns that tell the time together; empty where this one does.
        count: Column that counts the steps of the time, "" where the order of the rows is all;
            None where times are told.
        of_path: Whether it is a part of the files' paths.
        absent: Texts beyond the usual ones that stand for a missing number.
        odd: A text that is a number only with another decimal mark or the like, and the remedy.
    """

    name: str
    holds: str
    rows: int
    missing: float
    texts: list[str]
    counts: NDArray[np.int64]
    codes: NDArray[np.int64]
    numbers: NDArray[np.float64] | None = None
    times: NDArray[np.int64] | None = None
    time_format: str | None = None
    parts: tuple[str, ...] = ()
    count: str | None = None
    of_path: bool = False
    absent: list[str] = field(default_factory=list)
    odd: tuple[str, str] | None = None

    @property
    def distinct(self) -> int:
        """Number of different values."""
        return len(self.texts)

    @cached_property
    def is_whole(self) -> bool:
        """Whether all its numbers are whole."""
        if self.numbers is None:
            return False
        given = self.numbers[np.isfinite(self.numbers)]
        return bool(len(given)) and bool(np.all(given == np.round(given)))

    @property
    def is_constant(self) -> bool:
        """Whether it holds one value, or none."""
        return self.distinct <= 1

    def list_classes(self) -> list[str]:
        """List its values as names of classes: numbers by size, texts by the alphabet."""
        read = {text: read_number(text) for text in self.texts}
        if all(value is not None for value in read.values()):
            return sorted(self.texts, key=lambda text: (read[text], text))
        return sorted(self.texts)


def profile_column(name: str, column: "pa.ChunkedArray") -> Column:
    """Look at one column, of texts or of a type of its own."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_temporal(kind) and not pa.types.is_duration(kind):
        times, there = parse_times(column, TimeStyle(), _NONE_MISSING)
        found = _encode(column.cast(pa.string()))
        missing = 1 - float(there.mean()) if len(there) else 1.0
        return Column(name, "time", len(column), missing, *found, times=times)
    typed = not (pa.types.is_string(kind) or pa.types.is_large_string(kind))
    if typed and pa.types.is_dictionary(kind):
        typed = False
        column = column.cast(kind.value_type)
    texts = column.cast(pa.string())
    if not typed:
        texts = pc.utf8_trim_whitespace(texts)
    values, counts, codes = _encode(texts)
    values, counts, codes = _drop(values, counts, codes, set(MISSING))
    missing = float((codes < 0).mean()) if len(codes) else 1.0
    profile = Column(name, "text", len(codes), missing, values, counts, codes)
    if not values:
        profile.holds = "empty"
        return profile
    named = bool(TIME_WORDS.search(name)) and (not typed or pa.types.is_integer(kind))
    if (named and _take_times(profile, named=True)) or _take_numbers(profile):
        return profile
    if not typed:
        _take_times(profile, named=False)
    return profile


def look_for_sentinels(columns: Sequence[Column]) -> list[tuple[str, str]]:
    """Return numbers that stand for missing ones, as texts, each with the column that shows it.

    One is the least or greatest of its column, repeated, round, and far outside all others; and
    nowhere a value among others.
    """
    numeric = [column for column in columns if column.numbers is not None]
    found: dict[float, Column] = {}
    for column in numeric:
        value = _find_sentinel(column)
        if (
            value is not None
            and value not in found
            and not any(_lies_inside(value, other) for other in numeric)
        ):
            found[value] = column
    return [(f"{value:.15g}", column.name) for value, column in found.items()]


def blank_numbers(columns: Iterable[Column], texts: Iterable[str]) -> None:
    """Take numbers that mean that there is none out of the profiles."""
    gone = [number for text in texts if (number := read_number(text)) is not None]
    for column in columns:
        if column.numbers is None or not gone:
            continue
        column.numbers = np.where(np.isin(column.numbers, gone), np.nan, column.numbers)
        column.missing = float(np.isnan(column.numbers).mean())
        drop = {text for text in column.texts if read_number(text) in gone}
        column.texts, column.counts, column.codes = _drop(
            column.texts, column.counts, column.codes, drop
        )


def _take_numbers(column: Column) -> bool:
    """Reads a column as numbers, if most of its values are some."""
    read = [read_number(text) for text in column.texts]
    total = int(column.counts.sum())
    # What is infinite, or so for a model, is no number to learn from.
    is_number = np.array([value is not None and abs(value) <= LARGEST for value in read])
    read = [value if good else None for value, good in zip(read, is_number, strict=True)]
    share = float(column.counts[is_number].sum()) / total
    if share == 1.0:
        column.numbers = _spread(column, read)
        column.holds = "number"
        return True
    explained = {text: why for text in column.texts if (why := explain_unreadable(text))}
    odd = [column.counts[n] for n, text in enumerate(column.texts) if text in explained]
    if odd and share + sum(odd) / total >= _MOSTLY:
        text = next(iter(explained))
        column.odd = text, explained[text]
    others = [text for text, good in zip(column.texts, is_number, strict=True) if not good]
    known = all(text.lower() in PLACEHOLDERS for text in others)
    if not (share >= _MOSTLY and len(others) <= _FEW_TEXTS) and not (known and share > 0.3):
        return False
    column.numbers = _spread(column, read)
    column.holds = "number"
    column.absent = others
    column.missing = float(np.isnan(column.numbers).mean())
    column.texts, column.counts, column.codes = _drop(
        column.texts, column.counts, column.codes, set(others)
    )
    return True


def _take_times(column: Column, *, named: bool) -> bool:
    found = find_time_format(column.texts, column.codes, named=named)
    if found is None:
        return False
    column.holds = "time"
    column.time_format, times = found
    column.times = np.append(times, 0)[column.codes]
    return True


def _spread(column: Column, read: Sequence[float | None]) -> NDArray[np.float64]:
    values = [math.nan if value is None else value for value in read]
    return np.append(np.array(values, dtype=np.float64), np.nan)[column.codes]


def _encode(texts: "pa.ChunkedArray") -> tuple[list[str], NDArray[np.int64], NDArray[np.int64]]:
    """Return the different texts, how often each stands there, and which each row has."""
    encoded = texts.combine_chunks().dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    values = encoded.dictionary.to_pylist()
    counts = np.bincount(codes[codes >= 0], minlength=len(values)).astype(np.int64)
    return values, counts, codes


def _drop(
    values: list[str], counts: NDArray[np.int64], codes: NDArray[np.int64], gone: set[str]
) -> tuple[list[str], NDArray[np.int64], NDArray[np.int64]]:
    keep = [number for number, text in enumerate(values) if text not in gone]
    if len(keep) == len(values):
        return values, counts, codes
    places = np.full(len(values) + 1, -1, dtype=np.int64)
    places[keep] = np.arange(len(keep))
    return [values[number] for number in keep], counts[keep], places[codes]


def _find_sentinel(column: Column) -> float | None:
    numbers = column.numbers
    given = numbers[np.isfinite(numbers)] if numbers is not None else np.zeros(0)
    for value in (given.min(), given.max()) if len(given) else ():
        count = int((given == value).sum())
        others = given[given != value]
        if count < max(3, len(given) // 1000) or len(np.unique(others)) < 3 or not _is_round(value):
            continue
        spread = float(np.quantile(others, 0.995) - np.quantile(others, 0.005)) or 1.0
        gap = float(np.abs(others - value).min())
        if gap > 1.5 * spread or (_is_nines(value) and gap > 0.5 * spread):
            return float(value)
    return None


def _is_round(value: float) -> bool:
    whole = float(value).is_integer() and abs(value) >= 99
    return bool(whole and (value % 100 == 0 or _is_nines(value))) or abs(value) >= 1e20


def _is_nines(value: float) -> bool:
    return set(f"{abs(value):.0f}") == {"9"}


def _lies_inside(value: float, column: Column) -> bool:
    """Whether a number is one among others in a column, and not far outside them."""
    numbers = column.numbers
    given = numbers[np.isfinite(numbers)] if numbers is not None else np.zeros(0)
    others = given[given != value]
    return bool(len(others) and len(others) < len(given) and others.min() <= value <= others.max())


def _none_missing() -> Any:
    from storage.base.cells import find_missing

    return find_missing(())


_NONE_MISSING = _none_missing()
