"""Guesses in which format a column writes its times."""

import re
from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from storage.base.time_styles import TimeStyle

_DATES = (
    "%Y-%m-%d",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%Y/%m/%d",
    "%d.%m.%Y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%d/%m/%y",
    "%m/%d/%y",
    "%d.%m.%y",
    "%d %b %Y",
    "%d-%b-%Y",
    "%d-%b-%y",
    "%b %d %Y",
    "%b %d, %Y",
    "%Y.%m.%d",
)
_CLOCKS = (
    "",
    " %H:%M",
    " %H:%M:%S",
    " %H.%M.%S",
    " %H.%M",
    " %I:%M %p",
    " %I:%M:%S %p",
    " %H:%M:%S.%f",
    "T%H:%M:%S",
    " %H",
)
_NUMERIC = ("%Y%m%d%H%M%S", "%Y%m%d%H%M", "%Y%m%d%H", "%Y%m%d", "%s")
"""Formats of times that look like numbers; tried only where the column's name speaks of time."""
_EPOCHS = {"epoch_s": (9, 10), "epoch_ms": (12, 13), "epoch_us": (15, 16), "epoch_ns": (18, 19)}
"""Digits before the point of times since 2001, by their unit."""
_DIGITS = re.compile(r"\d+")
_DECIMALS = re.compile(r"\d+(\.\d+)?")
_SAMPLE = 40
_ALL = 0.99


def find_time_format(
    texts: Sequence[str], codes: NDArray[np.int64], *, named: bool
) -> tuple[str | None, NDArray[np.int64]] | None:
    """Return the format of a column's times and the times of its different texts.

    Args:
        texts: The different texts.
        codes: Which of them each row has, -1 where none; the order tells days from months.
        named: Whether the column's name speaks of time.

    Returns:
        None where they are no times. The format is None for ISO 8601.
    """
    some = [texts[n] for n in np.linspace(0, len(texts) - 1, min(_SAMPLE, len(texts))).astype(int)]
    found = []
    for style in _list_formats(some, named=named):
        read = TimeStyle(style).read
        if all(read(text) is not None for text in some):
            times = [read(text) for text in texts]
            good = sum(time is not None for time in times)
            if good >= _ALL * len(texts):
                found.append((style, np.array([time or 0 for time in times], dtype=np.int64)))
                if style is None:
                    break
    if not found:
        return None
    return max(found, key=lambda each: _count_steps_forward(each[1], codes))


def _list_formats(some: Sequence[str], *, named: bool) -> Iterator[str | None]:
    if all(_DIGITS.fullmatch(text) for text in some):
        if named:
            yield from (style for style in _NUMERIC if _fits_digits(some, style))
            yield from _list_epochs(some)
        return
    if all(_DECIMALS.fullmatch(text) for text in some):
        yield from _list_epochs(some) if named else ()
        return
    yield None
    for date, clock in product(_DATES, _CLOCKS):
        yield date + clock


def _list_epochs(some: Sequence[str]) -> Iterator[str]:
    lengths = {len(text.partition(".")[0]) for text in some}
    whole = all(_DIGITS.fullmatch(text) for text in some)
    for style, known in _EPOCHS.items():
        # Whole seconds have a format of their own.
        if lengths <= set(known) and not (whole and style == "epoch_s"):
            yield style


def _fits_digits(some: Sequence[str], style: str) -> bool:
    lengths = {len(text) for text in some}
    wanted = {"%s": {9, 10}, "%Y%m%d": {8}, "%Y%m%d%H": {10}, "%Y%m%d%H%M": {12}}
    return lengths <= wanted.get(style, {14})


def _count_steps_forward(times: NDArray[np.int64], codes: NDArray[np.int64]) -> float:
    """Return how often time goes on from row to row, less how often it goes back."""
    steps = np.diff(times[codes[codes >= 0]])
    if not len(steps):
        return 0.0
    # Of two formats that read all, days and months swapped, the true one leaps less.
    return float(np.sign(steps).mean()) - 1e-3 * float(np.abs(steps).std() / 8.64e13 / 366)
