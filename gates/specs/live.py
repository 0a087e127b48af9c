"""Limits of the live gate: what comes back from a model at work."""

from pydantic import Field

from gates.specs.limits import Fraction, Limits, Positive, Rows, SoftOnFail


class LiveGate(Limits):
    """What rows that came back must hold, and how many of them it takes to decide anything.

    They are compared with what the promoted model learned from by the limits of `drift`; how many
    there are, and their labels, are judged here.
    """

    min_rows: Rows = 100
    """Fewest rows that the promoted model has not learned from; with fewer nothing is decided."""
    min_labels: Rows = 50
    """Fewest of them with a truth by which the promoted model is measured; of a forecast fewest
    windows."""
    max_age_hours: Positive = 168.0
    """Oldest that the newest of them may be, in hours."""
    max_ahead_hours: Positive = 24.0
    """Furthest that any of them may lie in the future, in hours: a clock that runs ahead."""
    max_unfit_fraction: Fraction = 0.01
    """Most rows that may break what the data section declares, as a fraction of those that came
    back; they are never learned from."""
    on_fail: SoftOnFail = Field(default={})
    """What a failed check does, by its name or rule: `stop`, as all others, asks a person, and
    `warn` is told only."""
