"""Finds rows of things that ran until they failed: whose they are, and what counts their age."""

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tasks.drafting.columns import Column
from tasks.drafting.guesses import LIKELY, SURE, Notes
from tasks.drafting.inputs import Roles, choose_inputs
from tasks.drafting.roles import ANSWERS

KIND = "series-regression"
MADE_UP = re.compile(r"column_\d+")
"""Names that a file without a header got: they tell nothing."""
COUNTS = re.compile(r"cycle|age|life|flight|hour|usage|run|mile|tick|step|minute|day", re.I)
LEAST_ENTITIES, LEAST_ROWS = 5, 10
STEP_NS = 10**9
COUNTED = "%s"
"""Format of a count as a time, a second a step."""


def find_lives(
    columns: Sequence[Column], target: str | None, kind: str | None, notes: Notes
) -> Roles | None:
    """Return the roles of rows that are ordered by a count; None where they are not.

    What is asked is how much of the count remains, unless a person named another column.

    Args:
        columns: The profiles, in the order of the file.
        target: Column that a person named.
        kind: Kind that a person named.
        notes: Takes what was guessed.
    """
    ordered = kind is not None and kind.startswith("series-")
    if kind is not None and not ordered:
        return None
    if any(column.holds == "time" and column.missing < 0.02 for column in columns):
        return None
    found = _find_count(columns)
    if found is None:
        return None
    entity, count = found
    named = next((column for column in columns if column.name == target), None)
    asked = any(ANSWERS.search(column.name) for column in columns)
    if not ordered and target != count.name and (target is not None or asked):
        return None
    if kind == "series-classification" and named is None:
        return None
    why = f"it counts from {_find_first(count):g} in each {entity.name}, row by row"
    notes.add("data.time", count.name, LIKELY, f"{why}; what there is no clock for is ordered so")
    why = f"{entity.distinct} of them, each with a count of its own"
    notes.add("data.entity", entity.name, LIKELY, why)
    given = count if named is None else named
    chosen = kind or KIND
    if kind is None:
        sure = SURE if target == count.name else LIKELY
        why = "rows of each run to its end: how much remains is asked; else give --target"
        notes.add("kind", chosen, sure, why)
    time = replace(
        count, holds="time", time_format=COUNTED, times=(_read(count) * STEP_NS).astype(np.int64)
    )
    answer = time if given is count else given
    roles = Roles(chosen, answer, time, entity, step_ns=STEP_NS)
    others = [each if each is not count else time for each in columns]
    return choose_inputs(others, roles)


def _find_count(columns: Sequence[Column]) -> tuple[Column, Column] | None:
    """Return the column of the entities and that of the count, if one counts in each of them."""
    counts = [
        column
        for column in columns
        if column.numbers is not None
        and column.is_whole
        and not column.missing
        and (COUNTS.search(column.name) or MADE_UP.fullmatch(column.name))
    ]
    for count in counts:
        for entity in columns:
            if entity is not count and _counts(count, entity):
                lives = np.bincount(entity.codes)
                # What no name tells must show: lives end when they end, and rows of a plan do not.
                if COUNTS.search(count.name) or len(np.unique(lives)) > len(lives) // 2:
                    return entity, count
    return None


def _counts(count: Column, entity: Column) -> bool:
    """Whether a column counts by one in each entity, from the same number on."""
    usable = entity.holds == "text" or entity.is_whole
    most = entity.rows // LEAST_ROWS
    if not usable or entity.missing or not LEAST_ENTITIES <= entity.distinct <= most:
        return False
    numbers = _read(count)
    order = np.lexsort((numbers, entity.codes))
    codes, steps = entity.codes[order], np.diff(numbers[order])
    same = codes[1:] == codes[:-1]
    firsts = numbers[order][np.concatenate([[True], ~same])]
    return bool((steps[same] == 1).all() and (firsts == firsts.min()).mean() > 0.9)


def _read(column: Column) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.zeros(0) if column.numbers is None else column.numbers


def _find_first(count: Column) -> float:
    return float(_read(count).min())
