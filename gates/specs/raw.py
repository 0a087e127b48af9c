"""Limits of the raw gate."""

from typing import Annotated

from pydantic import Field

from gates.engine.custom import OwnExpectation
from gates.engine.on_fail import OnFail
from gates.specs.limits import Fraction, Limits, Rows


class RawGate(Limits):
    """What collected rows must hold before they are prepared.

    Shape, dtype, value range and labels come from `data`. A limit of None is that of the rows'
    form: images must be complete and balanced, columns need not.
    """

    min_rows: Rows = 100
    """Fewest rows of the whole version."""
    max_unread_fraction: Fraction = 0.0
    """Most records of the source that could not be read as rows, as a fraction of all."""
    max_missing_fraction: Fraction | None = None
    """Most values of a field or column that may be NaN or null, as a fraction of all its values;
    the same for an image's label. None: 0 for images, 0.2 for columns."""
    max_unanswered_fraction: Fraction = 0.02
    """Tables and series: most rows that may lack the label or target, as a fraction of all."""
    max_unreadable_fraction: Fraction = 0.0
    """Tables and series: most values of a column of numbers or times that may be there and be none,
    such as `1,5` or `ERR`, as a fraction of all its values. They are not missing; a text that means
    that there is no value belongs in `data.missing`."""
    max_infinite_fraction: Fraction = 0.0
    """Most values of a field that may be infinite, as a fraction of all its values."""
    max_duplicate_fraction: Fraction | None = None
    """Most rows of one split that may repeat an earlier row of it, as a fraction of all rows. None:
    0.05 for images, 0.5 for columns, of which few values may well repeat."""
    min_class_balance: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None
    """Rows of the rarest class over those of a perfectly balanced class (1 / number of classes).
    None: 0.2 for images, 0.002 for columns."""
    max_class_balance: Annotated[float, Field(ge=1, allow_inf_nan=False)] | None = None
    """Rows of the commonest class over those of a perfectly balanced class. None: 5 for images, no
    limit for columns."""
    max_repeated_time_fraction: Fraction = 0.001
    """Series: most rows that may have the entity and time of another, as a fraction of all."""
    max_unsorted_fraction: Fraction = 0.001
    """Series: most rows that may lie before their predecessor in time, as a fraction of all."""
    max_gap_fraction: Fraction = 0.25
    """Series: most places where the next row comes later than usual, as a fraction of all rows."""
    max_future_fraction: Fraction = 0.0
    """Most rows with a time more than a day after now, as a fraction of all."""
    max_predictor_strength: Fraction = 0.9995
    """How nearly a single column may give the answer away: balanced accuracy for a class,
    correlation ratio for a number, now or some rows ahead."""

    on_fail: dict[str, OnFail] = Field(default={})
    """What a failed check does, by its name (`duplicate fraction`, `image.*`) or rule: `stop`,
    as the others, `warn`, or, by the name of a check that is about rows, `quarantine:
    {max_fraction}`."""
    expectations: tuple[OwnExpectation, ...] = ()
    """Expectations of your own on the rows: type and kwargs as in Great Expectations, and
    on_fail."""
    suites: tuple[str, ...] = ()
    """Suites of your own: paths of Great Expectations' JSON, or `package.module:function` that
    returns expectations."""
