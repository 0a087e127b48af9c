"""Says how much of a table is missing, repeated or rare, where that is more than gates take."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from storage.forms.base import MISSING, RowsSpec
from storage.forms.columns import NUMBERS, name_text_fields
from storage.shards.row_ids import CONTENT_HASH, LABEL, VALID_SUFFIX, Rows
from tasks.drafting.columns import PLACEHOLDERS, Column, blank_numbers, look_for_sentinels
from tasks.drafting.guesses import LIKELY, SURE, UNSURE, Notes
from tasks.drafting.limits import round_down, round_up


def find_missing_texts(columns: Sequence[Column], notes: Notes) -> list[str]:
    """Return the texts that mean that there is no value, where they are more than the usual ones.

    Numbers among them are taken out of the profiles.
    """
    found: dict[str, tuple[str, str, str]] = {}
    for column in columns:
        for text in column.absent:
            sure = LIKELY if text.lower() in PLACEHOLDERS else UNSURE
            found.setdefault(text, (column.name, sure, "stands where a number is expected"))
    sentinels = look_for_sentinels(columns)
    blank_numbers(columns, [text for text, _ in sentinels])
    for text, name in sentinels:
        found.setdefault(text, (name, UNSURE, "repeats, far from all other values"))
    for text, (name, sure, why) in found.items():
        notes.add("data.missing", repr(text), sure, f"in {name} it {why}")
    return [*MISSING, *found] if found else []


def limit_raw(rows: Rows, spec: RowsSpec, notes: Notes) -> dict[str, Any]:
    """Return the limits of the raw gate that these rows need."""
    limits: dict[str, Any] = {}
    count = len(next(iter(rows.values())))
    if count < 125:
        limits["min_rows"] = max(1, int(count * 0.8))
        why = f"{count} rows were seen, fewer than the gate asks for: they prove little"
        notes.add("gates.raw", f"min_rows {limits['min_rows']}", UNSURE, why)
    missing = measure_missing(rows, spec)
    if missing and max(missing.values()) > 0.15:
        most = max(missing, key=lambda name: missing[name])
        limits["max_missing_fraction"] = min(1.0, round_up(missing[most] * 1.2, 1))
        why = f"{missing[most]:.0%} of {most} are missing"
        notes.add(
            "gates.raw", f"max_missing_fraction {limits['max_missing_fraction']}", LIKELY, why
        )
    repeated = 1 - len(np.unique(rows[CONTENT_HASH], axis=0)) / count
    if repeated > 0.4:
        limits["max_duplicate_fraction"] = min(1.0, round_up(repeated * 1.1, 2))
        why = f"{repeated:.0%} of the rows repeat another one"
        shown = f"max_duplicate_fraction {limits['max_duplicate_fraction']}"
        notes.add("gates.raw", shown, UNSURE, why)
    if LABEL in rows:
        limits |= _limit_labels(rows, spec, notes)
    return limits


def _limit_labels(rows: Rows, spec: RowsSpec, notes: Notes) -> dict[str, Any]:
    limits: dict[str, Any] = {}
    labels = rows[LABEL]
    lost = float((labels < 0).mean())
    if lost > 0.015:
        limits["max_unanswered_fraction"] = min(1.0, round_up(lost * 1.3, 1))
        why = f"{lost:.1%} of the rows have no answer and are left out"
        notes.add("gates.raw", "max_unanswered_fraction", SURE, why)
    counts = np.bincount(labels[labels >= 0], minlength=len(spec.labels))
    balance = float(counts.min() * len(counts) / max(1, counts.sum()))
    if balance < 0.004:
        limits["min_class_balance"] = round_down(max(balance / 2, 1e-6), 1)
        rarest = spec.labels[int(counts.argmin())]
        why = f"{rarest} is the answer of {counts.min()} rows only"
        notes.add("gates.raw", f"min_class_balance {limits['min_class_balance']}", LIKELY, why)
    return limits


def measure_missing(rows: Rows, spec: RowsSpec) -> dict[str, float]:
    """Return the share of missing values of each column."""
    found: dict[str, float] = {}
    if NUMBERS in rows:
        gone = 1 - rows[NUMBERS + VALID_SUFFIX].mean(axis=0)
        found |= dict(zip(spec.numbers, gone.tolist(), strict=True))
    for name, field in name_text_fields(spec).items():
        found[name] = 1 - float(rows[field + VALID_SUFFIX].mean())
    return found


def measure_contrary(rows: Rows) -> float:
    """Return the share of rows that are equal to another one but for their label."""
    content = rows[CONTENT_HASH]
    pairs = np.concatenate([content, rows[LABEL][:, None].astype(np.uint64)], axis=1)
    groups, labelled = len(np.unique(content, axis=0)), len(np.unique(pairs, axis=0))
    return (labelled - groups) / max(1, len(content))


def drop_prepared(contrary: float, notes: Notes) -> Mapping[str, Any]:
    """Return the limit of the prepared gate for rows that contradict others."""
    if contrary <= 0.008:
        return {}
    limit = min(1.0, round_up(contrary * 1.5, 1))
    why = f"{contrary:.1%} of the rows are equal to another one with another answer"
    notes.add("gates.prepared", f"max_contrary_fraction {limit}", UNSURE, why)
    return {"max_contrary_fraction": limit}
