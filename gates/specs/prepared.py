"""Limits of the prepared gate."""

from typing import Self

from pydantic import Field, model_validator

from gates.specs.limits import Fraction, Limits, Rows, Share, SoftOnFail


class PreparedGate(Limits):
    """What prepared splits must hold before a model is trained.

    A row shared between splits is never allowed.
    """

    min_train_rows: Rows = 100
    """Fewest rows of the training split."""
    min_validation_rows: Rows = 20
    """Fewest rows of the validation split."""
    min_held_out_rows: Rows = 50
    """Fewest rows of the held-out split."""
    min_split_share: Share = 0.01
    """Smallest share of all prepared rows that any split may have, as a fraction."""
    min_train_share: Share = 0.4
    """Smallest share of all prepared rows that the training split may have, as a fraction."""
    min_rows_per_class: Rows = 1
    """Fewest rows of each declared class in each split."""
    max_dropped_fraction: Fraction = 0.1
    """Most collected rows that preparing may drop (unreadable, without an answer), as a fraction of
    the collected rows; those that the recipe's own filter, transform or end of time leave out do
    not count, nor do repeats."""
    max_duplicate_fraction: Fraction = 0.5
    """Most collected rows that preparing may drop because they repeat another one, as a fraction of
    the collected rows; how many the source may bring, the raw gate says."""
    max_contrary_fraction: Fraction = 0.01
    """Most collected rows that may be equal to another one and have another label, as a fraction;
    where more than a tenth of the rows repeat, as many as labels by chance would bring."""
    max_missing_fraction: Fraction = 0.5
    """Tables and series: most values of a training column that may be missing, as a fraction."""
    min_windows: Rows = 5
    """Forecasts: fewest windows of each split."""
    max_unanswered_fraction: Fraction = 0.1
    """Forecasts: most windows of a split of which no step that is asked for has a value, as a
    fraction; they are left out when the model is judged."""
    max_near_duplicate_fraction: Fraction = 0.01
    """Images: most held-out rows that may look like a training row (equal perceptual hash, or a
    correlation above 0.99 within one pixel, mirrored too), as a fraction of all rows."""
    on_fail: SoftOnFail = Field(default={})
    """What a failed check does, by its name (`duplicate fraction`, `image.*`) or rule; the others
    stop the run."""

    @model_validator(mode="after")
    def _shares_must_fit(self) -> Self:
        if self.min_train_share + 2 * self.min_split_share > 1:
            total = self.min_train_share + 2 * self.min_split_share
            raise ValueError(
                f"min_train_share + 2 * min_split_share ({total:g}) must be at most 1; got "
                f"{total:g}; lower one of them"
            )
        return self
