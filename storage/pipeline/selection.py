"""Chooses rows: valid ones that meet the recipe's conditions, one of each content."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.base.errors import InvalidInput
from storage.base.parts import import_own
from storage.forms.base import RowsSpec
from storage.forms.registry import find_form
from storage.pipeline.conditions import meets_condition
from storage.shards.row_ids import (
    CONTENT_HASH,
    ROW_ID,
    Rows,
    count_rows,
    hash_contents,
)

REASONS = ("invalid_features", "invalid_label", "filtered", "transformed", "left_out", "duplicate")
"""Why preparing drops a row; every count of dropped rows has all of them."""
NO_KEY = "no_split_key"
"""Why else: it lacks what it is split by. Counted only where there are some."""


def select_rows(
    rows: Rows, spec: RowsSpec, columns: Mapping[str, tuple[str, ...]]
) -> tuple[Rows, dict[str, int]]:
    """Drops invalid rows and those that fail a condition, then applies the user's transform.

    Args:
        rows: Raw rows with ids and content hashes.
        spec: The recipe's data section.
        columns: Names of the columns of two-dimensional fields.

    Returns:
        The kept rows, without masks of fields that are now all valid, and the number of rows
        dropped by reason.

    Raises:
        InvalidInput: A field has the wrong type or shape, is absent, or the transform misbehaves.
    """
    dropped = dict.fromkeys(REASONS, 0)
    form = find_form(spec)
    features, label = form.find_invalid(rows, spec)
    dropped["invalid_features"] = int(features.sum())
    dropped["invalid_label"] = int((label & ~features).sum())
    rows = form.drop_masks(take_rows(rows, ~(features | label)))
    if spec.filter:
        kept = np.logical_and.reduce(
            [meets_condition(rows, rule, spec, columns) for rule in spec.filter]
        )
        dropped["filtered"] = int((~kept).sum())
        rows = take_rows(rows, kept)
    if spec.transform is not None and not form.ordered:
        before = count_rows(rows)
        rows = apply_transform(rows, spec.transform)
        dropped["transformed"] = before - count_rows(rows)
    return rows, dropped


def take_rows(rows: Rows, kept: NDArray[Any]) -> Rows:
    """Return the rows at a mask or at row numbers."""
    if kept.dtype == np.bool_ and kept.all():
        return rows
    return {name: values[kept] for name, values in rows.items()}


def apply_transform(rows: Rows, path: str) -> Rows:
    """Applies a user's function to rows and brings their content hashes up to date.

    Raises:
        InvalidInput: It cannot be imported, or does not give rows with the ids that it was given.
    """
    module, _, name = path.partition(":")
    try:
        function = getattr(import_own(module), name)
    except (ImportError, AttributeError) as error:
        raise InvalidInput(
            f"transform ({path}) must be importable by every worker; got: {error}; install its "
            "package there"
        ) from error
    given = set(rows[ROW_ID].tolist())
    result = function(dict(rows))
    lengths = {len(values) for values in result.values()} if isinstance(result, dict) else set()
    if len(lengths) != 1 or ROW_ID not in result or not given.issuperset(result[ROW_ID].tolist()):
        raise InvalidInput(
            f"transform ({path}) must give a dict of arrays of one length with the row_id of each "
            f"kept row; got {type(result).__name__} with lengths {sorted(lengths)}; return the "
            "rows it was given, changed or fewer"
        )
    return {**result, CONTENT_HASH: hash_contents(result)}


def keep_first(
    keys: NDArray[np.uint64], labels: NDArray[Any] | None, groups: NDArray[Any] | None = None
) -> tuple[NDArray[np.bool_], int]:
    """Marks the first row of each content.

    Args:
        keys: Content hashes, shape (N, 2).
        labels: Labels, shape (N,), to see whether equal rows disagree.
        groups: Rows of different groups are never the same, shape (N,).

    Returns:
        A mask of shape (N,), and how many of the others bear another label than the row that is
        kept for them.
    """
    count = len(keys)
    columns = [keys[:, 1], keys[:, 0]] if groups is None else [keys[:, 1], keys[:, 0], groups]
    order = np.lexsort((np.arange(count), *columns))
    new = np.ones(count, dtype=np.bool_)
    new[1:] = np.logical_or.reduce([column[order][1:] != column[order][:-1] for column in columns])
    kept = np.zeros(count, dtype=np.bool_)
    kept[order[new]] = True
    if labels is None or not count:
        return kept, 0
    firsts = order[new][np.cumsum(new) - 1]
    return kept, int((labels[order] != labels[firsts]).sum())
