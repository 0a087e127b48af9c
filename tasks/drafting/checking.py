"""Looks at the first rows of a recipe's source as a run will read them: no training, in seconds."""

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from storage.base.errors import StorageError
from storage.forms.base import RowsSpec
from storage.forms.registry import find_form
from storage.shards.row_ids import LABEL, Rows, count_rows
from storage.sources.base import Decoded, Part, PassedOver, Source
from tasks.forms.profile import profile_rows
from tasks.rendering.profile import DataProfile

PART_BYTES, MOST_BYTES, MOST_S = 4 << 20, 64 << 20, 20.0
MOST_SHOWN = 8
FIRST_ROWS = 5_000
_INNER = frozenset({"profile", "first"})


@dataclass
class SourceLook:
    """What was seen of a source.

    Attributes:
        rows: Rows that were read.
        complete: Whether these are all of them.
        bytes_read: Bytes that they take in memory.
        seconds: Time that it took.
        profile: What they hold, column by column.
        classes: Rows of each class.
        splits: Rows of each split that the source gives.
        faults: What a run would stop at.
        passed_over: Files that are none of the source's kind, by ending.
        first: Some of the rows, at most `FIRST_ROWS`.
    """

    rows: int = 0
    complete: bool = True
    bytes_read: int = 0
    seconds: float = 0.0
    profile: DataProfile = field(default_factory=DataProfile)
    classes: dict[str, int] = field(default_factory=dict)
    splits: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    passed_over: dict[str, int] = field(default_factory=dict)
    first: Rows = field(default_factory=dict)

    @property
    def document(self) -> dict[str, Any]:
        """The same as plain data."""
        shown = {"name", "type", "missing", "values"}
        columns = [column.model_dump(include=shown) for column in self.profile.columns]
        fields = {name: value for name, value in vars(self).items() if name not in _INNER}
        return fields | {"columns": columns}


def look_at_source(source: Source, data: RowsSpec, unread: float, unreadable: float) -> SourceLook:
    """Read the first rows, as collecting will, and say what is wrong with them.

    Args:
        source: Where the rows come from.
        data: What the recipe says of them.
        unread: Most records that may be unread, as a fraction.
        unreadable: Most values of a column that may be there and be none, as a fraction.
    """
    look, started = SourceLook(), time.monotonic()
    parts: list[Rows] = []
    odd: Counter[str] = Counter()
    strange: set[str] = set()
    lost: list[str] = []
    try:
        for item in source.scan(data, PART_BYTES):
            if isinstance(item, PassedOver):
                look.passed_over.update(item.endings)
            if not isinstance(item, Part):
                continue
            if look.bytes_read >= MOST_BYTES or time.monotonic() - started > MOST_S:
                look.complete = False
                break
            decoded = source.decode(item, data)
            _add(look, item, decoded)
            parts.append(decoded.rows)
            strange.update(decoded.undeclared)
            lost += [f"{fault.name}: {fault.reason}" for fault in decoded.faults]
            for name, found in decoded.unreadable.items():
                odd[name] += found.count
    except StorageError as error:
        look.faults.append(str(error))
    if not look.rows and not look.faults:
        named = source.display or "of a package"
        look.faults.append(f"source ({named}) must hold rows; got none that can be read")
    rows = find_form(data).settle(_join(parts), data) if parts else {}
    _judge(look, rows, data, (strange, lost, odd), (unread, unreadable))
    look.profile = profile_rows(rows, data)
    look.first = {name: values[:FIRST_ROWS] for name, values in rows.items()}
    look.seconds = round(time.monotonic() - started, 2)
    return look


def _add(look: SourceLook, part: Part, decoded: Decoded) -> None:
    count = count_rows(decoded.rows) if decoded.rows else 0
    look.rows += count
    look.bytes_read += sum(values.nbytes for values in decoded.rows.values())
    if part.split:
        look.splits[part.split] = look.splits.get(part.split, 0) + count


def _join(parts: list[Rows]) -> Rows:
    if not parts:
        return {}
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _judge(
    look: SourceLook,
    rows: Rows,
    data: RowsSpec,
    found: tuple[set[str], list[str], Counter[str]],
    limits: tuple[float, float],
) -> None:
    """Say what a run would stop at, as far as the first rows show it."""
    strange, lost, odd = found
    if LABEL in rows and data.labels:
        counts = Counter(rows[LABEL].tolist())
        look.classes = {name: counts.get(n, 0) for n, name in enumerate(data.labels)}
    if strange:
        look.faults.append(
            f"data.labels ({', '.join(data.labels[:MOST_SHOWN])}) must name each class of the "
            f"rows; got {', '.join(sorted(strange)[:MOST_SHOWN])} besides; add them, or filter "
            "them out"
        )
    if len(lost) > limits[0] * max(1, look.rows):
        look.faults.append(
            f"source must hold records that can be read; got {len(lost)} that cannot, as {lost[0]}"
            "; mend them there"
        )
    for name, count in odd.items():
        if count > limits[1] * max(1, look.rows):
            look.faults.append(
                f"column ({name}) must hold numbers or times; got {count} values that are none; "
                "name the text in data.missing if it means that there is no value, or mend them"
            )
    absent = [name for name, count in look.classes.items() if not count]
    if absent and look.complete:
        look.faults.append(
            f"data.labels ({', '.join(absent[:MOST_SHOWN])}) must be classes of the rows; got no "
            "row of them; remove them"
        )
