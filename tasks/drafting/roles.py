"""Guesses what each column of a table is for: the answer, the time, the entity, or nothing."""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from storage.base.redaction import redact
from storage.base.time_styles import choose_format
from storage.forms.series import find_step
from tasks.drafting.columns import Column
from tasks.drafting.composed import COUNT_STEP, Candidate, list_candidates, look_ordered
from tasks.drafting.guesses import LIKELY, SURE, UNKNOWN, UNSURE, DraftError, Notes
from tasks.drafting.inputs import MOST_CLASSES, Roles, choose_inputs

FEW_VALUES = 10
ORDERED = ("forecasting", "series-classification", "series-regression")
"""Kinds of rows that follow each other in time."""
ANSWERS = re.compile(
    r"^(target|label|labels|class|classes|y|outcome|output|response|answer|species|diagnosis|"
    r"category|churn|default|fraud|failure|survived|price|cnt|count|result|quality)$"
    r"|(^|[_ .])(target|label|class|outcome|failure|fraud|churn)$",
    re.I,
)

ANOMALIES = re.compile(r"(^|[_ .])(is)?(anomal(y|ies|ous)|outliers?|abnormal)([_ .]|$)", re.I)
"""Names of columns that tell rows unlike the others, which are few."""
MOST_ANOMALOUS = 0.25


def find_roles(
    columns: Sequence[Column], target: str | None, kind: str | None, files: int, notes: Notes
) -> Roles:
    """Guess the roles of a table's columns.

    Args:
        columns: The profiles, in the order of the file.
        target: Column that a person named.
        kind: Kind that a person named.
        files: How many files there are.
        notes: Takes what was guessed.

    Raises:
        DraftError: What was named is not there or cannot be, or nothing is left to learn from.
    """
    _refuse_odd(columns)
    named = _find_named(columns, target)
    for candidate in list_candidates(columns, files) if kind in (None, *ORDERED) else ():
        roles = _try_time(columns, candidate, named, kind, notes)
        if roles is not None:
            return roles
    return _choose_roles(columns, named, kind, notes)


def _try_time(
    columns: Sequence[Column],
    candidate: Candidate,
    named: Column | None,
    kind: str | None,
    notes: Notes,
) -> Roles | None:
    """Return the roles with a time that no single column tells; None where it is none."""
    time, tried = candidate.time, Notes()
    if named is not None and named.name in (*time.parts, time.count):
        return None
    if _is_of_files(candidate, named) and kind is None:
        # Rows of one file have one class: how they follow each other tells it.
        kind = ORDERED[1]
    if not candidate.is_plain and kind is None:
        # A number that rises, or an order, is a time only where rows look like a series.
        free = [column for column in columns if column.holds == "text" and not column.of_path]
        named_so = any(ANSWERS.search(column.name) for column in columns)
        if named is not None or free or named_so:
            return None
        if time.count == "" and candidate.files is None and len(columns) > 1:
            return None
    others = [column for column in columns if column.name != time.count]
    roles = _choose_roles([*others, time], named, kind, tried)
    entity = roles.entity or candidate.files
    if roles.kind not in ORDERED or roles.time is not time or not roles.step_ns:
        return None
    if not candidate.is_plain and kind is None:
        codes = np.zeros(time.rows, dtype=np.int64) if entity is None else entity.codes
        if not look_ordered(columns, codes):
            return None
    if time.count is not None:
        why = "nothing says how far apart in time rows are: write the true step"
        tried.add("data.time", f"a step of {COUNT_STEP}", UNKNOWN, why)
    notes.guesses += tried.guesses
    return roles


def _is_of_files(candidate: Candidate, named: Column | None) -> bool:
    """Return whether what is asked for is said by the folders of files, each one an entity."""
    files = candidate.files
    return files is not None and named is not None and named.of_path and named is not files


def _choose_roles(
    columns: Sequence[Column], named: Column | None, kind: str | None, notes: Notes
) -> Roles:
    time, entity, step_ns = _find_time(columns, named, notes)
    answer = named or _guess_answer(columns, time, entity, step_ns, kind, notes)
    chosen = kind or _guess_kind(answer, time, step_ns, notes)
    roles = Roles(chosen, answer, time, entity, step_ns=step_ns)
    return choose_inputs(columns, roles)


def _refuse_odd(columns: Sequence[Column]) -> None:
    """Refuse numbers that a recipe cannot say how to read."""
    odd = [column for column in columns if column.odd is not None]
    if odd and odd[0].odd is not None:
        text, remedy = odd[0].odd
        shown = ", ".join(repr(column.name) for column in odd[:8])
        raise DraftError(
            f"columns ({redact(shown)}) must hold numbers with a decimal point and nothing between "
            f"thousands; got {redact(text)!r}: {remedy}; mend the file, as by saving it from a "
            "spreadsheet in English"
        )


def _find_named(columns: Sequence[Column], target: str | None) -> Column | None:
    if target is None:
        return None
    found = next((column for column in columns if column.name == target), None)
    if found is None:
        shown = ", ".join(column.name for column in columns)
        raise DraftError(f"--target ({redact(target)}) must be a column; choose among {shown}")
    if found.is_constant:
        raise DraftError(
            f"--target ({redact(target)}) must hold different values; got {found.distinct}; name "
            "another column"
        )
    return found


def _find_time(
    columns: Sequence[Column], named: Column | None, notes: Notes
) -> tuple[Column | None, Column | None, int]:
    """Return the column of the time, that of the entity, and the usual step."""
    times = [c for c in columns if c.holds == "time" and c is not named and c.missing < 0.02]
    if not times:
        return None, None, 0
    time = max(times, key=lambda column: (column.distinct, bool(column.parts)))
    style = time.time_format or choose_format(len(time.parts) or 1) or "ISO 8601"
    sure = SURE if len(times) == 1 and time.count is None else LIKELY
    how = f"written as {style}" if time.count is None else "counted"
    notes.add("data.time", list(time.parts) or time.count or time.name, sure, how)
    if time.times is None or (time.time_format is not None and _is_ambiguous(time)):
        notes.add(
            "data.time_format", style, UNSURE, "day and month can be told apart by their order only"
        )
    entity = _find_entity(columns, time, named)
    codes = entity.codes if entity is not None else np.zeros(time.rows, dtype=np.int64)
    moments = np.zeros(time.rows, dtype=np.int64) if time.times is None else time.times
    step_ns = find_step(codes, moments)
    if step_ns and _share_on_step(codes, moments, step_ns) < 0.5:
        step_ns = 0
    if entity is not None:
        why = f"time repeats without it; {entity.distinct} different ones"
        notes.add("data.entity", entity.name, LIKELY, why)
    return time, entity, step_ns


def _is_ambiguous(time: Column) -> bool:
    """Whether no day is above 12 in a format of days and months as numbers."""
    style = time.time_format or ""
    if "%d" not in style or "%m" not in style or style.startswith("%Y"):
        return False
    parts = [[int(n) for n in re.findall(r"\d+", text)[:2]] for text in time.texts[:5000]]
    return all(max(part, default=0) <= 12 for part in parts)


def _find_entity(columns: Sequence[Column], time: Column, named: Column | None) -> Column | None:
    """Return the column that makes times unique, where they repeat without it."""
    if _share_repeated(np.zeros(time.rows, dtype=np.int64), time.codes) < 0.01:
        return None
    can_be = [
        column
        for column in columns
        if column is not time
        and column is not named
        and column.missing == 0
        and 1 < column.distinct <= max(2, time.rows // 10)
        and (column.holds == "text" or column.is_whole)
    ]
    rated = [
        (_share_repeated(column.codes, time.codes), column.distinct, n)
        for n, column in enumerate(can_be)
    ]
    good = [rate for rate in rated if rate[0] < 0.01]
    return can_be[min(good, key=lambda rate: rate[1])[2]] if good else None


def _share_repeated(first: NDArray[np.int64], second: NDArray[np.int64]) -> float:
    pairs = first * (int(second.max(initial=0)) + 2) + second
    return 1 - len(np.unique(pairs)) / max(1, len(pairs))


def _share_on_step(codes: NDArray[np.int64], times: NDArray[np.int64], step_ns: int) -> float:
    order = np.lexsort((times, codes))
    same = codes[order][1:] == codes[order][:-1]
    steps = np.diff(times[order])[same]
    return float((np.abs(steps - step_ns) <= step_ns // 100).mean()) if len(steps) else 0.0


def _guess_answer(
    columns: Sequence[Column],
    time: Column | None,
    entity: Column | None,
    step_ns: int,
    kind: str | None,
    notes: Notes,
) -> Column | None:
    free = [
        c
        for c in columns
        if c not in (time, entity) and not c.is_constant and c.holds != "time" and not c.of_path
    ]
    by_name = [column for column in free if ANSWERS.search(column.name) or is_anomaly(column)]
    forecast = kind == "forecasting" or (kind is None and step_ns > 0)
    unlabelled = kind == "anomaly-detection"
    if forecast and not any(is_class(column) for column in by_name):
        return None
    if by_name:
        answer = by_name[-1]
        notes.add(_place(answer), answer.name, LIKELY, "its name says so; else give --target")
        return answer
    if unlabelled or not free:
        return None
    usable = [c for c in free if c.holds == "number" or c.distinct <= MOST_CLASSES]
    answer = next((c for c in (usable[-1:] + usable[:1]) if is_class(c)), (usable or free)[-1])
    why = "which column is asked for nobody said; this one stands at an end; else give --target"
    notes.add(_place(answer), answer.name, UNKNOWN, why)
    return answer


def _place(answer: Column) -> str:
    return "data.label" if is_class(answer) else "data.target"


def is_class(column: Column) -> bool:
    """Whether a column's values look like classes, and not like a quantity."""
    if column.holds == "text":
        return 2 <= column.distinct <= MOST_CLASSES
    return column.holds == "number" and column.is_whole and 2 <= column.distinct <= FEW_VALUES


def is_anomaly(column: Column) -> bool:
    """Whether a column's name and values tell the few rows that are unlike the others."""
    few = column.distinct == 2 and column.counts.min() <= MOST_ANOMALOUS * column.rows
    return bool(few and ANOMALIES.search(column.name))


def _guess_kind(answer: Column | None, time: Column | None, step_ns: int, notes: Notes) -> str:
    if answer is not None and is_anomaly(answer):
        why = f"{answer.name} names few rows that are unlike the others; or --kind "
        notes.add("kind", "anomaly-detection", LIKELY, f"{why}tabular-classification")
        return "anomaly-detection"
    if answer is None or (time is not None and step_ns and not is_class(answer)):
        notes.add("kind", "forecasting", LIKELY, "rows follow each other in time at even steps")
        return "forecasting"
    if is_class(answer):
        sure = SURE if answer.holds == "text" or answer.distinct == 2 else LIKELY
        notes.add("kind", "tabular-classification", sure, f"{answer.distinct} different answers")
        return "tabular-classification"
    if answer.holds != "number":
        raise DraftError(
            f"target ({redact(answer.name)}) must be a number or one of at most {MOST_CLASSES} "
            f"classes; got {answer.distinct} different texts; name another with --target"
        )
    why = f"{answer.distinct} different numbers are asked for"
    notes.add("kind", "tabular-regression", SURE if answer.distinct > 50 else UNSURE, why)
    return "tabular-regression"
