"""Limits of the model gate, one class for each objective."""

from typing import Self

from pydantic import model_validator

from gates.specs.limits import Fraction, Limits, NotNegative, Positive, Rows, Skill


class ModelLimits(Limits):
    """Base of the model gate's limits; each objective has its own."""


class ClassesGate(ModelLimits):
    """What a classifier must show on held-out rows before artifacts are made from it."""

    min_accuracy: Fraction = 0.9
    """Smallest held-out accuracy, as a fraction of the rows."""
    min_gain_over_majority: Fraction | None = 0.1
    """Smallest held-out accuracy above always answering the commonest class, as a difference of
    fractions. None leaves it to `min_average_precision`, where a class is so rare that accuracy
    says little."""
    max_loss_to_champion: Fraction = 0.005
    """Most accuracy that may be lost to the promoted champion on the same rows, as a difference of
    fractions."""
    min_accuracy_lower_bound: Fraction = 0.0
    """Smallest lower end of the accuracy's 95 % bootstrap interval, as a fraction; 0 only records
    it."""
    min_slice_accuracy: Fraction = 0.5
    """Smallest held-out accuracy on any slice (each class, and each value of a metadata column), as
    a fraction."""
    min_slice_rows: Rows = 20
    """Fewest rows of a slice that is judged: a handful proves nothing."""
    max_calibration_error: Fraction = 0.2
    """Largest expected calibration error: the mean gap between confidence and accuracy over 15
    bins, as a fraction."""
    min_worse_p_value: Fraction = 0.01
    """Smallest p-value of McNemar's test that the champion is no better; below it the report
    warns."""
    probability_sum_tolerance: Positive = 1e-3
    """How far the class probabilities of one row may sum from 1."""
    min_average_precision: Fraction | None = None
    """Smallest average precision, for rare classes: that of the positive one of two classes, the
    mean of more than two; None does not judge it."""

    @model_validator(mode="after")
    def _gain_must_be_judged(self) -> Self:
        if self.min_gain_over_majority is None and not self.min_average_precision:
            raise ValueError(
                f"min_average_precision ({self.min_average_precision}) must be above 0 where "
                "min_gain_over_majority is left out; got nothing that tells the model from a "
                "constant; write a limit"
            )
        return self


class ValuesGate(ModelLimits):
    """What a regression or forecast must show on held-out rows before artifacts are made.

    Errors are mean absolute ones in the target's own unit; skill is 1 - error / error of the best
    baseline.
    """

    max_mae: Positive | None = None
    """Largest mean absolute error, in the target's unit; None does not judge it."""
    max_rmse: Positive | None = None
    """Largest root mean squared error, in the target's unit; None does not judge it."""
    min_skill: Skill = 0.0
    """The skill over the best baseline on the same rows must be above this; 0 is the baseline
    itself."""
    min_skill_lower_bound: Skill | None = None
    """Smallest lower end of the skill's 95 % paired bootstrap interval; None only warns where it is
    below 0."""
    max_loss_to_champion: NotNegative = 0.01
    """Most by which the error may exceed the promoted champion's on the same rows, relative to the
    champion's."""
    min_worse_p_value: Fraction = 0.01
    """Smallest bootstrap p-value that the champion is no better; below it the report warns."""
    min_slice_skill: Skill = -0.5
    """Smallest skill on any slice (each value of a metadata column) with enough rows."""
    min_slice_rows: Rows = 20
    """Fewest rows of a slice that is judged: a handful proves nothing."""


class ReconstructionGate(ModelLimits):
    """What an anomaly detector must show on held-out rows, of which a few are anomalous."""

    min_average_precision: Fraction = 0.3
    """Smallest average precision of the scores: area under precision over recall; chance is the
    anomalies' share."""
    min_gain_over_chance: Fraction = 0.05
    """Smallest average precision above the anomalies' share of the rows, as a difference of
    fractions."""
    min_auroc: Fraction = 0.7
    """Smallest area under the receiver operating characteristic; chance is 0.5."""
    min_anomalies: Rows = 5
    """Fewest anomalous held-out rows: fewer prove nothing."""
    max_loss_to_champion: Fraction = 0.01
    """Most average precision that may be lost to the promoted champion on the same rows, as a
    difference of fractions."""
