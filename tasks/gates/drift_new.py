"""Judges what is new in a version that has grown, and figures of rows that no manifest has.

What is wrong with a week hardly changes what a year looks like. So the rows that the accepted
version does not have are compared with it by themselves.
"""

from dataclasses import dataclass
from functools import partial, reduce

import numpy as np
from numpy.typing import NDArray

from gates.drift.divergence import Histogram
from gates.drift.drift_gate import DriftFigure
from gates.drift.parts import MARGIN, PartFigure, compare_part
from gates.specs.drift import DriftGate
from storage.base.parallel import TaskClient, map_in_order
from storage.base.store import Store
from storage.datasets.version import Version
from storage.forms.base import RowsSpec
from storage.forms.columns import TIME
from storage.shards.entry import ShardEntry
from storage.shards.reading import read_shard
from tasks.forms.registry import find_task_form
from tasks.gates.drift_keys import CHANGED, NEW, SAME, KnownRows, find_known
from tasks.gates.drift_statistics import Pair, find_span
from tasks.gates.row_figures import Counts, Figures, count_parts, make_figures

MOST_BLOCKS = 12
FEWEST_BLOCKS = 3
GROWN = 0.5
"""Which share of the accepted rows a version must still have to have grown."""
YEAR_NS = 365 * 86_400 * 10**9
Parts = NDArray[np.int64]


@dataclass(frozen=True)
class NewRows:
    """Holds what is new in a version.

    Attributes:
        known: What each row is to the accepted version.
        rows: New rows.
        others: New rows, and those at places or times already accepted that are others now.
        why_not: Why they are not judged by themselves; empty if they are.
    """

    known: KnownRows
    rows: int
    others: int
    why_not: str


def find_new(accepted: Version, current: Version, limits: DriftGate, *, ordered: bool) -> NewRows:
    """Find the new rows of a version, and whether they can be judged by themselves."""
    known = find_known(accepted, current, ordered=ordered)
    rows, kept = known.count(NEW), known.count(SAME) + known.count(CHANGED)
    why_not = ""
    if not rows:
        why_not = "there are none"
    elif kept < GROWN * accepted.rows:
        why_not = "the accepted rows are no part of this version"
    elif rows < limits.min_rows:
        why_not = f"only {rows} of {limits.min_rows} rows are new"
    return NewRows(known, rows, rows + known.count(CHANGED), why_not)


def measure_changed(new: NewRows, limits: DriftGate) -> DriftFigure:
    """Measure which share of the rows that were accepted before holds other values now."""
    about = "accepted rows: share whose values or label are changed"
    same, changed = new.known.count(SAME), new.known.count(CHANGED)
    if not same + changed:
        return DriftFigure(about, 0.0, why_not="no row was accepted before")
    if new.known.moved:
        return DriftFigure(about, 0.0, why_not="rows have other places in the source than before")
    share = changed / (same + changed)
    hint = f"{changed:,} of {same + changed:,} rows at places or times already accepted"
    most = limits.max_changed_fraction
    return DriftFigure(about, share, most=most, key="max_changed_fraction", hint=hint)


def tell_new(new: NewRows) -> DriftFigure:
    """Tell how many rows are new, or why they are not judged by themselves."""
    about = "new rows: judged by themselves"
    return DriftFigure(about, float(new.rows), least=1, why_not=new.why_not)


def compare_rows(
    accepted: Version,
    current: Version,
    data: RowsSpec,
    limits: DriftGate,
    new: NewRows,
    client: TaskClient | None,
) -> tuple[dict[str, Pair], list[DriftFigure]]:
    """Compare figures of rows: those that no manifest has of all rows, all of the new ones.

    Args:
        accepted: The accepted version.
        current: The version that is judged.
        data: What the recipe says of the rows.
        limits: The recipe's.
        new: What is new.
        client: Where the work on rows is done; None for here.
    """
    figures = make_figures(accepted, current, data)
    if new.why_not and not figures.extra:
        return {}, []
    blocks = 1
    if not new.why_not:
        blocks = choose_blocks(accepted, new.rows)
    before = _count(accepted, figures, cut_version(accepted, blocks, data), blocks, client)
    states = [(state == NEW).astype(np.int64) for state in new.known.states]
    after = _count(current, figures, states, 2, client)
    pairs: dict[str, Pair] = {}
    for name in figures.extra:
        if name in before and name in after:
            edges = figures.edges[name]
            old, now = (_make_histogram(edges, each[name]) for each in (before, after))
            pairs[name] = (old, now)
    if new.why_not:
        return pairs, []
    found: list[DriftFigure] = []
    warns = find_task_form(data).ordered and not _has_season(accepted, current)
    for name, counts in before.items():
        names = figures.edges.get(name, figures.categories.get(name, ()))
        fresh = after[name][1]
        blocks_of = [block[:-1] for block in counts]
        rough = name in figures.rough
        compared = compare_part(limits, name, blocks_of, fresh[:-1], list(names), rough=rough)
        found += [_make_figure(each, warns=warns and each.seasonal) for each in compared]
        found.append(_measure_missing(name, counts, fresh, limits))
    return pairs, found


def _make_figure(each: PartFigure, *, warns: bool) -> DriftFigure:
    about = f"new rows: {each.field} {each.about}"
    hint = each.hint + ("; the season was never seen before" if warns else "")
    most, field = each.limit, each.field
    return DriftFigure(
        about, each.value, most=most, key=each.key, hint=hint, warns=warns, field=field
    )


def _measure_missing(
    name: str, blocks: NDArray[np.int64], fresh: NDArray[np.int64], limits: DriftGate
) -> DriftFigure:
    total = blocks.sum(axis=0)
    usual, now = total[-1] / max(1, total.sum()), fresh[-1] / max(1, fresh.sum())
    own = max(block[-1] / max(1, block.sum()) - usual for block in blocks)
    return DriftFigure(
        f"new rows: {name} rise of the share of missing values",
        float(now - usual),
        most=max(limits.max_missing_rise, float(own) * MARGIN),
        key="max_missing_rise",
        hint=f"{usual:.2%} -> {now:.2%} of the values",
        field=name,
    )


def _count(
    version: Version,
    figures: Figures,
    parts: list[Parts],
    number: int,
    client: TaskClient | None,
) -> Counts:
    work = partial(_count_shard, shards=version.dataset.shards, figures=figures, number=number)
    pieces = map_in_order(work, list(zip(version.shards, parts, strict=True)), client)
    return reduce(lambda left, right: {name: left[name] + right[name] for name in left}, pieces)


def _count_shard(
    piece: tuple[ShardEntry, Parts], shards: Store, figures: Figures, number: int
) -> Counts:
    """Count one shard's figures by part; runs on a worker."""
    entry, parts = piece
    rows = read_shard(shards, entry, verify=False)
    return count_parts(rows, entry, figures, parts, number)


def choose_blocks(version: Version, rows: int) -> int:
    """Choose into how many blocks of about so many rows a version is cut."""
    return int(np.clip(version.rows // max(1, rows), FEWEST_BLOCKS, MOST_BLOCKS))


def cut_version(version: Version, blocks: int, data: RowsSpec) -> list[Parts]:
    """Cut a version into blocks: of time, or as rows follow each other in the source."""
    if find_task_form(data).ordered:
        first, last = find_span(version) or (0, 0)
        found = []
        for entry in version.shards:
            rows = version.read_shard(entry, [TIME], verify=False)
            place = (rows[TIME] - first) / max(1, last - first + 1) * blocks
            found.append(np.clip(place.astype(np.int64), 0, blocks - 1))
        return found
    starts = np.cumsum([0, *(entry.rows for entry in version.shards)])
    return [
        (np.arange(start, start + entry.rows) * blocks // max(1, version.rows)).astype(np.int64)
        for start, entry in zip(starts, version.shards, strict=False)
    ]


def _has_season(accepted: Version, current: Version) -> bool:
    """Return whether the accepted version reaches over the season that is new."""
    (first, last), (_, end) = (find_span(each) or (0, 0) for each in (accepted, current))
    return last - first >= YEAR_NS or (end - YEAR_NS >= first and last >= end)


def _make_histogram(edges: NDArray[np.float64], counts: NDArray[np.int64]) -> Histogram:
    total = counts.sum(axis=0)[:-1]
    return Histogram(edges=tuple(map(float, edges)), counts=tuple(int(count) for count in total))
