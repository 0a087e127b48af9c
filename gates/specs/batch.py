"""Limits of the gate of batch prediction: the answers to all rows of a data set."""

from pydantic import Field

from gates.specs.limits import Fraction, Limits, Rows, SoftOnFail


class BatchGate(Limits):
    """What the rows and answers of a batch must hold before any answer is published.

    How far the rows may be from those that the model learned from, `drift` says.
    """

    min_rows: Rows = 100
    """Fewest rows that are compared, of those that are asked for as of those that the model learned
    from; of fewer nothing could be said, so that they are asked one file at a time, by `lepton
    predict CHANNEL FILE`."""
    max_unanswered_fraction: Fraction = 0.01
    """Most rows without an answer, as a fraction of all that the source has: they could not be
    read, break the data section, or are such that the model has no finite answer to."""
    max_noted_fraction: Fraction = 0.05
    """Most answers with a note, such as of a category that was not learned from, as a fraction of
    all."""
    on_fail: SoftOnFail = Field(default={})
    """What a failed check does, by its name or rule: `stop`, as all others, or `warn`."""
