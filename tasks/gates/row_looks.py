"""Finds rows that look alike in two splits, such as a photo that was saved twice."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gates.engine.on_fail import BadRows
from gates.engine.tables import Table, tabulate_counts
from gates.prepared.resemblance import (
    ALIKE,
    coarsen_pictures,
    find_looks,
    measure_likeness,
)
from storage.datasets.version import Version
from storage.shards.entry import ShardEntry
from storage.upkeep.duplicates import Keys, Places
from storage.upkeep.known_rows import Keyed, count_known
from tasks.forms.base import TaskForm

Form = TaskForm[Any, Any]
MOST_PAIRS = 200_000_000
FEWEST_PIXELS = 16
WORTH_A_LOOK = 0.85
PAIR_BYTES = 8 << 20
"""Of one side of the pairs that are looked at closely at a time; a comparison holds several times
this."""


def has_looks(version: Version, form: Form) -> bool:
    """Return whether rows of a version can be compared by their looks."""
    return bool(form.looks) and set(form.looks) <= {field.name for field in version.fields}


def read_looks(entry: ShardEntry, version: Version, form: Form) -> tuple[Keys, Places]:
    """Read keys by which the rows of a shard are equal where they look alike, and their places."""
    return form.hash_looks(version.read_shard(entry, form.looks)), np.arange(entry.rows)


def key_looks(version: Version, splits: Sequence[str], form: Form) -> Keyed:
    """Key the rows of some splits by their looks."""
    shards = [entry for entry in version.shards if entry.split in splits]
    return Keyed(shards, partial(read_looks, version=version, form=form))


def tabulate_near_duplicates(version: Version, form: Form) -> Table:
    """Count the held-out rows that look like a training row.

    One shard of training pictures is in memory at a time, beside the held-out ones looked at.
    """
    training = key_looks(version, ("train",), form)
    alike = count_known(key_looks(version, ("held_out",), form), [training])
    return tabulate_counts(rows=BadRows(max(alike, count_alike(version, form)), version.rows))


def count_alike(version: Version, form: Form, most_pairs: int = MOST_PAIRS) -> int:
    """Count the held-out pictures that are nearly one that is learned from, mirrored ones too.

    Beyond `most_pairs` pairs every so manieth held-out picture is looked at and counts for those
    between. Smaller pictures than 16 pixels a side are left out: there is too little to tell them
    by.
    """
    held, learned = (
        [entry for entry in version.shards if entry.split == split]
        for split in ("held_out", "train")
    )
    pairs = sum(entry.rows for entry in held) * sum(entry.rows for entry in learned)
    stride = max(1, -(-pairs // most_pairs))
    asked = [_read_pictures(version, entry, form, stride) for entry in held]
    kept = [pictures for pictures in asked if pictures is not None]
    if not kept or not learned or min(kept[0].shape[2:]) < FEWEST_PIXELS:
        return 0
    pictures = np.concatenate(kept)
    coarse = [coarsen_pictures(each) for each in (pictures, pictures[:, :, :, ::-1])]
    found = np.zeros(len(pictures), np.bool_)
    for entry in learned:
        known = _read_pictures(version, entry, form, 1)
        if known is None or not len(known):
            continue
        cells = coarsen_pictures(known)
        for turned, looks in zip((1, -1), coarse, strict=True):
            places, fits = find_looks(looks, cells)
            rows, slots = np.nonzero((fits > WORTH_A_LOOK) & ~found[:, np.newaxis])
            found |= _look_closely(pictures[:, :, :, ::turned], known, rows, places[rows, slots])
    return int(found.sum()) * stride


def _look_closely(
    asked: NDArray[Any], known: NDArray[Any], rows: NDArray[np.int64], places: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return which pictures asked about are alike in one of these pairs; few pairs at a time."""
    found = np.zeros(len(asked), np.bool_)
    pairs = max(1, PAIR_BYTES // (4 * max(1, asked[:1].size)))  # float32 of a picture
    for start in range(0, len(rows), pairs):
        part = slice(start, start + pairs)
        likeness = measure_likeness(asked[rows[part]], known[places[part]])
        found[rows[part][likeness > ALIKE]] = True
    return found


def _read_pictures(
    version: Version, entry: ShardEntry, form: Form, stride: int
) -> NDArray[Any] | None:
    return form.read_pictures(
        {name: each[::stride] for name, each in version.read_shard(entry, form.looks).items()}
    )
