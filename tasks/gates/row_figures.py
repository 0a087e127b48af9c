"""Counts the figures of rows in the cells of the accepted version's grids, part by part."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gates.drift.cells import count_cells
from gates.drift.profile import Grid, make_grid
from storage.datasets.version import Version
from storage.forms.base import RowsSpec
from storage.forms.columns import SERIES_ID
from storage.pipeline.derived import BLOCK_ROWS, PREFIX, derive_columns
from storage.shards.entry import ShardEntry
from storage.shards.row_ids import LABEL, Rows
from storage.shards.statistics import FieldStatistics
from tasks.forms.columns import Column, read_column
from tasks.forms.registry import find_task_form

HOP = 61
"""Rows from one window of `.energy` to the next: a prime, so that no cycle meets the same phase."""
_COLOURS = 129
_LEFT_OUT = (".energy", ".odd", ".length")
Counts = dict[str, NDArray[np.int64]]


@dataclass(frozen=True)
class Figures:
    """Says what is counted of rows; made from the accepted version.

    Attributes:
        columns: Columns of numbers, and texts and label.
        edges: Of the cells, by the name of a column or derived figure.
        categories: Values of texts and label, by column.
        derived: Names of derived figures, as rows give them, and as people read them.
        extra: Names of figures that no manifest has.
        rough: Names of figures that are derived from rows that follow each other.
    """

    columns: tuple[Column, ...]
    edges: Mapping[str, NDArray[np.float64]]
    categories: Mapping[str, tuple[str, ...]]
    derived: Mapping[str, str]
    extra: tuple[str, ...]
    rough: frozenset[str]


def make_figures(accepted: Version, current: Version, data: RowsSpec) -> Figures:
    """Make grids of columns and derived figures, and lists of categories."""
    form, statistics, later = find_task_form(data), accepted.statistics(), current.statistics()
    columns = tuple(form.list_columns(data))
    edges: dict[str, NDArray[np.float64]] = {}
    categories: dict[str, tuple[str, ...]] = {}
    for column in columns:
        found = statistics.get(column.key)
        if found is None:
            continue
        if column.role in ("number", "target") and (grid := make_edges(found)) is not None:
            edges[column.name] = grid
        if column.role in ("text", "label") and found.distinct is not None:
            new = later.get(column.key, FieldStatistics()).distinct
            if new is not None:
                categories[column.name] = tuple(sorted({*found.distinct, *new}))
    derived: dict[str, str] = {}
    for key, found in statistics.items():
        name = key.removeprefix(PREFIX)
        flat = name.endswith(".flat") and not form.ordered
        if key.startswith(PREFIX) and not name.endswith(_LEFT_OUT) and not flat:
            grid = make_edges(found)
            if grid is not None:
                derived[name] = form.name_derived(name, data)
                edges[derived[name]] = grid
    extra = list_extra(columns, statistics, ordered=form.ordered)
    edges |= extra
    rough = frozenset({*derived.values(), *extra}) if form.ordered else frozenset[str]()
    return Figures(columns, edges, categories, derived, tuple(extra), rough)


def list_extra(
    columns: Sequence[Column], statistics: Mapping[str, FieldStatistics], *, ordered: bool
) -> dict[str, NDArray[np.float64]]:
    """List figures that no manifest has: energy of series, and colours of images, with edges."""
    found: dict[str, NDArray[np.float64]] = {}
    if ordered:
        numbers = [column for column in columns if column.role in ("number", "target")]
        found |= {f"{column.name}.energy": np.linspace(0, 1, 65) for column in numbers}
    channels = [key for key in statistics if key.startswith(PREFIX + "channel.")]
    if len(channels) == 3:
        whole = statistics[PREFIX + "brightness"]
        reach = max(abs(float(whole.max or 1.0)), abs(float(whole.min or 0.0)), 1e-9)
        for pair in combinations(range(3), 2):
            found[_name_colours(pair)] = np.linspace(-reach, reach, _COLOURS)
    return found


def _name_colours(pair: tuple[int, int]) -> str:
    return f"image.channel.{pair[0]} less channel.{pair[1]}"


def make_edges(figures: FieldStatistics) -> NDArray[np.float64] | None:
    """Make the edges of a grid from statistics; None where there is no number."""
    grid = make_column_grid(figures)
    return None if grid is None else np.array(grid.edges)


def make_column_grid(figures: FieldStatistics) -> Grid | None:
    """Make a grid from statistics; None where there is no number."""
    if figures.histogram is None or figures.min is None:
        return None
    quantiles = [figures.histogram.find_quantile(share) for share in (0.001, 0.999)]
    least, greatest = float(figures.min), float(figures.max or 0)
    low, high = (min(max(value, least), greatest) for value in quantiles)
    return make_grid((least, low, high, greatest), figures.mean or 0.0, figures.std or 0.0)


def count_parts(
    rows: Rows, entry: ShardEntry, figures: Figures, parts: NDArray[np.int64], number: int
) -> Counts:
    """Count a shard's figures by part, (parts, cells) each; the last cell counts what is missing.

    Args:
        rows: All fields of the shard.
        entry: The shard.
        figures: What is counted.
        parts: (N,) part of each row; below 0 where it is in none.
        number: How many parts there are.
    """
    values = _list_values(rows, entry, figures)
    counts: Counts = {}
    for name, edges in figures.edges.items():
        if name in values:
            counts[name] = np.stack(
                [_count_numbers(values[name][parts == part], edges) for part in range(number)]
            )
    for column in figures.columns:
        if column.name in figures.categories:
            known = figures.categories[column.name]
            counts[column.name] = _count_categories(rows, column, known, parts, number)
    return counts


def _count_numbers(values: NDArray[Any], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    finite = values[np.isfinite(values)]
    inside = count_cells(finite, edges) if len(finite) else np.zeros(len(edges) - 1, np.int64)
    return np.append(inside, len(values) - len(finite))


def _count_categories(
    rows: Rows, column: Column, known: tuple[str, ...], parts: NDArray[np.int64], number: int
) -> NDArray[np.int64]:
    place = {value: slot for slot, value in enumerate(known)}
    given = read_column(rows, column).tolist()
    texts = [str(int(value)) for value in given] if column.field == LABEL else given
    slots = np.array([place.get(value, len(known)) for value in texts], np.int64)
    flat = (parts * (len(known) + 1) + slots)[parts >= 0]
    size = number * (len(known) + 1)
    return np.bincount(flat, minlength=size).reshape(number, len(known) + 1)


def _list_values(rows: Rows, entry: ShardEntry, figures: Figures) -> dict[str, NDArray[Any]]:
    """List the values of columns and derived figures, NaN where there is none."""
    numbers = [each for each in figures.columns if each.role in ("number", "target")]
    found = {column.name: read_column(rows, column) for column in numbers}
    if figures.derived:
        named = {each.name: each.columns for each in entry.fields if each.columns}
        derived = derive_columns(rows, named)
        found |= {
            shown: derived[name] for name, shown in figures.derived.items() if name in derived
        }
        channels = [derived[name] for name in sorted(derived) if name.startswith("channel.")]
        if len(channels) == 3:
            for pair in combinations(range(3), 2):
                found[_name_colours(pair)] = channels[pair[0]] - channels[pair[1]]
    for column in numbers:
        if f"{column.name}.energy" in figures.extra:
            energy = measure_energy(found[column.name], rows.get(SERIES_ID))
            found[f"{column.name}.energy"] = energy
    return found


def measure_energy(values: NDArray[Any], entities: NDArray[Any] | None) -> NDArray[np.float64]:
    """Measure the share of spectral energy in the upper half of the frequencies, window by window.

    It stands at a window's first row and is NaN at all others. A window's ends are faded out (Hann)
    and windows begin 61 rows apart, so that it does not matter with which row a version begins.
    """
    shares = np.full(len(values), np.nan)
    if entities is not None and (entities[1:] < entities[:-1]).any():
        order = np.argsort(entities, kind="stable")
        shares[order] = measure_energy(values[order], entities[order])
        return shares
    starts = np.arange(0, len(values) - BLOCK_ROWS + 1, HOP)
    if not len(starts):
        return shares
    places = starts[:, np.newaxis] + np.arange(BLOCK_ROWS)
    windows = np.asarray(values, np.float64)[places]
    whole = np.isfinite(windows).all(axis=1)
    if entities is not None:
        whole &= (entities[places] == entities[places[:, :1]]).all(axis=1)
    windows = windows[whole]
    scale = np.abs(windows).max(axis=1, keepdims=True, initial=0.0)
    level = windows / np.where(scale > 0, scale, 1)
    faded = (level - level.mean(axis=1, keepdims=True)) * np.hanning(BLOCK_ROWS)
    power = np.square(np.abs(np.fft.rfft(faded, axis=1)))
    total = power.sum(axis=1)
    upper = power[:, power.shape[1] // 2 :].sum(axis=1)
    shares[starts[whole]] = np.where(total > 1e-12, upper / np.where(total > 0, total, 1), np.nan)
    return shares
