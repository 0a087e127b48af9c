"""Derives figures of each row that gates judge and that no field holds.

Such as how bright an image is, or how long a sensor has stood still.

They are a pure function of a shard's rows. They are computed while a raw shard is written, and kept
as statistics in its entry (`derived:<name>`), not as fields: a histogram says whether a shard is
fine, and where it is not, the rows are read and the figures computed again to name them.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.forms.columns import NUMBERS, SERIES_ID, TARGET
from storage.shards.row_ids import VALID_SUFFIX, Rows, count_rows, is_text
from storage.shards.statistics import FieldStatistics, compute_statistics

PREFIX = "derived:"
MOST_COLUMNS = 32
BLOCK_ROWS = 64
LONGEST_FLAT = 32
# Values that stay in the processor's cache while an image's figures are computed one after the
# other.
_BATCH_VALUES = 1 << 17
_ODD = (
    "\ufffd",
    "Ã",
    "Â",
    "â€",
    "Ð",
    "ï»¿",
    "ã€",
    "è¯",
)  # what UTF-8 read as something else leaves behind


def derive_columns(
    rows: Rows, columns: Mapping[str, tuple[str, ...]]
) -> dict[str, NDArray[np.float32]]:
    """Derives figures of rows, each (N,) float32.

    Images: `brightness` (mean), `contrast` (standard deviation), `sharpness` (mean difference of
    neighbours), with several channels `saturation` (mean spread of the channels) and `channel.<i>`
    (mean), of floats `nan` (share); all in the image's unit. Columns of numbers, up to 32, and the
    target by the name of its field: `<column>.flat` (rows since the value changed, at most 32), and
    of series `<column>.step` (change from the row before), `<column>.spike` (distance from the
    median of it and its two neighbours) and `<column>.energy` (of the first row of 64 the share of
    their spectral energy in the upper half of the frequencies). Texts: `<field>.length` and
    `<field>.odd` (share of characters that a wrong encoding leaves).

    Args:
        rows: Fields of a shard, in the order of the source.
        columns: Names of the columns of two-dimensional fields.
    """
    if not count_rows(rows):
        return {}
    found: dict[str, NDArray[np.float32]] = {}
    image = rows.get("image")
    if image is not None and image.ndim == 4:
        found |= _derive_images(image)
    if NUMBERS in rows:
        found |= _derive_numbers(rows, columns.get(NUMBERS, ()))
    if TARGET in rows and TARGET not in columns.get(NUMBERS, ()):
        found |= _derive_column(
            TARGET, rows[TARGET], _find_known(rows, TARGET), rows.get(SERIES_ID)
        )
    for name, values in rows.items():
        if is_text(values) and values.ndim == 1:
            found |= _derive_texts(name, values)
    return found


def measure_derived(
    rows: Rows, columns: Mapping[str, tuple[str, ...]]
) -> dict[str, FieldStatistics]:
    """Measures the derived figures of a shard, by `derived:<name>`.

    NaN stands for rows that have none.
    """
    return {
        PREFIX + name: compute_statistics(values)
        for name, values in derive_columns(rows, columns).items()
    }


def _derive_images(images: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
    batch = max(8, _BATCH_VALUES // max(1, images[0].size))
    parts = [
        _measure_images(images[start : start + batch]) for start in range(0, len(images), batch)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _measure_images(images: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
    """Measures some images (N, C, H, W)."""
    values = images.astype(np.float32)
    found: dict[str, NDArray[np.float32]] = {}
    if images.dtype.kind == "f":
        lost: NDArray[np.bool_] = ~np.isfinite(values)
        shares: NDArray[np.float32] = np.asarray(lost.mean(axis=(1, 2, 3)), np.float32)
        found["nan"] = shares
        values[lost] = 0
    channels = values.mean(axis=(2, 3)).astype(np.float32)
    found["brightness"] = channels.mean(axis=1).astype(np.float32)
    found["contrast"] = values.std(axis=(1, 2, 3), dtype=np.float32)
    steps = [np.diff(values, axis=axis) for axis in (2, 3) if values.shape[axis] > 1]
    total = sum(np.abs(step, out=step).mean(axis=(1, 2, 3)) for step in steps) / max(1, len(steps))
    found["sharpness"] = np.broadcast_to(np.asarray(total, np.float32), len(values)).copy()
    if 1 < images.shape[1] <= 4:
        # Unsigned numbers cannot overflow here, and one byte is compared faster than four.
        given = images if images.dtype.kind == "u" else values
        found["saturation"] = (given.max(axis=1) - given.min(axis=1)).mean(
            axis=(1, 2), dtype=np.float32
        )
        found |= {
            f"channel.{number}": channels[:, number].copy() for number in range(images.shape[1])
        }
    return found


def _derive_numbers(rows: Rows, names: tuple[str, ...]) -> dict[str, NDArray[np.float32]]:
    numbers = rows[NUMBERS]
    if numbers.shape[1] > MOST_COLUMNS or len(names) != numbers.shape[1]:
        return {}
    known = _find_known(rows, NUMBERS)
    found: dict[str, NDArray[np.float32]] = {}
    for number, name in enumerate(names):
        found |= _derive_column(name, numbers[:, number], known[:, number], rows.get(SERIES_ID))
    return found


def _find_known(rows: Rows, name: str) -> NDArray[np.bool_]:
    """Return which values of a field of numbers are present and finite."""
    known: NDArray[np.bool_] = rows.get(
        name + VALID_SUFFIX, np.ones(rows[name].shape, np.bool_)
    ) & np.isfinite(rows[name])
    return known


def _derive_column(
    name: str, given: NDArray[Any], known: NDArray[np.bool_], entities: NDArray[Any] | None
) -> dict[str, NDArray[np.float32]]:
    """Derives figures of one column of numbers; those of series where rows have entities."""
    starts = np.zeros(len(given), np.bool_)
    starts[0] = True
    if entities is not None:
        starts[1:] = entities[1:] != entities[:-1]
    values = np.where(known, given, np.nan)
    found = {f"{name}.flat": _count_flat(values, starts)}
    if entities is not None:
        found |= {f"{name}.{figure}": kept for figure, kept in _derive_series(values, starts)}
    return found


def _count_flat(values: NDArray[np.float64], starts: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Counts the rows before each one since which its value has not changed.

    At most 32, so that shards of any length compare.
    """
    changed = starts.copy()
    changed[1:] |= values[1:] != values[:-1]  # a missing value differs from every other
    places = np.arange(len(values))
    runs = places - np.maximum.accumulate(np.where(changed, places, 0))
    return np.minimum(runs, LONGEST_FLAT).astype(np.float32)


def _derive_series(
    values: NDArray[np.float64], starts: NDArray[np.bool_]
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield change, spikes and noise of one variable of series."""
    step = np.full(len(values), np.nan)
    step[1:] = np.where(starts[1:], np.nan, np.diff(values))
    spike = np.full(len(values), np.nan)
    if len(values) > 2:
        around = np.stack([values[:-2], values[1:-1], values[2:]])
        inside = ~(starts[1:-1] | starts[2:])
        spike[1:-1] = np.where(inside, np.abs(around[1] - np.sort(around, axis=0)[1]), np.nan)
    yield "step", _narrow(step)
    yield "spike", _narrow(spike)
    yield "energy", _measure_energy(values)


def _measure_energy(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Measures the share of each block's spectral energy in the upper half of the frequencies.

    Without the block's mean; it stands at the block's first row.
    """
    blocks = len(values) // BLOCK_ROWS
    shares = np.full(len(values), np.nan, np.float32)
    if not blocks:
        return shares
    whole = values[: blocks * BLOCK_ROWS].reshape(blocks, BLOCK_ROWS)
    scale = np.nanmax(np.abs(np.nan_to_num(whole)), axis=1, keepdims=True)
    level = whole / np.where(scale > 0, scale, 1)
    power = np.square(np.abs(np.fft.rfft(level - level.mean(axis=1, keepdims=True), axis=1)))
    total = power.sum(axis=1)
    upper = power[:, power.shape[1] // 2 :].sum(axis=1)
    known = np.isfinite(total)
    share = np.where(known, upper / np.where(known & (total > 1e-12), total, 1), np.nan)
    shares[: blocks * BLOCK_ROWS : BLOCK_ROWS] = share
    return shares


def _derive_texts(name: str, values: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
    lengths: list[int] = []
    odd: list[float] = []
    known: dict[str, tuple[int, float]] = {}
    for text in values.tolist():
        if text not in known:
            known[text] = len(text), sum(text.count(sign) for sign in _ODD) / max(1, len(text))
        length, share = known[text]
        lengths.append(length)
        odd.append(share)
    return {
        f"{name}.length": np.array(lengths, np.float32),
        f"{name}.odd": np.array(odd, np.float32),
    }


def _narrow(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return float32 of values, of which those past its range become its largest."""
    largest = np.finfo(np.float32).max
    return np.clip(values, -largest, largest).astype(np.float32)
