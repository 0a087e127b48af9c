"""The limits of the gates, as a recipe states them.

Every limit has its unit in its name or its description. A fraction is 0 to 1, never a percentage.
The defaults are those of small, clean image sets; a recipe tightens them.
"""

from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from gates.engine.custom import OwnExpectation
from gates.engine.on_fail import OnFail, Soft, check_quarantines, refuse_quarantines
from gates.errors import SuiteError

Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Rows = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
SoftOnFail = Annotated[dict[str, Soft], BeforeValidator(refuse_quarantines)]


class _Limits(BaseModel):
    """A frozen set of limits that refuses unknown names and values that are not numbers."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )


class RawGate(_Limits):
    """What collected rows must hold before they are prepared. Shape, dtype, value range and labels come from `data`.

    A limit of None is that of the kind of data: images must be complete and balanced, columns need
    not.
    """

    min_rows: Rows = 100
    """Fewest rows of the whole version."""
    max_unread_fraction: Fraction = 0.0
    """Most records of the source that could not be read as rows, as a fraction of all."""
    max_missing_fraction: Fraction | None = None
    """Most values of a field or column that may be NaN or null, as a fraction of all its values; the same for an image's
    label. None: 0 for images, 0.2 for columns."""
    max_unanswered_fraction: Fraction = 0.02
    """Tables and series: most rows that may lack the label or target, as a fraction of all."""
    max_infinite_fraction: Fraction = 0.0
    """Most values of a field that may be infinite, as a fraction of all its values."""
    max_duplicate_fraction: Fraction | None = None
    """Most rows of one split that may repeat an earlier row of it, as a fraction of all rows. None: 0.05 for images, 0.5
    for columns, of which few values may well repeat."""
    min_class_balance: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None
    """Rows of the rarest class over those of a perfectly balanced class (1 / number of classes). None: 0.2 for images,
    0.002 for columns."""
    max_class_balance: Annotated[float, Field(ge=1, allow_inf_nan=False)] | None = None
    """Rows of the commonest class over those of a perfectly balanced class. None: 5 for images, no limit for columns."""
    max_repeated_time_fraction: Fraction = 0.001
    """Series: most rows that may have the entity and time of another, as a fraction of all."""
    max_unsorted_fraction: Fraction = 0.001
    """Series: most rows that may lie before their predecessor in time, as a fraction of all."""
    max_gap_fraction: Fraction = 0.25
    """Series: most places where the next row comes later than usual, as a fraction of all rows."""
    max_future_fraction: Fraction = 0.0
    """Most rows with a time more than a day after now, as a fraction of all."""
    max_predictor_strength: Fraction = 0.9995
    """How nearly a single column may give the answer away: balanced accuracy for a class, correlation ratio for a number,
    now or some rows ahead."""

    on_fail: dict[str, OnFail] = Field(default={})
    """What a failed check does, by its name (`duplicate fraction`, `image.*`) or rule: `stop`, as the others, `warn`, or,
    by the name of a check that is about rows, `quarantine: {max_fraction}`."""
    expectations: tuple[OwnExpectation, ...] = ()
    """Expectations of your own on the rows: type and kwargs as in Great Expectations, and on_fail."""
    suites: tuple[str, ...] = ()
    """Suites of your own: paths of Great Expectations' JSON, or `package.module:function` that returns expectations."""

    @model_validator(mode="after")
    def _only_rows_can_be_set_aside(self) -> Self:
        check_quarantines(self.on_fail)
        return self

    def for_kind(self, kind: str) -> "RawGate":
        """Return the limits with those of a kind of data, `image` or another, in place of None."""
        chosen = _IMAGE_LIMITS if kind == "image" else _COLUMN_LIMITS
        return self.model_copy(
            update={name: limit for name, limit in chosen.items() if getattr(self, name) is None}
        )


_IMAGE_LIMITS: dict[str, float | None] = {
    "max_missing_fraction": 0.0,
    "max_duplicate_fraction": 0.05,
    "min_class_balance": 0.2,
    "max_class_balance": 5.0,
}
_COLUMN_LIMITS: dict[str, float | None] = {
    "max_missing_fraction": 0.2,
    "max_duplicate_fraction": 0.5,
    "min_class_balance": 0.002,
    "max_class_balance": None,
}


class PreparedGate(_Limits):
    """What prepared splits must hold before a model is trained. A row shared between splits is never allowed."""

    min_train_rows: Rows = 100
    """Fewest rows of the training split."""
    min_validation_rows: Rows = 20
    """Fewest rows of the validation split."""
    min_held_out_rows: Rows = 50
    """Fewest rows of the held-out split."""
    min_split_share: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = 0.01
    """Smallest share of all prepared rows that any split may have, as a fraction."""
    min_train_share: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = 0.4
    """Smallest share of all prepared rows that the training split may have, as a fraction."""
    min_rows_per_class: Rows = 1
    """Fewest rows of each declared class in each split."""
    max_dropped_fraction: Fraction = 0.1
    """Most collected rows that preparing may drop (unreadable, duplicate), as a fraction of the collected rows; those
    that the recipe's own filter, transform or end of time leave out do not count."""
    max_missing_fraction: Fraction = 0.5
    """Tables and series: most values of a training column that may be missing, as a fraction."""
    max_twin_fraction: Fraction = 0.01
    """Images: most held-out rows that may look like a training row (equal perceptual hash), as a fraction of all rows."""
    on_fail: SoftOnFail = Field(default={})
    """What a failed check does, by its name (`duplicate fraction`, `image.*`) or rule; the others stop the run."""

    @model_validator(mode="after")
    def _shares_must_fit(self) -> Self:
        if self.min_train_share + 2 * self.min_split_share > 1:
            total = self.min_train_share + 2 * self.min_split_share
            raise ValueError(
                f"min_train_share + 2 * min_split_share ({total:g}) must be at most 1; got "
                f"{total:g}; lower one of them"
            )
        return self


class ModelGate(_Limits):
    """What a trained model must show on held-out rows before artifacts are made from it."""

    min_accuracy: Fraction = 0.9
    """Smallest held-out accuracy, as a fraction of the rows."""
    min_gain_over_majority: Fraction | None = 0.1
    """Smallest held-out accuracy above always answering the commonest class, as a difference of fractions. None leaves
    it to `min_average_precision`, where a class is so rare that accuracy says little."""
    max_loss_to_champion: Fraction = 0.005
    """Most accuracy that may be lost to the promoted champion on the same rows, as a difference of fractions."""
    min_accuracy_lower_bound: Fraction = 0.0
    """Smallest lower end of the accuracy's 95 % bootstrap interval, as a fraction; 0 only records it."""
    min_slice_accuracy: Fraction = 0.5
    """Smallest held-out accuracy on any slice (each class, and each value of a metadata column), as a fraction."""
    min_slice_rows: Rows = 20
    """Fewest rows of a slice that is judged: a handful proves nothing."""
    max_calibration_error: Fraction = 0.2
    """Largest expected calibration error: the mean gap between confidence and accuracy over 15 bins, as a fraction."""
    min_worse_p_value: Fraction = 0.01
    """Smallest p-value of McNemar's test that the champion is no better; below it the report warns."""
    probability_sum_tolerance: Positive = 1e-3
    """How far the class probabilities of one row may sum from 1."""
    min_average_precision: Fraction | None = None
    """Smallest mean over the classes of the average precision, for rare classes; None does not judge it."""

    @model_validator(mode="after")
    def _gain_must_be_judged(self) -> Self:
        if self.min_gain_over_majority is None and not self.min_average_precision:
            raise ValueError(
                f"min_average_precision ({self.min_average_precision}) must be above 0 where "
                "min_gain_over_majority is left "
                "out; got nothing that tells the model from a constant; write a limit"
            )
        return self


class RegressionGate(_Limits):
    """What a trained regression or forecast must show on held-out rows before artifacts are made from it.

    Errors are mean absolute ones in the target's own unit; skill is 1 - error / error of the best
    baseline.
    """

    max_mae: Positive | None = None
    """Largest mean absolute error, in the target's unit; None does not judge it."""
    max_rmse: Positive | None = None
    """Largest root mean squared error, in the target's unit; None does not judge it."""
    min_skill: Annotated[float, Field(lt=1, allow_inf_nan=False)] = 0.0
    """The skill over the best baseline on the same rows must be above this; 0 is the baseline itself."""
    min_skill_lower_bound: Annotated[float, Field(lt=1, allow_inf_nan=False)] | None = None
    """Smallest lower end of the skill's 95 % paired bootstrap interval; None only warns where it is below 0."""
    max_loss_to_champion: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.01
    """Most by which the error may exceed the promoted champion's on the same rows, relative to the champion's."""
    min_worse_p_value: Fraction = 0.01
    """Smallest bootstrap p-value that the champion is no better; below it the report warns."""
    min_slice_skill: Annotated[float, Field(lt=1, allow_inf_nan=False)] = -0.5
    """Smallest skill on any slice (each value of a metadata column) with enough rows."""
    min_slice_rows: Rows = 20
    """Fewest rows of a slice that is judged: a handful proves nothing."""


class AnomalyGate(_Limits):
    """What a trained anomaly detector must show on held-out rows, of which a few are labelled anomalous."""

    min_average_precision: Fraction = 0.3
    """Smallest average precision of the scores: area under precision over recall; chance is the anomalies' share."""
    min_gain_over_chance: Fraction = 0.05
    """Smallest average precision above the anomalies' share of the rows, as a difference of fractions."""
    min_auroc: Fraction = 0.7
    """Smallest area under the receiver operating characteristic; chance is 0.5."""
    min_anomalies: Rows = 5
    """Fewest anomalous held-out rows: fewer prove nothing."""
    max_loss_to_champion: Fraction = 0.01
    """Most average precision that may be lost to the promoted champion on the same rows, as a difference of fractions."""


class ArtifactGate(_Limits):
    """What the exact bytes of an artifact must show in the runtime before they are published."""

    max_accuracy_drop: Fraction = 0.01
    """Most held-out accuracy that may be lost to the float model, as a difference of fractions."""
    max_error_increase: Fraction = 0.02
    """Regression: most by which the mean absolute error may exceed the float model's, relative to it."""
    min_agreement: Fraction = 0.98
    """Smallest fraction of held-out rows on which the artifact and the float model answer the same: the same label, or
    numbers within `agreement_tolerance`."""
    agreement_tolerance: Positive = 0.05
    """Regression: how far two answers may be apart to agree, in standard deviations of the target."""
    max_size_bytes: Annotated[int, Field(ge=1)] = 64 * 1024 * 1024
    """Largest size of the file, in bytes."""
    max_latency_ms_p50: Positive = 100.0
    """Largest median time of one answer to one row, in milliseconds."""


class DriftGate(_Limits):
    """How far a raw version may be from the last accepted one, although every value of it may be in range."""

    enabled: bool = True
    """Whether versions are compared at all."""
    ignore: tuple[str, ...] = ()
    """Columns that may change as they like, by name or pattern (`image.*`)."""
    min_rows: Rows = 200
    """Fewest rows of either version from which a change is judged; with fewer it is not, and the report says so."""
    max_p_value: Annotated[float, Field(gt=0, le=0.1, allow_inf_nan=False)] = 0.001
    """A change with a p-value below this is certain; any other counts as none."""
    max_ks_distance: Fraction = 0.1
    """Largest Kolmogorov-Smirnov distance of a numeric field: the greatest gap between the cumulative shares."""
    max_cramers_v: Fraction = 0.1
    """Largest Cramer's V of a field of categories or of the label: 0 is none, 1 is complete."""
    max_psi: Positive = 0.2
    """Largest population stability index; raised to what chance alone exceeds once in a thousand on few rows."""
    max_spike: Fraction = 0.03
    """Largest rise of the share of one narrow range of values: what a stuck sensor or silent zeros leave."""
    max_novel_fraction: Fraction = 0.005
    """Largest rise of the share of one narrow range of values to four times what it was, or more: a code for missing values,
    a sensor that stands still, values beyond the accepted ones."""
    max_stuck_rise: Fraction = 0.01
    """Tables: largest rise of the share of rows of which a column has been the same for 32 rows or more."""
    max_far_fraction: Fraction = 0.001
    """Most values that may lie further outside the accepted range than that is wide, as a fraction."""
    max_unseen_fraction: Fraction = 0.005
    """Most rows with a category that the accepted version does not have, as a fraction."""
    max_class_ratio: Annotated[float, Field(gt=1, allow_inf_nan=False)] = 1.5
    """Largest ratio, either way, of the share of a class or of its accepted share."""
    min_rows_ratio: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.6
    """Fewest rows over those of the accepted version: fewer may be a file that was cut off."""
    max_missing_rise: Fraction = 0.05
    """Largest rise of the share of missing values of a column, as a difference of fractions."""
    max_duplicate_rise: Fraction = 0.02
    """Largest rise of the share of rows that repeat another one, as a difference of fractions."""
    max_relation_change: Annotated[float, Field(gt=0, le=2, allow_inf_nan=False)] = 0.35
    """Largest change of the correlation of two columns: its difference, or a third of that of Fisher's z."""
    max_agreement_loss: Fraction = 0.02
    """Largest fall of the share of labels that a probe, learned from the accepted version, agrees with."""
    max_strength_change: Fraction = 0.1
    """Largest change, either way, of how nearly a single column, or cell of an image, gives the label away."""
    max_longest_gap_ratio: Positive = 2.0
    """Series: the longest time without a row, over that of the accepted version or eight steps, whichever is longer."""
    max_gap_rise: Fraction = 0.12
    """Series: largest rise of the share of the time in which there are no rows."""
    max_disorder_rise: Fraction = 0.0001
    """Series: largest rise of the share of rows that go back in time or stand still, as with a clock set back."""
    max_step_change: Fraction = 0.01
    """Series: furthest that the usual time between rows may be from the accepted one, as a fraction of it."""
    max_clock_shift_minutes: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Furthest that the pattern of the day may move beyond what it moves inside the accepted version."""
    on_fail: SoftOnFail = Field(default={})
    """What a failed check does, by its name (`duplicate fraction`, `image.*`) or rule; the others stop the run."""


class GatesSpec(_Limits):
    """The gates of a recipe, whatever it learns; `gates_for_kind` has the one that goes with a kind."""

    raw: RawGate = RawGate()
    prepared: PreparedGate = PreparedGate()
    drift: DriftGate = DriftGate()
    model: ModelGate | RegressionGate | AnomalyGate = ModelGate()
    artifact: ArtifactGate = ArtifactGate()


class ClassificationGates(GatesSpec):
    """The gates of a recipe that learns classes."""

    model: ModelGate = ModelGate()


class RegressionGates(GatesSpec):
    """The gates of a recipe that learns numbers: a regression or a forecast."""

    model: RegressionGate = RegressionGate()


class AnomalyGates(GatesSpec):
    """The gates of a recipe that learns what is normal."""

    model: AnomalyGate = AnomalyGate()


_GATES: dict[str, type[GatesSpec]] = {
    "image-classification": ClassificationGates,
    "tabular-classification": ClassificationGates,
    "series-classification": ClassificationGates,
    "tabular-regression": RegressionGates,
    "series-regression": RegressionGates,
    "forecasting": RegressionGates,
    "anomaly-detection": AnomalyGates,
}
_MODEL_GATES: dict[type[GatesSpec], type[ModelGate | RegressionGate | AnomalyGate]] = {
    ClassificationGates: ModelGate,
    RegressionGates: RegressionGate,
    AnomalyGates: AnomalyGate,
}


def gates_for_kind(kind: str) -> type[GatesSpec]:
    """Return the gates section that goes with a recipe's kind.

    Raises:
        SuiteError: the kind is not known.
    """
    if kind not in _GATES:
        raise SuiteError(
            f"kind ({kind}) must be one of {', '.join(_GATES)}; got another; choose one of these"
        )
    return _GATES[kind]


def gate_for_kind(kind: str) -> type[ModelGate | RegressionGate | AnomalyGate]:
    """Return the model gate's limits that go with a recipe's kind.

    Raises:
        SuiteError: the kind is not known.
    """
    return _MODEL_GATES[gates_for_kind(kind)]
