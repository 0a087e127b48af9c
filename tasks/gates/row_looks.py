"""Finds rows that look alike in two splits, such as a photo that was saved twice."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from gates.engine.on_fail import BadRows
from gates.engine.tables import Table, tabulate_counts
from storage.datasets.version import Version
from storage.shards.entry import ShardEntry
from storage.upkeep.duplicates import Keys, Places
from storage.upkeep.known_rows import Keyed, count_known
from tasks.forms.base import TaskForm

Form = TaskForm[Any, Any]


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
    """Count the held-out rows that look like a training row; one shard is in memory at a time."""
    training = key_looks(version, ("train",), form)
    alike = count_known(key_looks(version, ("held_out",), form), [training])
    return tabulate_counts(rows=BadRows(alike, version.rows))
