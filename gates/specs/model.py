"""Limits of the model gate, one class for each objective."""

from typing import Literal, Self

from pydantic import model_validator

from gates.specs.limits import Fraction, Limits, NotNegative, Positive, Rows, Skill


class ModelLimits(Limits):
    """Base of the model gate's limits; each objective has its own."""


class SkillLimits(ModelLimits):
    """What all objectives ask that hold a model against its baselines and its champion.

    A skill is 1 - error / error of the best baseline on the same rows; the error of a figure that
    is better when higher is 1 less it. Intervals are of 95 %, from rows left out block by block: of
    series in time order, each block at least lookback + horizon steps long, of an entity or group
    all rows.
    """

    min_skill: Skill = 0.0
    """The skill over the best baseline must be above this, and the lower end of its interval too; 0
    is the baseline itself, below 0 is a margin by which the model may be worse."""
    min_skill_lower_bound: Skill | None = None
    """What the lower end of the skill's interval must be above; None for `min_skill`."""
    min_worse_p_value: Fraction = 0.01
    """Smallest p-value of a paired test that the champion is no better; below it the report
    warns."""
    max_loss_to_champion: NotNegative = 0.01
    """Most that may be lost to the promoted champion on the same rows; a loss that chance may have
    done only warns."""
    max_unproven_loss_to_champion: NotNegative | None = None
    """Most that may be lost to the champion where the interval of the loss holds 0, so that chance
    may have done it; in the unit of `max_loss_to_champion`. None: 0.03, or what of two equal models
    one loses to the other in one of twenty cases, if that is more, as it is with few rows."""
    min_slice_rows: Rows = 20
    """Fewest rows of a slice that is judged: a handful proves nothing. The report names the slices
    that have fewer."""


class ClassesGate(SkillLimits):
    """What a classifier must show on held-out rows before artifacts are made from it."""

    min_accuracy: Fraction = 0.9
    """Smallest held-out accuracy, as a fraction of the rows."""
    min_gain_over_majority: Fraction | None = 0.1
    """Smallest held-out accuracy above always answering the commonest class, as a difference of
    fractions. None leaves it to `min_average_precision`, where a class is so rare that accuracy
    says little."""
    skill_by: Literal["accuracy", "macro_f1", "average_precision", "auroc"] | None = None
    """Figure by which the model is held against its baselines and its champion; of more than two
    classes rankings are their mean. None: accuracy, or average precision where
    `min_average_precision` is judged."""
    max_loss_to_champion: Fraction = 0.005
    """Most that may be lost to the promoted champion on the same rows, by the figure of `skill_by`,
    as a difference of fractions; a loss that chance may have done only warns."""
    min_accuracy_lower_bound: Fraction = 0.0
    """Smallest lower end of the accuracy's 95 % bootstrap interval, as a fraction; 0 only records
    it."""
    min_slice_accuracy: Fraction = 0.5
    """Smallest held-out accuracy on any slice (each class, of which it is the recall, and each
    value of a column of texts or metadata, and each entity), as a fraction."""
    max_calibration_error: Fraction = 0.2
    """Largest expected calibration error: the mean gap between confidence and accuracy over 15
    bins, as a fraction."""
    max_overconfidence: Fraction = 0.1
    """Largest share of the held-out log loss that the model would lose by being less sure (all log
    probabilities divided by one number, fitted on other rows); it stops where the interval's lower
    end is above, else it warns."""
    probability_sum_tolerance: Positive = 1e-3
    """How far the class probabilities of one row may sum from 1."""
    min_recall: Fraction | None = None
    """Smallest share of the held-out positive rows that are answered so, as a fraction, by
    `model.threshold`; None does not judge it."""
    min_precision: Fraction | None = None
    """Smallest share of the held-out rows answered as positive that are, likewise."""
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


class ValuesGate(SkillLimits):
    """What a regression or forecast must show on held-out rows before artifacts are made.

    Errors are mean absolute ones in the target's own unit.
    """

    max_mae: Positive | None = None
    """Largest mean absolute error, in the target's unit; None does not judge it."""
    max_rmse: Positive | None = None
    """Largest root mean squared error, in the target's unit; None does not judge it."""
    skill_by: Literal["mae", "rmse", "mse"] = "mae"
    """Figure by which the model is held against its baselines and its champion."""
    max_loss_to_champion: NotNegative = 0.01
    """Most by which the error may exceed the promoted champion's on the same rows, relative to the
    champion's; a loss that chance may have done only warns."""
    min_slice_skill: Skill = -0.5
    """Smallest skill on any slice (each entity and value of a column of texts or metadata, and of
    forecasts each column and step) over the baseline that is best there."""
    max_worse_slices: Fraction = 0.2
    """Largest share of the slices of one sort that are surely worse than the baseline that is best
    there (the upper end of a 99 % interval of the skill is below 0); any warns."""
    max_coverage_gap: Fraction = 0.1
    """Largest distance between a quantile of `model.quantiles` and the share of the held-out truths
    that are at most what it answers, as a difference of fractions."""
    min_pinball_skill: Skill | None = None
    """The skill by the pinball loss, over all quantiles, must be above this: over the baseline that
    is best by it, each with quantiles that are calibrated on the same validation rows. None for
    `min_skill`."""
    min_judged_rows: Rows = 20
    """Fewest held-out rows or windows that must have been judged."""
    max_unanswered_fraction: Fraction = 0.1
    """Most held-out windows that may be left out because no step that was asked for has a value, as
    a fraction of all."""


class ReconstructionGate(SkillLimits):
    """What an anomaly detector must show on held-out rows, of which a few are anomalous."""

    min_average_precision: Fraction = 0.3
    """Smallest average precision of the scores: area under precision over recall; chance is the
    anomalies' share."""
    min_gain_over_chance: Fraction = 0.05
    """Smallest average precision above the anomalies' share of the rows, as a difference of
    fractions."""
    min_auroc: Fraction = 0.7
    """Smallest area under the receiver operating characteristic; chance is 0.5."""
    skill_by: Literal["average_precision", "auroc"] = "average_precision"
    """Figure by which the model is held against its baselines and its champion."""
    min_anomalies: Rows = 5
    """Fewest anomalous held-out rows, of all and of each slice that is judged: fewer prove
    nothing."""
    min_slice_auroc: Fraction = 0.5
    """Smallest area under the receiver operating characteristic on any slice (each entity and value
    of a column of texts or metadata)."""
    max_loss_to_champion: Fraction = 0.01
    """Most that may be lost to the promoted champion on the same rows, by the figure of `skill_by`,
    as a difference of fractions; a loss that chance may have done only warns."""
