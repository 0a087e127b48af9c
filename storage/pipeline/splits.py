"""Finds the split of a row, as a pure function of the row.

So it needs no list of rows and no order.

A hash split draws from the row's content. Equal rows therefore draw the same number and cannot end
up on two sides, and a row keeps its side when others come and go.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.base.errors import InvalidInput
from storage.base.time_styles import TimeStyle
from storage.forms.base import RowsSpec
from storage.forms.columns import SERIES_ID, TIME
from storage.forms.rules import SplitSpec
from storage.pipeline.carving import Shares, is_grouped, list_shares
from storage.pipeline.keys import Values, find_values
from storage.shards.row_ids import CONTENT_HASH, Rows, count_rows, draw_uniform, hash_contents
from storage.sources.base import SPLITS

TRAIN, VALIDATION, HELD_OUT = range(3)
LEFT_OUT = -1


def check_source_splits(rows_by_split: Mapping[str, int], spec: SplitSpec) -> None:
    """Checks that a raw version has the splits that the recipe leaves to its source.

    Args:
        rows_by_split: Rows of each split of the raw version; "" where the source gives none.
        spec: The recipe's rule.

    Raises:
        InvalidInput: The source gives no training rows, or no held-out rows.
    """
    if spec.by != "source":
        return
    missing = [split for split in ("train", "held_out") if not rows_by_split.get(split)]
    if missing or rows_by_split.get(""):
        raise InvalidInput(
            "split (by: source) must have a source that puts each row in train, validation or "
            f"held_out; got {dict(rows_by_split)}, where '' is no split; write split: {{by: hash, "
            "held_out: 0.2} instead"
        )


@dataclass(frozen=True)
class Cutoffs:
    """Where a split by time cuts.

    First time that validates, first that is held out, first that is left out.
    """

    validation: float
    held_out: float
    end: float


def split_by_hash(
    keys: NDArray[np.uint64],
    source_split: str,
    spec: SplitSpec,
    *,
    validation_given: bool,
    shares: Shares | None = None,
) -> NDArray[np.int8]:
    """Return the splits of rows by a draw from their keys, or as the source gives them.

    Args:
        keys: What is kept together, as hashes: shape (N, 2) or (N,).
        source_split: Where the source puts the rows; "" where it does not say.
        spec: The recipe's rule.
        validation_given: Whether the source gives validation rows, so that none are carved from
            training.
        shares: Below which draws rows are held out, or validate; None for the shares of the rule.

    Returns:
        `TRAIN`, `VALIDATION` or `HELD_OUT` of each row, shape (N,).
    """
    shares = shares or list_shares(spec)
    if spec.by == "source":
        splits = np.full(len(keys), SPLITS.index(source_split), dtype=np.int8)
    else:
        held_out = draw_uniform(keys, f"held_out:{spec.seed}") < shares.held_out
        splits = np.where(held_out, HELD_OUT, TRAIN).astype(np.int8)
    if not (spec.by == "source" and validation_given):
        carved = (splits == TRAIN) & (
            draw_uniform(keys, f"validation:{spec.seed}") < shares.validation
        )
        splits[carved] = VALIDATION
    return splits


def split_by_time(times: NDArray[Any], cutoffs: Cutoffs | None) -> NDArray[np.int8]:
    """Return the splits of rows by time; what is at or past the end is `LEFT_OUT`."""
    if cutoffs is None:
        return np.full(len(times), TRAIN, dtype=np.int8)
    splits = np.full(len(times), TRAIN, dtype=np.int8)
    splits[times >= cutoffs.validation] = VALIDATION
    splits[times >= cutoffs.held_out] = HELD_OUT
    splits[times >= cutoffs.end] = LEFT_OUT
    return splits


def find_cutoffs(times: NDArray[Any], spec: SplitSpec) -> Cutoffs:
    """Return where a split by time cuts, so that the asked fractions of the rows come last.

    Args:
        times: Times of all rows, shape (N,).
        spec: The recipe's rule; what it does not state as a time follows from its fractions.
    """
    end = _read_time(spec, "end", np.inf)
    kept = np.sort(times[times < end])
    if not len(kept):
        raise InvalidInput(
            f"split (end: {spec.end}) must leave rows before it; got none; choose a later time"
        )
    fallback = kept[min(len(kept) - 1, round(len(kept) * (1 - (spec.held_out or 0.0))))]
    held_out = _read_time(spec, "held_out_from", float(fallback))
    before = kept[kept < held_out]
    place = min(len(before), round(len(before) * (1 - spec.validation)))
    fallback = before[place] if place < len(before) else held_out
    return Cutoffs(_read_time(spec, "validation_from", float(fallback)), held_out, end)


def find_times(rows: Rows, spec: RowsSpec, columns: Mapping[str, Sequence[str]]) -> Values:
    """Return the field that a split by time goes by, `split.field` or `time`, and where it is.

    Raises:
        InvalidInput: There is no such field, or it is neither a time nor a number.
    """
    name = spec.split.field or TIME
    values, valid = find_values(rows, name, spec, columns)
    if values.dtype.kind not in "iuf":
        raise InvalidInput(
            f"split (by: time, field: {name}) must go by a time or a number; got texts; name "
            "another column, or write by: group"
        )
    return values, valid


def find_keys(
    rows: Rows, spec: RowsSpec, columns: Mapping[str, Sequence[str]]
) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """Return what a split keeps together, as hashes, and which rows have it, shape (N,).

    Equal contents, or equal values of a group or an entity. Where the source splits, every row has
    its place, and only what validates is drawn.
    """
    every = np.ones(count_rows(rows), np.bool_)
    if not is_grouped(spec):
        return rows[CONTENT_HASH], every
    values, valid = find_values(rows, spec.split.field or SERIES_ID, spec, columns)
    return hash_contents({"group": values}), every if spec.split.by == "source" else valid


def estimate_rows(rows_by_split: Mapping[str, int], spec: SplitSpec) -> dict[str, int]:
    """Estimates how many rows each split will have, to choose the number of its shards."""
    total = sum(rows_by_split.values())
    held_out = (
        rows_by_split.get("held_out", 0)
        if spec.by == "source"
        else round(total * (spec.held_out or 0.0))
    )
    given = rows_by_split.get("validation", 0) if spec.by == "source" else 0
    validation = given or round((total - held_out) * spec.validation)
    return {
        "train": max(0, total - held_out - validation),
        "validation": validation,
        "held_out": held_out,
    }


def _read_time(spec: SplitSpec, name: str, fallback: float) -> float:
    """Return a time of the recipe as the data hold it.

    Nanoseconds since 1970 for a date, the number itself for a number.
    """
    value: str | float | None = getattr(spec, name)
    if value is None:
        return fallback
    if isinstance(value, int | float):
        return float(value)
    moment = TimeStyle(None, spec.time_zone).read(value)
    if moment is None:
        raise InvalidInput(
            f"split ({name}: {value}) must be a number or an ISO 8601 time; write as 2017-07-01"
        )
    return float(moment)
