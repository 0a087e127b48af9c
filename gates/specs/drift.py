"""Limits of the drift gate."""

from typing import Annotated

from pydantic import Field

from gates.specs.limits import Fraction, Limits, NotNegative, Positive, Rows, SoftOnFail


class DriftGate(Limits):
    """How far a raw version may be from the last accepted one, its values all in range or not."""

    enabled: bool = True
    """Whether versions are compared at all."""
    ignore: tuple[str, ...] = ()
    """Columns that may change as they like, by name or pattern (`image.*`)."""
    min_rows: Rows = 200
    """Fewest rows of either version from which a change is judged; with fewer it is not, and the
    report says so."""
    max_p_value: Annotated[float, Field(gt=0, le=0.1, allow_inf_nan=False)] = 0.001
    """A change with a p-value below this is certain; any other counts as none."""
    max_ks_distance: Fraction = 0.1
    """Largest Kolmogorov-Smirnov distance of a numeric field: the greatest gap between the
    cumulative shares."""
    max_cramers_v: Fraction = 0.1
    """Largest Cramer's V of a field of categories or of the label: 0 is none, 1 is complete."""
    max_psi: Positive = 0.2
    """Largest population stability index; raised to what chance alone exceeds once in a thousand on
    few rows."""
    max_spike: Fraction = 0.03
    """Largest rise of the share of one narrow range of values: what a stuck sensor or silent zeros
    leave."""
    max_novel_fraction: Fraction = 0.005
    """Largest rise of the share of one narrow range of values to four times what it was, or more: a
    code for missing values, a sensor that stands still, values beyond the accepted ones."""
    max_stuck_rise: Fraction = 0.01
    """Tables: largest rise of the share of rows of which a column has been the same for 32 rows or
    more."""
    max_far_fraction: Fraction = 0.001
    """Most values that may lie further outside the accepted range than that is wide, as a
    fraction."""
    max_unseen_fraction: Fraction = 0.005
    """Most rows with a category that the accepted version does not have, as a fraction."""
    max_class_ratio: Annotated[float, Field(gt=1, allow_inf_nan=False)] = 1.5
    """Largest ratio, either way, of the share of a class or of its accepted share."""
    min_rows_ratio: NotNegative = 0.6
    """Fewest rows over those of the accepted version: fewer may be a file that was cut off."""
    max_missing_rise: Fraction = 0.05
    """Largest rise of the share of missing values of a column, as a difference of fractions."""
    max_duplicate_rise: Fraction = 0.02
    """Largest rise of the share of rows that repeat another one, as a difference of fractions."""
    max_changed_fraction: Fraction = 0.01
    """Most rows at places or times that were accepted before whose values or label are others now,
    as a fraction of those."""
    max_relation_change: Annotated[float, Field(gt=0, le=2, allow_inf_nan=False)] = 0.35
    """Largest change of the correlation of two columns: its difference, or a third of that of
    Fisher's z."""
    max_agreement_loss: Fraction = 0.02
    """Largest fall of the share of labels that a probe, learned from the accepted version, agrees
    with."""
    max_strength_change: Fraction = 0.1
    """Largest change, either way, of how nearly a single column, or cell of an image, gives the
    label away."""
    max_longest_gap_ratio: Positive = 2.0
    """Series: the longest time without a row, over that of the accepted version or eight steps,
    whichever is longer."""
    max_gap_rise: Fraction = 0.12
    """Series: largest rise of the share of the time in which there are no rows."""
    max_disorder_rise: Fraction = 0.0001
    """Series: largest rise of the share of rows that go back in time or stand still, as with a
    clock set back."""
    max_step_change: Fraction = 0.01
    """Series: furthest that the usual time between rows may be from the accepted one, as a fraction
    of it."""
    max_clock_shift_minutes: NotNegative = 0.0
    """Furthest that the pattern of the day, of all entities or of one, may move beyond what it
    moves inside the accepted version."""
    max_grain_ratio: Annotated[float, Field(gt=1, allow_inf_nan=False)] = 1.4
    """Series: largest ratio, either way, of the smallest change between rows of one entity's new
    rows and of its accepted ones, where these have one: a unit or a factor that is another."""
    max_copied_days_rise: Fraction = 0.001
    """Series: largest rise of the share of days, over all entities, of which another entity has
    every row as well."""
    max_entities_gone_fraction: Fraction = 0.02
    """Series: most entities that may have no rows any more at the end, as a fraction of those that
    the accepted version had at its own."""
    max_entity_rows_fall: Fraction = 0.4
    """Series: largest fall of the usual number of rows of a day (or of 24 steps) of one entity, as
    a fraction; days that are as they were do not count, here and below."""
    max_entity_jump: Positive = 2.0
    """Series: furthest that the mean of one entity's first new week may lie from its last accepted
    one, over the furthest that two weeks in a row were apart before."""
    max_entity_roughness: Positive = 0.5
    """Series: furthest that the usual change from row to row of a day of one entity may lie outside
    what its days had before, over what these span on a logarithmic scale."""
    max_entity_still_rise: Fraction = 0.5
    """Series: largest rise of the share of a day's rows of one entity that repeat the row before,
    over the largest share before."""
    on_fail: SoftOnFail = Field(default={})
    """What a failed check does, by its name (`duplicate fraction`, `image.*`) or rule; the others
    stop the run."""
