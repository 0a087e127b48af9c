"""Draws rows that failed checks name, for the page of a gate: alone, or in pairs of splits."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np

from gates.engine.report import GateReport
from storage.datasets.version import Version
from storage.forms.base import RowsSpec
from storage.shards.entry import ShardEntry
from storage.shards.row_ids import ROW_ID, Rows
from storage.upkeep.duplicates import ReadKeys, iter_shared
from storage.upkeep.quarantine import name_source
from tasks.forms.registry import find_task_form
from tasks.gates.row_looks import read_looks
from tasks.rendering.gate_page import Offender
from tasks.rendering.pictures import encode_picture

MAX_OFFENDERS, MAX_PAIRS = 12, 6
SHARED = "content hash between splits"
NEAR_DUPLICATES = "held-out rows that look like a training row"
_ROW_ID = re.compile(r"\brow_id (\d+)")


def pick_offenders(version: Version, data: RowsSpec, report: GateReport) -> Iterator[Offender]:
    """Draw the first rows of a raw version that failed checks name, each as its form draws rows."""
    wanted = _list_wanted(report)
    ids = np.array(sorted(wanted), np.uint64)
    for entry in version.shards if len(ids) else ():
        places = np.flatnonzero(np.isin(version.read_shard(entry, (ROW_ID,))[ROW_ID], ids))
        if not len(places):
            continue
        rows = version.read_shard(entry)
        for place in places.tolist():
            about, name = wanted[int(rows[ROW_ID][place])]
            named = name if " source " in name else f"{name} source {name_source(entry, place)}"
            yield _draw_row(about, named, rows, place, data)


def _list_wanted(report: GateReport) -> dict[int, tuple[str, str]]:
    """List the check that names a row, and the row's name there, by the ids of the first rows."""
    wanted: dict[int, tuple[str, str]] = {}
    for check in report.checks:
        for name in check.rows if not check.passed else ():
            if (found := _ROW_ID.search(name)) and len(wanted) < MAX_OFFENDERS:
                wanted.setdefault(int(found[1]), (check.about, name))
    return wanted


def _draw_row(about: str, name: str, rows: Rows, place: int, data: RowsSpec) -> Offender:
    drawn = find_task_form(data).draw_row(about, rows, place, data)
    picture = None
    if drawn.pixels is not None:
        picture = encode_picture(drawn.pixels, drawn.value_range)
    return Offender(about=about, name=name, picture=picture, values=drawn.values, place=drawn.place)


@dataclass(frozen=True)
class _Row:
    """Says where a row of a prepared version lies."""

    entry: ShardEntry
    place: int
    row_id: int


def pick_pairs(
    prepared: Version, raw: Version, data: RowsSpec, report: GateReport
) -> Iterator[Offender]:
    """Draw pairs of rows that two splits share, or that look alike; nothing is read for none.

    Args:
        prepared: The version that was judged.
        raw: What it was made from: it knows from which file a row comes.
        data: What the recipe says of the rows.
        report: Of the prepared gate.
    """
    failed = {check.about for check in report.checks if not check.passed}
    form, found = find_task_form(data), list[tuple[str, _Row, _Row]]()
    if SHARED in failed:
        pairs = _find_pairs(prepared, prepared.splits, None)
        found += [(SHARED, *pair) for pair in pairs]
    if NEAR_DUPLICATES in failed and form.looks:
        read = partial(read_looks, version=prepared, form=form)
        pairs = _find_pairs(prepared, ("train", "held_out"), read)
        found += [(NEAR_DUPLICATES, *pair) for pair in pairs]
    sources = _find_sources(raw, [row.row_id for _, *pair in found for row in pair])
    for about, *pair in found:
        first, second = (_draw_paired(about, row, prepared, data, sources) for row in pair)
        yield first.model_copy(update={"near_duplicate": second})


def _find_pairs(
    version: Version, splits: Iterable[str], read: ReadKeys | None
) -> list[tuple[_Row, _Row]]:
    """Find some pairs of rows with one key in two splits; always the same, of the lowest keys."""
    order = {split: number for number, split in enumerate(sorted(splits))}
    found: list[tuple[int, int, int, int]] = []
    for number, places, alike in iter_shared(version, read, list(order)):
        rank = order[version.shards[number].split]
        found += [
            (key, rank, number, place)
            for key, place in zip(alike.tolist(), places.tolist(), strict=True)
        ]
        # One key has at most a row a split.
        found = sorted(found)[: (MAX_PAIRS + 1) * len(order)]
    pairs = [(first, second) for first, second in pairwise(found) if first[0] == second[0]]
    return [
        (_locate(version, *first[2:]), _locate(version, *second[2:]))
        for first, second in pairs[:MAX_PAIRS]
    ]


def _locate(version: Version, number: int, place: int) -> _Row:
    entry = version.shards[number]
    return _Row(entry, place, int(version.read_shard(entry, (ROW_ID,))[ROW_ID][place]))


def _find_sources(raw: Version, row_ids: list[int]) -> dict[int, str]:
    """Find from which file, and which record of it, rows were collected."""
    ids, found = np.array(row_ids, np.uint64), {}
    for entry in raw.shards if row_ids else ():
        here = raw.read_shard(entry, (ROW_ID,))[ROW_ID]
        for place in np.flatnonzero(np.isin(here, ids)).tolist():
            found[int(here[place])] = name_source(entry, place)
    return found


def _draw_paired(
    about: str, row: _Row, version: Version, data: RowsSpec, sources: dict[int, str]
) -> Offender:
    name = f"{row.entry.split} row_id {row.row_id} source {sources.get(row.row_id, 'unknown')}"
    return _draw_row(about, name, version.read_shard(row.entry), row.place, data)
