"""How the text of a CSV file falls into records and cells (RFC 4180), for whoever reads one.

A quote opens a cell only as its first character; anywhere else it is a letter, as the inch in
`5" pipe`. A record ends at LF, CRLF or CR outside quotes. A line of nothing but white space is no
record. A record is as wide as the header, or it is a fault: no value is ever shifted.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

LONGEST_RECORD_BYTES = 8 * 2**20
"""Longest record that is read, without its line end; a longer one is a quote that never closes."""
TOO_LONG = f"has more than {LONGEST_RECORD_BYTES} bytes"
UNCLOSED = "has a quote that is never closed"
_BEHIND = "has text behind a closing quote"
REPEATED_HEADER = "repeats the header"
_QUOTE, _LF, _CR = 34, 10, 13


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a file.

    Attributes:
        cells: Its values, without their quotes.
        line: The line that it begins on, counted from 1 as an editor does.
        fault: Why it cannot be read; "" where it can.
    """

    cells: list[str]
    line: int
    fault: str = ""

    @property
    def is_blank(self) -> bool:
        """Whether it is a line of nothing but white space."""
        return not self.cells


def split_records(text: str, delimiter: str = ",", line: int = 1) -> Iterator[Record]:
    """Yield the records of a text, blank lines among them.

    Args:
        text: Whole records; the last one needs no line end.
        delimiter: What stands between two values.
        line: Number of the first line.
    """
    record, value = _compile(delimiter)
    place = 0
    while place < len(text):
        found = record.match(text, place)
        raw = found[1] if found is not None else text[place:]
        place = found.end() if found is not None else len(text)
        yield _split_record(raw, delimiter, value, line)
        line += 1 + (_count_breaks(raw) if '"' in raw else 0)


def check_width(record: Record, width: int) -> str:
    """Return the fault of a record that should be so wide; "" where it has none."""
    if record.fault or len(record.cells) == width:
        return record.fault
    return describe_width(len(record.cells), width)


def describe_width(found: int, wanted: int) -> str:
    """Return what is wrong with a record of another width than the header's."""
    return f"has {found} values, not {wanted}"


def repeats_header(cells: Sequence[str], header: Sequence[str]) -> bool:
    """Return whether a record is the header again, as where files were joined.

    Of one column nobody can tell.
    """
    return len(header) > 1 and [cell.strip() for cell in cells] == list(header)


def is_regular(text: bytes, delimiter: bytes) -> bool:
    """Return whether each quote of a text opens or closes a cell, or is one of a pair inside one.

    Then quotes outside and inside alternate, and any parser of CSV reads it alike.
    """
    data = np.frombuffer(text, dtype=np.uint8)
    quotes = np.flatnonzero(data == _QUOTE)
    if not len(quotes):
        return True
    if len(quotes) % 2:
        return False
    edges = np.zeros(256, dtype=np.bool_)
    edges[[_LF, _CR, _QUOTE, ord(delimiter)]] = True
    opening, closing = quotes[0::2], quotes[1::2]
    # A quote beside another is one of a pair: it counts as an edge, too.
    opens = edges[data[np.maximum(opening - 1, 0)]] | (opening == 0)
    closes = edges[data[np.minimum(closing + 1, len(data) - 1)]] | (closing == len(data) - 1)
    return bool(opens.all() and closes.all())


def find_ends(text: bytes, delimiter: bytes, *, final: bool = True) -> NDArray[np.intp]:
    """Return the positions of the last characters of the line ends that end records.

    Args:
        text: Text that begins with a record.
        delimiter: What stands between two values.
        final: Whether nothing follows: of a CR at the end it is not known before.
    """
    data = np.frombuffer(text, dtype=np.uint8)
    ends = find_breaks(text)
    if not final and len(ends) and ends[-1] == len(data) - 1 and data[-1] == _CR:
        ends = ends[:-1]
    if not len(ends) or b'"' not in text:
        return ends
    # What comes behind the last line end may be cut in the middle of a cell.
    head = text[: int(ends[-1]) + 1]
    if is_regular(head, delimiter):
        quoted = np.cumsum(data == _QUOTE, dtype=np.int64) & 1
        outside: NDArray[np.intp] = ends[quoted[ends] == 0]
        return outside
    record = _compile_bytes(delimiter)
    found: list[int] = []
    place = 0
    while place < len(head):
        match = record.match(head, place)
        place = match.end() if match is not None else len(head)
        if match is not None and match[2]:
            found.append(place - 1)
    return np.array(found, dtype=np.intp)


def find_breaks(text: bytes) -> NDArray[np.intp]:
    """Return the positions of all line ends, of CRLF that of LF."""
    data = np.frombuffer(text, dtype=np.uint8)
    breaks = data == _LF
    if b"\r" in text:
        alone = data == _CR
        alone[:-1] &= data[1:] != _LF
        breaks |= alone
    return np.flatnonzero(breaks)


def find_blanks(text: bytes, ends: NDArray[np.intp], delimiter: bytes) -> set[int]:
    """Return the numbers of the records that are lines of white space.

    Args:
        text: Whole records.
        ends: Their ends, as `find_ends` gives them.
        delimiter: What stands between two values.
    """
    space = b" \t\r\n\x0b\x0c".replace(delimiter, b"")
    bounds = np.concatenate(([0], ends + 1, [len(text)] if _is_open(text, ends) else []))
    data = np.frombuffer(text, dtype=np.uint8)
    inked = np.ones(256, dtype=np.bool_)
    inked[list(space)] = False
    first = data[bounds[:-1].astype(np.intp)]
    doubtful = np.flatnonzero(~inked[first])
    return {
        int(number)
        for number in doubtful
        if not text[int(bounds[number]) : int(bounds[number + 1])].strip(space)
    }


def count_records(text: bytes, ends: NDArray[np.intp]) -> int:
    """Return how many records a text holds, the last one perhaps without a line end."""
    return len(ends) + int(_is_open(text, ends))


def find_too_long(text: bytes, ends: NDArray[np.intp]) -> int | None:
    """Return the number of the first record that is too long to be read; None without such.

    Args:
        text: Whole records.
        ends: Their ends, as `find_ends` gives them.
    """
    if len(text) <= LONGEST_RECORD_BYTES:
        return None
    last = [len(text)] if _is_open(text, ends) else []
    bounds = np.concatenate(([-1], ends, last)).astype(np.intp)
    for number in np.flatnonzero(np.diff(bounds) - 1 > LONGEST_RECORD_BYTES):
        start, stop = int(bounds[number]) + 1, int(bounds[number + 1])
        in_two = text[stop - 1 : stop + 1] == b"\r\n"
        if stop - in_two - start > LONGEST_RECORD_BYTES:
            return int(number)
    return None


def _is_too_long(raw: str) -> bool:
    """Tell whether a record has too many bytes, which a letter of UTF-8 has up to four of."""
    return (
        len(raw) > LONGEST_RECORD_BYTES // 4
        and len(raw.encode(errors="surrogatepass")) > LONGEST_RECORD_BYTES
    )


def _is_open(text: bytes, ends: NDArray[np.intp]) -> bool:
    return len(text) > (int(ends[-1]) + 1 if len(ends) else 0)


def _count_breaks(raw: str) -> int:
    return raw.count("\n") + raw.count("\r") - raw.count("\r\n")


def _split_record(raw: str, delimiter: str, value: re.Pattern[str], line: int) -> Record:
    fault = TOO_LONG if _is_too_long(raw) else ""
    if '"' not in raw:
        if raw.strip(" \t\r\n\x0b\x0c".replace(delimiter, "")):
            return Record(raw.split(delimiter), line, fault)
        return Record([], line)
    cells: list[str] = []
    for found in value.finditer(raw):
        cell = found[1]
        if cell.startswith('"'):
            inside, closed, rest = found[2], found[3], found[4]
            fault = fault or (_BEHIND if rest else "" if closed else UNCLOSED)
            cell = inside.replace('""', '"') + rest
        cells.append(cell)
    return Record(cells, line, fault)


@lru_cache(maxsize=16)
def _compile(delimiter: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return what matches one record with its line end, and one cell with its delimiter."""
    mark = re.escape(delimiter)
    quoted = r'"((?:[^"]++|"")*+)("?+)'
    bare = rf"[^{mark}\r\n]*+"
    plain = r'"(?:[^"]++|"")*+"?+'
    cell = rf"(?:{plain})?+{bare}"
    record = re.compile(rf"({cell}(?:{mark}{cell})*+)(\r\n|\r|\n|\Z)")
    value = re.compile(rf"(?:\A|{mark})({quoted}({bare})|{bare})", re.DOTALL)
    return record, value


@lru_cache(maxsize=16)
def _compile_bytes(delimiter: bytes) -> re.Pattern[bytes]:
    """Return what matches one record with its line end."""
    record, _ = _compile(delimiter.decode("latin-1"))
    return re.compile(record.pattern.encode("latin-1"))
