"""How the times of a table are told: a format, a zone whose clocks they are, or a count of steps.

Learning and asking share a style, so that a time means the same moment to both. What is no moment
in its zone, or two of them, is no time: nothing is shifted.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from storage.base.times import check_time_format, count_nanoseconds, find_moment
from storage.base.urls import redact

DAY_NS = 86_400 * 10**9
EPOCHS = {
    "epoch_d": DAY_NS,
    "epoch_s": 10**9,
    "epoch_ms": 10**6,
    "epoch_us": 10**3,
    "epoch_ns": 1,
}
"""Nanoseconds of one unit of a number that counts since 1970 (UTC)."""
_UNITS_NS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "min": 60 * 10**9, "h": 3600 * 10**9}
_UNITS_NS |= {"d": DAY_NS, "w": 7 * DAY_NS}
_STEP = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)")
_FARTHEST = Decimal(10) ** 30
_PARTS = ("%Y", "%m", "%d", "%H", "%M", "%S")
_WHOLE = re.compile(r"([+-]?\d+)(\.0+)?")


_QUARTER_NS = 900 * 10**9
"""Time between two moments at which clocks may be changed."""


class TimeStyle(NamedTuple):
    """How times are told.

    Attributes:
        format: One after C's strptime, or a unit since 1970, as `epoch_ms`; None for ISO 8601.
        zone: Whose clocks say them, as `Europe/Berlin`; None for UTC. A time that says its offset
            means that.
        step_ns: Nanoseconds of a step where a time is a count of steps; 0 where it is none.
        start_ns: When step 0 was.
    """

    format: str | None = None
    zone: str | None = None
    step_ns: int = 0
    start_ns: int = 0

    @property
    def is_number(self) -> bool:
        """Whether times are numbers."""
        return bool(self.step_ns) or self.format in EPOCHS

    @property
    def words(self) -> str:
        """What a time must be, for messages."""
        if self.step_ns:
            return "a number of steps"
        return "ISO 8601" if self.format is None else self.format

    def read(self, text: str) -> int | None:
        """Return the nanoseconds since 1970 of a time; None where it is none, or does not fit."""
        if self.is_number:
            return self._read_number(text)
        found = find_moment(text, self.format)
        if found is None:
            return None
        moment, extra_ns = found
        placed = self._place(moment)
        return None if placed is None else count_nanoseconds(placed, extra_ns)

    def is_moment(self, text: str) -> bool:
        """Return whether a text says one moment, also one that does not fit into 64 bits."""
        if self.is_number:
            return _read_decimal(text) is not None
        found = find_moment(text, self.format)
        return found is not None and self._place(found[0]) is not None

    def explain(self, text: str) -> str:
        """Return why a text that looks like a time is none, where its zone is why; else ""."""
        found = None if self.is_number else find_moment(text, self.format)
        if found is None or self.zone is None or self._place(found[0]) is not None:
            return ""
        first, second = _find_offsets(found[0], self.zone)
        if first < second:
            return f"no time in {self.zone}, whose clocks go past it"
        return f"twice in {self.zone}: its offset must be said"

    def place_all(self, times: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return times of the zone's clocks as nanoseconds since 1970, and which of them are any.

        Args:
            times: (N,) nanoseconds since 1970 as the zone's clocks count them.
        """
        if self.zone is None:
            return times, np.ones(len(times), dtype=np.bool_)
        known, places = np.unique(times, return_inverse=True)
        shifts: list[int | None] = []
        for nanoseconds in known.tolist():
            moment = datetime(1970, 1, 1) + timedelta(microseconds=nanoseconds // 1000)
            placed = self._place(moment)
            offset = None if placed is None else placed.utcoffset()
            shifts.append(None if offset is None else int(offset.total_seconds()) * 10**9)
        there = np.array([shift is not None for shift in shifts], dtype=np.bool_)
        moved = known - np.array([shift or 0 for shift in shifts], dtype=np.int64)
        return np.where(there, moved, 0)[places], there[places]

    def show_clocks(self, times: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return times as the zone's clocks count them, of (N,) nanoseconds since 1970."""
        if self.zone is None:
            return times
        known, places = np.unique(times // _QUARTER_NS, return_inverse=True)
        zone = _find_zone(self.zone)
        offsets = [
            datetime.fromtimestamp(quarter * 900, zone).utcoffset() or timedelta()
            for quarter in known.tolist()
        ]
        shifts = np.array([round(offset.total_seconds()) for offset in offsets], np.int64)
        return times + shifts[places] * 10**9

    def _place(self, moment: datetime) -> datetime | None:
        """Return a moment with its offset; None where the zone has none of it, or two."""
        if moment.tzinfo is not None or self.zone is None:
            return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        first, second = _find_offsets(moment, self.zone)
        return moment.replace(tzinfo=_find_zone(self.zone)) if first == second else None

    def _read_number(self, text: str) -> int | None:
        number = _read_decimal(text)
        if number is None:
            return None
        unit = self.step_ns or EPOCHS[self.format or "epoch_s"]
        nanoseconds = int((number * unit).to_integral_value()) + self.start_ns
        return nanoseconds if -(1 << 63) <= nanoseconds < 1 << 63 else None


def check_style(format_: str | None, zone: str | None) -> None:
    """Checks that times can be read so.

    Raises:
        ValueError: The format or the zone is not known.
    """
    if format_ is not None and format_ not in EPOCHS:
        check_time_format(format_)
    if zone is None:
        return
    try:
        _find_zone(zone)
    except (KeyError, ValueError, OSError):
        raise ValueError(
            f"time_zone ({redact(zone)}) must be a zone of the IANA database; got none of that "
            "name; write as Europe/Berlin, or install tzdata"
        ) from None


def read_step(text: str | float) -> int:
    """Return the nanoseconds of a length of time, as `10min`, `1h`, `1d`, or a number of seconds.

    Raises:
        ValueError: It is none, or not above 0.
    """
    found = _STEP.fullmatch(str(text).strip().lower())
    unit = _UNITS_NS.get(found[2] or "s") if found is not None else None
    step = round(Decimal(found[1]) * unit) if found is not None and unit is not None else 0
    if not 0 < step < 1 << 62:
        raise ValueError(
            f"step ({redact(str(text))[:40]}) must be a length of time above 0; write as 10min, "
            f"with a unit of {', '.join(_UNITS_NS)}"
        )
    return step


def choose_format(parts: int) -> str | None:
    """Return the format of times that several columns tell together, where none is given.

    One or two are ISO 8601, a date and a clock; more are year, month, day, hour, minute, second.
    """
    return None if parts <= 2 else " ".join(_PARTS[:parts])


def join_parts(cells: Sequence[str | None], format_: str | None) -> str | None:
    """Return the text of a time that several cells tell together; None where one is missing.

    Whole numbers that were written with decimals, as `7.0`, are written without.
    """
    given = [cell for cell in cells if cell is not None]
    if len(given) < len(cells):
        return None
    if "." not in (format_ or ""):
        whole = [_WHOLE.fullmatch(cell) for cell in given]
        given = [
            found[1] if found is not None else cell
            for found, cell in zip(whole, given, strict=True)
        ]
    return " ".join(given)


def _read_decimal(text: str) -> Decimal | None:
    plain = text.strip()
    if "_" in plain or not plain.isascii():
        return None
    try:
        number = Decimal(plain)
    except InvalidOperation:
        return None
    # abs() would round, and raise where an exponent is beyond what it may be.
    return number if number.is_finite() and number.copy_abs() < _FARTHEST else None


def _find_offsets(moment: datetime, zone: str) -> tuple[timedelta, timedelta]:
    """Return what a zone's clocks are ahead of UTC when they say a moment first, and last.

    Both differ where they say it twice, or never.
    """
    placed = moment.replace(tzinfo=_find_zone(zone))
    first, second = placed.replace(fold=0).utcoffset(), placed.replace(fold=1).utcoffset()
    return first or timedelta(0), second or timedelta(0)


@lru_cache(maxsize=64)
def _find_zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
