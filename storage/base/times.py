"""What a time in a file means: ISO 8601, or a format of one documented set of directives.

Learning and asking both read times here, so that no format is understood by one of them alone. A
directive that is not in the set is refused where it is written, in the recipe, and a moment that
does not exist, such as 30 February, is no time: it never moves to the next month.
"""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from storage.base.urls import redact

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NANOSECONDS = 10**9
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_LONG_MONTHS = (
    "january|february|march|april|may|june|july|august|september|october|november|december"
)
_DAYS = "monday|tuesday|wednesday|thursday|friday|saturday|sunday|mon|tue|wed|thu|fri|sat|sun"
_MONTH_NAMES = "|".join([_LONG_MONTHS, *_MONTHS])

# No pattern gives a digit back: `%d%m` of "111" is day 11 of month 1, or nothing.
_PATTERNS = {
    "Y": r"(?P<Y>\d{4})",
    "y": r"(?P<y>\d{2})",
    "m": r"(?P<m>\d{1,2}+)",
    "b": rf"(?P<b>{_MONTH_NAMES})",
    "d": r"(?P<d>\s?\d{1,2}+)",
    "j": r"(?P<j>\d{1,3}+)",
    "H": r"(?P<H>\s?\d{1,2}+)",
    "I": r"(?P<I>\s?\d{1,2}+)",
    "M": r"(?P<M>\d{1,2}+)",
    "S": r"(?P<S>\d{1,2}+)",
    "f": r"(?P<f>\d{1,9}+)",
    "p": r"(?P<p>[ap]\.?m\.?)",
    "a": rf"(?:{_DAYS})",
    "z": r"(?P<z>Z|[+-]\d{2}:?\d{2})",
    "Z": r"(?:UTC|GMT|Z)",
    "s": r"(?P<s>-?\d{1,11}+)",
    "%": "%",
}
_SHORT = {
    "F": "%Y-%m-%d",
    "T": "%H:%M:%S",
    "D": "%m/%d/%y",
    "R": "%H:%M",
    "r": "%I:%M:%S %p",
    "e": "%d",
    "h": "%b",
    "B": "%b",
    "A": "%a",
    "n": " ",
    "t": " ",
}
DIRECTIVES = "%" + " %".join(sorted((*_PATTERNS, *_SHORT), key=lambda name: (name.lower(), name)))
"""Every directive that a format may hold, for messages and the reference page."""


def check_time_format(style: str) -> None:
    """Checks that times of a format can be read.

    Raises:
        ValueError: It holds a directive that is not known, or one twice, or hours of twelve without
            %p, or no date.
    """
    _compile(style)


def read_time(text: str, style: str | None = None) -> int | None:
    """Return the nanoseconds since 1970 of a time, UTC unless the text says otherwise.

    What a format does not say is that of 1900-01-01, as in C's strptime. 64 bits reach from 1677 to
    2262: 9999-12-31, which stands for "never" in many a table, is no time.

    Args:
        text: The time; white space around it does not count.
        style: Its format; None for ISO 8601.

    Returns:
        None where it is no time, or does not fit.

    Raises:
        ValueError: The format is not one that can be read.
    """
    found = find_moment(text, style)
    return None if found is None else count_nanoseconds(*found)


def count_nanoseconds(moment: datetime, extra_ns: int) -> int | None:
    """Return the nanoseconds since 1970 of a moment; None where 64 bits do not reach."""
    past = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH
    seconds = past.days * 86_400 + past.seconds
    nanoseconds = seconds * _NANOSECONDS + past.microseconds * 1_000 + extra_ns
    return nanoseconds if -(1 << 63) <= nanoseconds < 1 << 63 else None


def is_moment(text: str, style: str | None = None) -> bool:
    """Return whether a text says a moment at all, also one that does not fit into 64 bits."""
    return find_moment(text, style) is not None


def find_moment(text: str, style: str | None) -> tuple[datetime, int] | None:
    """Return a moment to the microsecond, and the nanoseconds beyond; None where there is none.

    It has an offset where the text says one.
    """
    return _read_iso(text.strip()) if style is None else _match(text.strip(), style)


def _read_iso(text: str) -> tuple[datetime, int] | None:
    try:
        return datetime.fromisoformat(text), 0
    except ValueError:
        return None


def _match(text: str, style: str) -> tuple[datetime, int] | None:
    found = _compile(style).fullmatch(text)
    if found is None:
        return None
    said = {name: value for name, value in found.groupdict().items() if value is not None}
    try:
        moment, extra_ns = _build(said)
    except (ValueError, OverflowError):
        return None
    tells_offset = "z" in said or "s" in said or "%Z" in style
    return (moment.replace(tzinfo=UTC) if tells_offset else moment), extra_ns


def _build(said: dict[str, str]) -> tuple[datetime, int]:
    """Return the moment that the parts of a time say; ValueError where there is none."""
    if "s" in said:
        return _EPOCH + timedelta(seconds=int(said["s"])), 0
    fraction = said.get("f", "0").ljust(9, "0")
    moment = datetime(
        _read_year(said),
        _read_month(said),
        int(said.get("d", "1")),
        _read_hour(said),
        int(said.get("M", "0")),
        int(said.get("S", "0")),
    )
    if "j" in said:
        year = moment.year
        moment += timedelta(days=int(said["j"]) - 1)
        if moment.year != year:
            raise ValueError("day of the year")
    offset = said.get("z", "Z")
    if offset not in "Zz":
        apart = timedelta(hours=int(offset[1:3]), minutes=int(offset[-2:]))
        moment -= -apart if offset[0] == "-" else apart
    return moment, int(fraction)


def _read_year(said: dict[str, str]) -> int:
    if "y" not in said:
        return int(said.get("Y", "1900"))
    # POSIX: 69 to 99 are of the last century.
    short = int(said["y"])
    return short + (1900 if short >= 69 else 2000)


def _read_month(said: dict[str, str]) -> int:
    if "b" in said:
        return _MONTHS.index(said["b"][:3].lower()) + 1
    return int(said.get("m", "1"))


def _read_hour(said: dict[str, str]) -> int:
    """Return the hour of 24; one of twelve hours is told by %p, and %p must not contradict."""
    after_noon = said.get("p", "a")[0].lower() == "p"
    if "I" in said:
        hour = int(said["I"])
        if not 1 <= hour <= 12:
            raise ValueError("hour of twelve")
        return hour % 12 + (12 if after_noon else 0)
    hour = int(said.get("H", "0"))
    if "p" in said and after_noon != (hour >= 12):
        raise ValueError("hour and half of the day")
    return hour


@lru_cache(maxsize=64)
def _compile(style: str) -> re.Pattern[str]:
    """Return what matches a format's times, whatever their case."""
    plain = _spell_out(style)
    used = re.findall(r"%(.)", plain.replace("%%", ""))
    twice = sorted({name for name in used if used.count(name) > 1})
    if twice:
        raise ValueError(
            f"time_format ({redact(style)}) must name each part once; got %{', %'.join(twice)} "
            "twice; leave one out"
        )
    if "I" in used and "p" not in used:
        raise ValueError(
            f"time_format ({redact(style)}) must tell morning from evening; got %I without %p; "
            "write %H for hours from 0 to 23"
        )
    if not {"Y", "y", "s", "H", "I"} & set(used):
        raise ValueError(
            f"time_format ({redact(style)}) must name a time; got none of %Y, %y, %s, %H; write as "
            "%Y-%m-%d %H:%M"
        )
    parts = re.split(r"(%.|\s+)", plain)
    # White space stands for any, also none, as in C.
    patterns = [
        r"\s*" if part.isspace() else _PATTERNS[part[1]] if part[:1] == "%" else re.escape(part)
        for part in parts
        if part
    ]
    return re.compile("".join(patterns), re.IGNORECASE | re.ASCII)


def _spell_out(style: str) -> str:
    """Return a format without the short forms; refuses directives that are not known."""

    def spell(found: re.Match[str]) -> str:
        name = found[1]
        if name not in _PATTERNS and name not in _SHORT:
            raise ValueError(
                f"time_format ({redact(style)}) must hold directives that are read here; got "
                f"%{name}; choose among {DIRECTIVES}"
            )
        return _SHORT.get(name, found[0])

    return re.sub(r"%(.?)", spell, style, flags=re.DOTALL)
