"""Which split a row belongs to: a pure function of the row, so that it needs no list of rows and no order.

A hash split draws from the row's content. Equal rows therefore draw the same number and cannot end up on two sides, and
a row keeps its side when others come and go.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from storage.errors import InvalidInput
from storage.rows import CONTENT_HASH, Rows, draw_uniform
from storage.sources.base import SPLITS
from storage.specs import SplitSpec

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
            f"split (by: source) must have a source that puts each row in train, validation or held_out; got "
            f"{dict(rows_by_split)}, where '' is no split; write split: {{by: hash, held_out: 0.2}} instead"
        )


def assign_splits(rows: Rows, source_split: str, spec: SplitSpec, *, validation_given: bool) -> NDArray[np.int8]:
    """Splits of rows.

    Args:
        rows: Rows of one shard of a raw version.
        source_split: Where the source puts them; "" where it does not say.
        spec: The recipe's rule.
        validation_given: Whether the source gives validation rows, so that none are carved from training.

    Returns:
        `TRAIN`, `VALIDATION`, `HELD_OUT` or `LEFT_OUT` of each row, shape (N,).
    """
    keys = rows[CONTENT_HASH]
    if spec.by == "source":
        splits = np.full(len(keys), SPLITS.index(source_split), dtype=np.int8)
    else:
        held_out = draw_uniform(keys, f"held_out:{spec.seed}") < (spec.held_out or 0.0)
        splits = np.where(held_out, HELD_OUT, TRAIN).astype(np.int8)
    if not (spec.by == "source" and validation_given):
        carved = (splits == TRAIN) & (draw_uniform(keys, f"validation:{spec.seed}") < spec.validation)
        splits[carved] = VALIDATION
    return splits


def estimate_rows(rows_by_split: Mapping[str, int], spec: SplitSpec) -> dict[str, int]:
    """About how many rows each split will have: what the number of its shards is chosen by."""
    total = sum(rows_by_split.values())
    held_out = rows_by_split.get("held_out", 0) if spec.by == "source" else round(total * (spec.held_out or 0.0))
    given = rows_by_split.get("validation", 0) if spec.by == "source" else 0
    validation = given or round((total - held_out) * spec.validation)
    return {"train": max(0, total - held_out - validation), "validation": validation, "held_out": held_out}
