"""Finds times that no single column tells: several columns, a count, or the order of the rows."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from storage.base.time_styles import TimeStyle, choose_format, join_parts
from tasks.drafting.columns import Column

COUNT_STEP = "1s"
"""What a step is taken for that nothing tells."""
_SECOND_NS = 10**9
_DAY_NS = 86_400 * _SECOND_NS
_PARTS = (
    re.compile(r"years?|yr|yyyy|jahr|annee|a[nñ]o", re.I),
    re.compile(r"months?|mnth|mon|mo|mm|monat|mes|mois", re.I),
    re.compile(r"days?|dy|dd|mday|dom|day_?of_?month|tag|dia|jour", re.I),
    re.compile(r"hours?|hr|hrs|hh|stunde|hora|heure", re.I),
    re.compile(r"minutes?|min|mins|mi", re.I),
    re.compile(r"seconds?|sec|secs|ss", re.I),
)
_CLOCK_NAMES = re.compile(r"time|clock|hour|hrs?|hh|uhr|zeit|stunde|hora|heure", re.I)
_CLOCKS = ("%H:%M:%S", "%H:%M", "%H.%M.%S", "%H.%M", "%I:%M:%S %p", "%I:%M %p", "%H")
_COUNTS = re.compile(r"t|time|cycles?|ticks?|steps?|time_?steps?|seconds?|zyklus|takt", re.I)
_ALL = 0.99
_REPEATED = 0.3
_SMOOTH = 0.6
_MOST_LOOKED_AT = 20_000


@dataclass(frozen=True)
class Candidate:
    """A time that may be meant.

    Attributes:
        time: The column that it would be.
        files: Column of the files' names, where each file is an entity of its own.
        is_plain: Whether columns say that it is a time, and not the order of the rows alone.
    """

    time: Column
    files: Column | None = None
    is_plain: bool = True


def list_candidates(columns: Sequence[Column], files: int) -> Iterator[Candidate]:
    """Yield the times that may be meant beside single columns, the likeliest first.

    Args:
        columns: The profiles, in the order of the file.
        files: How many files there are.
    """
    for parts, format_ in (*_list_parts(columns), *_list_clocks(columns)):
        time = _join(parts, format_)
        if time is not None:
            yield Candidate(time)
    if any(column.holds == "time" for column in columns):
        return
    for column in columns:
        if column.holds == "number" and _COUNTS.fullmatch(column.name) and not column.missing:
            yield Candidate(_count_column(column), is_plain=False)
    named = next((c for c in columns if c.of_path and c.distinct == files), None)
    if columns and (files == 1 or named is not None):
        yield Candidate(_count_rows(columns[0].rows, named), named, is_plain=False)


def look_ordered(columns: Sequence[Column], codes: NDArray[np.int64]) -> bool:
    """Return whether each row of an entity resembles the one before it, as in a series.

    Args:
        columns: The profiles.
        codes: The entity of each row, (N,).
    """
    ordered = np.argsort(codes, kind="stable")[:_MOST_LOOKED_AT]
    same = np.diff(codes[ordered]) == 0
    found = []
    for column in columns:
        if column.holds == "number" and column.numbers is not None and column.distinct > 10:
            values = column.numbers[ordered]
            pair = np.stack([values[:-1][same], values[1:][same]])
            pair = pair[:, np.isfinite(pair).all(axis=0)]
            if pair.shape[1] > 30 and (pair.std(axis=1) > 0).all():
                found.append(float(np.corrcoef(pair)[0, 1]))
    return bool(found) and float(np.median(found)) > _SMOOTH


def _list_parts(columns: Sequence[Column]) -> Iterator[tuple[list[Column], str | None]]:
    """Yield year, month, day, and what follows of hour, minute and second."""
    found: list[Column] = []
    for pattern in _PARTS:
        column = next(
            (c for c in columns if pattern.fullmatch(c.name.strip()) and c.is_whole), None
        )
        if column is None:
            break
        found.append(column)
    if len(found) >= 3:
        yield found, None


def _list_clocks(columns: Sequence[Column]) -> Iterator[tuple[list[Column], str | None]]:
    """Yield a date and a clock, with the format of both."""
    days = [c for c in columns if c.times is not None and c.texts and not (c.times % _DAY_NS).any()]
    for day in days:
        if day.distinct > (1 - _REPEATED) * day.rows:
            continue
        for clock in columns:
            if clock is day or not _CLOCK_NAMES.search(clock.name) or not clock.texts:
                continue
            for style in _CLOCKS:
                format_ = _join_formats(day.time_format, style)
                if _read_share([day, clock], format_) >= _ALL:
                    yield [day, clock], format_
                    break


def _join_formats(day: str | None, clock: str) -> str | None:
    if day is None:
        return None if clock in ("%H:%M:%S", "%H:%M") else f"%Y-%m-%d {clock}"
    return f"{day} {clock}"


def _read_share(parts: Sequence[Column], format_: str | None) -> float:
    """Return how many of the different texts of both are read, joined in their order."""
    style = TimeStyle(format_)
    count = min(200, max(part.distinct for part in parts))
    joined = [
        join_parts([part.texts[n % part.distinct] for part in parts], format_) for n in range(count)
    ]
    return sum(style.read(text or "") is not None for text in joined) / count


def _join(parts: Sequence[Column], format_: str | None) -> Column | None:
    """Return the column of a time that several tell; None where too few rows have one."""
    style = TimeStyle(format_ or choose_format(len(parts)))
    codes = np.stack([part.codes for part in parts], axis=1)
    known, places = np.unique(codes, axis=0, return_inverse=True)
    places = places.reshape(-1)
    texts = [
        join_parts(
            [
                part.texts[code] if code >= 0 else None
                for part, code in zip(parts, row, strict=True)
            ],
            style.format,
        )
        for row in known.tolist()
    ]
    read = [None if text is None else style.read(text) for text in texts]
    there = np.array([time is not None for time in read], dtype=np.bool_)
    # Rows that are empty altogether, as at the end of many a table, tell of no time.
    said = np.asarray((known >= 0).any(axis=1))[places]
    if not said.any() or float(there[places][said].mean()) < _ALL:
        return None
    kept = np.cumsum(there) - 1
    new = np.where(there, kept, -1)[places]
    name = "+".join(part.name for part in parts)
    times = np.array([time or 0 for time in read], dtype=np.int64)[places]
    return Column(
        name,
        "time",
        len(new),
        float((new < 0).mean()),
        [text for text, good in zip(texts, there, strict=True) if good and text is not None],
        np.bincount(new[new >= 0], minlength=int(there.sum())).astype(np.int64),
        new,
        times=times,
        time_format=format_,
        parts=tuple(part.name for part in parts),
    )


def _count_column(column: Column) -> Column:
    """Return a column of counts as one of times, a second a step."""
    numbers = np.zeros(column.rows) if column.numbers is None else column.numbers
    times = np.round(np.nan_to_num(numbers) * _SECOND_NS).astype(np.int64)
    return replace(column, holds="time", times=times, numbers=None, count=column.name)


def _count_rows(rows: int, files: Column | None) -> Column:
    """Return the time of rows by their order in each file, a second a step."""
    numbers = np.arange(rows, dtype=np.int64)
    if files is not None:
        for code in range(files.distinct):
            mine = files.codes == code
            numbers[mine] = np.arange(int(mine.sum()))
    count = int(numbers.max(initial=0)) + 1
    texts = [str(number) for number in range(count)]
    counts = np.bincount(numbers, minlength=count).astype(np.int64)
    times = numbers * _SECOND_NS
    return Column("time", "time", rows, 0.0, texts, counts, numbers, times=times, count="")
