"""Measures how far one field of a version is from the accepted one, and names the limits of it."""

from dataclasses import dataclass
from itertools import pairwise

from gates.drift.divergence import (
    Histogram,
    bucket_numbers,
    find_psi_chance,
    measure_chi_square,
    measure_far,
    measure_ks,
    measure_novelty,
    measure_psi,
    measure_ratio,
    measure_spike,
)
from gates.specs.drift import DriftGate

_WIDE = 8
Distribution = Histogram | dict[str, int]


@dataclass(frozen=True)
class FieldLimit:
    """What a figure of a field is called, and the name of its limit."""

    about: str
    key: str


_PSI = FieldLimit("population stability index", "max_psi")
_OF_NUMBERS = {
    "effect": FieldLimit("Kolmogorov-Smirnov distance", "max_ks_distance"),
    "psi": _PSI,
    "spike": FieldLimit("rise of one narrow range's share", "max_spike"),
    "novelty": FieldLimit("share of a narrow range that was rare", "max_novel_fraction"),
    "far": FieldLimit("share far outside the accepted range", "max_far_fraction"),
}
_OF_CATEGORIES = {
    "effect": FieldLimit("Cramer's V", "max_cramers_v"),
    "psi": _PSI,
    "unseen": FieldLimit("share of categories never seen", "max_unseen_fraction"),
    "ratio": FieldLimit("largest change of a category's share, as a factor", "max_class_ratio"),
}


def list_limits(accepted: Distribution) -> dict[str, FieldLimit]:
    """Return what limits the figures of a field, by figure."""
    return _OF_NUMBERS if isinstance(accepted, Histogram) else _OF_CATEGORIES


def measure_numbers(
    gate: DriftGate, accepted: Histogram, current: Distribution, *, narrow_only: bool = False
) -> dict[str, float]:
    """Return the figures of a numeric field.

    With `narrow_only` wide cells are no narrow range: a longer time of the same may well spread
    beyond the range that was accepted.
    """
    if not isinstance(current, Histogram):
        return {}
    rows = (accepted.total, current.total)
    effect, p_value = measure_ks(accepted, current)
    expected, got = bucket_numbers(accepted, current)
    figures = {
        "effect": effect if p_value < gate.max_p_value else 0.0,
        "p_value": p_value,
        "psi": measure_psi(expected, got),
        "chance": find_psi_chance(len(expected), *rows, gate.max_p_value),
    }
    if accepted.edges == current.edges:
        counts = accepted.counts, current.counts
        if narrow_only:
            counts = _leave_wide(accepted), _leave_wide(current)
        figures["spike"] = measure_spike(*counts, gate.max_p_value)
        figures["novelty"] = measure_novelty(*counts, gate.max_p_value)
        figures["far"] = measure_far(accepted, current)
    return figures


def _leave_wide(histogram: Histogram) -> tuple[int, ...]:
    """Return the counts of narrow cells; 0 of wide ones."""
    widths = [right - left for left, right in pairwise(histogram.edges)]
    usual = sorted(widths)[len(widths) // 2]
    cells = zip(histogram.counts, widths, strict=True)
    kept = [count if width <= _WIDE * usual else 0 for count, width in cells]
    return tuple(kept)


def measure_categories(
    gate: DriftGate, accepted: dict[str, int], current: dict[str, int]
) -> dict[str, float]:
    """Return the figures of a field of categories or of the label."""
    rows = (sum(accepted.values()), sum(current.values()))
    effect, p_value = measure_chi_square(accepted, current)
    values = sorted(set(accepted) | set(current))
    expected, got = (
        [accepted.get(value, 0) for value in values],
        [current.get(value, 0) for value in values],
    )
    unseen = sum(count for value, count in current.items() if value not in accepted)
    return {
        "effect": effect if p_value < gate.max_p_value else 0.0,
        "p_value": p_value,
        "psi": measure_psi(expected, got),
        "chance": find_psi_chance(len(expected), *rows, gate.max_p_value),
        "unseen": unseen / rows[1],
        "ratio": measure_ratio(expected, got, gate.max_p_value),
    }
