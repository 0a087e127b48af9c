"""What stands in a CSV file before its rows: lines to skip, the header, a row of units."""

from collections.abc import Iterator

import numpy as np

from storage.base import records
from storage.base.errors import SourceError
from storage.base.marks import Marks
from storage.base.text_style import is_units_row
from storage.sources.csv_blocks import Cut


def skip_lines(texts: Iterator[bytes], count: int, display: str) -> Iterator[bytes]:
    """Yield the text of a file without its first lines, as an editor counts lines.

    Args:
        texts: The file's text as UTF-8, in pieces.
        count: How many lines are skipped.
        display: The file's address, for messages.

    Raises:
        SourceError: There are fewer lines, or they are too long for lines before a table.
    """
    held = b""
    left = count
    for text in texts:
        if not left:
            yield text
            continue
        held += text
        # Of a CR at the end it is not known whether an LF follows.
        breaks = records.find_breaks(held.removesuffix(b"\r"))
        if len(breaks) >= left:
            held, left = held[int(breaks[left - 1]) + 1 :], 0
            yield held
        elif len(held) > records.LONGEST_RECORD_BYTES:
            break
    if left:
        raise SourceError(
            f"file ({display}) must have a table behind the {count} lines that source.skip_rows "
            f"skips; got {len(records.find_breaks(held))} lines; write as many as stand before the "
            "header"
        )


def take_header(cut: Cut, delimiter: str) -> tuple[list[str], Cut]:
    """Return the names in the first record of a block that is no blank line, and the rest of it."""
    found, cut = _take_filled(cut, delimiter)
    return ([] if found is None else [name.strip() for name in found.cells]), cut


def drop_units(cut: Cut, delimiter: str, marks: Marks) -> Cut:
    """Return a block without its first record that is no blank line, if it holds no number."""
    found, rest = _take_filled(cut, delimiter)
    return rest if found is not None and is_units_row(found.cells, marks) else cut


def _take_filled(cut: Cut, delimiter: str) -> tuple[records.Record | None, Cut]:
    """Return the first record of a block that is no blank line, and what follows."""
    while True:
        found, cut = _take_record(cut, delimiter)
        if found is None or not found.is_blank:
            return found, cut


def _take_record(cut: Cut, delimiter: str) -> tuple[records.Record | None, Cut]:
    """Return the first record of a block, None at its end, and what follows."""
    if not cut.text:
        return None, cut
    ends = records.find_ends(cut.text, delimiter.encode())
    length = int(ends[0]) + 1 if len(ends) else len(cut.text)
    first = cut.text[:length]
    record = next(records.split_records(first.decode(), delimiter), None)
    lines = int(np.size(records.find_breaks(first)))
    return record, Cut(cut.text[length:], cut.records - 1, cut.line + lines)
