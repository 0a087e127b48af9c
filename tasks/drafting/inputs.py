"""Chooses the columns to learn from; every other one is left out for a reason."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tasks.drafting.columns import Column
from tasks.drafting.guesses import DraftError

MOST_CLASSES = 100
IDENTIFIERS = re.compile(
    r"(?i:(^|[^a-z])(id|uid|udi|uuid|guid|index|idx|key|rownum|row|serial|nr|no)$|^unnamed|^$)"
    r"|[a-z](Id|ID|Index)$"
)
GROUPS = re.compile(
    r"patient|subject|user|customer|person|household|device|machine|vehicle|session|speaker", re.I
)


@dataclass(frozen=True)
class Roles:
    """What each column is for.

    Attributes:
        kind: The kind of recipe.
        answer: Column of the class or number that is asked for; None of a forecast of all columns.
        time: Column of the time.
        entity: Column that tells the entities of series apart.
        group: Column whose rows stay together when they are split.
        numbers: Columns of numbers to learn from.
        texts: Columns of categories to learn from.
        step_ns: Usual time between two rows of an entity; 0 where there is none.
        left_out: Why each other column is nothing to learn from.
    """

    kind: str
    answer: Column | None = None
    time: Column | None = None
    entity: Column | None = None
    group: Column | None = None
    numbers: tuple[Column, ...] = ()
    texts: tuple[Column, ...] = ()
    step_ns: int = 0
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Columns that are for something."""
        single = (self.answer, self.time, self.entity, self.group)
        used = (*filter(None, single), *self.numbers, *self.texts)
        parts = () if self.time is None else self.time.parts
        return (*(column.name for column in used), *parts)


def choose_inputs(columns: Sequence[Column], roles: Roles) -> Roles:
    """Return the roles with the columns to learn from.

    Raises:
        DraftError: None are left.
    """
    ordered = roles.kind in ("forecasting", "series-classification", "series-regression")
    asked = not ordered or roles.kind == "forecasting"
    used = {id(column) for column in (roles.answer, roles.time, roles.entity)}
    told = () if roles.time is None else (*roles.time.parts, roles.time.count)
    if roles.kind == "forecasting":
        used.discard(id(roles.answer))
    left: dict[str, str] = {}
    numbers: list[Column] = []
    texts: list[Column] = []
    group: Column | None = None
    for column in columns:
        if id(column) in used or column.name in told:
            continue
        reason = _find_reason(column, ordered=ordered, asked=asked)
        if reason == "group":
            reason = f"its rows belong together: {column.distinct} different ones"
            group = _choose_group(group, column)
        if reason is None:
            (numbers if column.holds == "number" else texts).append(column)
        else:
            left[column.name] = reason
    if not numbers and not texts:
        shown = "; ".join(f"{name}: {why}" for name, why in left.items())
        raise DraftError(f"source must hold columns to learn from; got none: {shown or 'no other'}")
    return replace(roles, numbers=tuple(numbers), texts=tuple(texts), group=group, left_out=left)


def _choose_group(first: Column | None, second: Column) -> Column:
    """Return the one of two columns by which rows are kept together: of a path, the coarser one.

    Whole folders keep their files whole, not the reverse.
    """
    if first is None or not (first.of_path and second.of_path):
        return second
    return min(first, second, key=lambda column: column.distinct)


def _find_reason(column: Column, *, ordered: bool, asked: bool) -> str | None:
    """Return why a column is nothing to learn from; None where it is.

    Args:
        column: Its profile.
        ordered: Whether rows follow each other in time.
        asked: Whether texts may be worth something.
    """
    if column.holds == "empty":
        return "it is empty"
    if column.is_constant:
        return "it holds one value only"
    if column.missing > 0.6:
        return f"{column.missing:.0%} of its values are missing"
    if column.holds == "time":
        return "another time; if it says something of the answer, write it into data.dates"
    if _is_identifier(column):
        return "it names each row and says nothing of the next one"
    if not ordered and _is_group(column):
        return "group"
    if column.of_path:
        return "it is a part of the files' names, of which a new one says nothing; or --target"
    if column.holds == "text":
        if not asked:
            return "a text; if it says something of the answer, write it into data.texts"
        if column.distinct > MOST_CLASSES or column.rows < 5 * column.distinct:
            return f"{column.distinct} different texts are too many to learn from"
    return None


def _is_identifier(column: Column) -> bool:
    unique = column.distinct / max(1, column.rows)
    named = bool(IDENTIFIERS.search(column.name))
    if column.holds == "text":
        return unique > 0.95 or (named and unique > 0.5)
    if column.numbers is None or not column.is_whole:
        return False
    counted = unique == 1.0 and len(set(np.diff(column.numbers).tolist())) == 1
    return counted or (named and unique > 0.5)


def _is_group(column: Column) -> bool:
    named = column.of_path or bool(IDENTIFIERS.search(column.name) or GROUPS.search(column.name))
    few = 8 <= column.distinct <= column.rows // 2
    return named and few and (column.holds == "text" or column.is_whole)
