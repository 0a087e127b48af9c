"""Measures whether a classifier is as sure as it is right."""

from typing import TYPE_CHECKING, Any

from gates.engine.report import Severity
from gates.engine.suite import Expectation, expect, expect_present
from gates.engine.tables import Table
from gates.model.blocks import close_gaps
from gates.model.facts import ModelFacts
from gates.model.measure import leave_out
from gates.model.paired import SEED, Comparison, compare_skill, make_unknown
from gates.model.part import FIGURES, KEYS, MOST, Part
from gates.specs.model import ClassesGate

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

CALIBRATION = "expected calibration error"
OVERCONFIDENCE = "share of the log loss that being less sure would save"
SURE = f"{OVERCONFIDENCE}, lower end of its 95 % interval"
_BINS = 15
_LEAST_PROBABILITY = 1e-7  # a float32 of 1 is no surer
_MOST_ROWS = 20_000


def judge_calibration(gate: ClassesGate, facts: ModelFacts, predictions: Table) -> Part:
    """Judge whether the model is as sure as it is right, and surely no surer.

    Args:
        gate: the limits.
        facts: of the model.
        predictions: one row a held-out row, with its `likeliest` and `confidence`.
    """
    frame = predictions.frame
    correct, confidence = (
        frame[name].to_numpy(dtype="float64") for name in ("likeliest", "confidence")
    )
    over = measure_overconfidence(facts.answers, facts.truth, facts.drawn)
    return Part(
        expectations=(
            *expect_present(
                FIGURES, {"calibration_error": CALIBRATION, "overconfidence_low": SURE}
            ),
            expect(
                MOST,
                FIGURES,
                CALIBRATION,
                column="calibration_error",
                min_value=0,
                max_value=gate.max_calibration_error,
                key=KEYS + "max_calibration_error",
            ),
            _expect_doubt(gate, SURE, "overconfidence_low", "stop"),
            _expect_doubt(gate, OVERCONFIDENCE, "overconfidence", "warn"),
        ),
        figures={
            "calibration_error": measure_calibration(confidence, correct),
            "overconfidence": over.value,
            "overconfidence_low": over.low,
        },
    )


def _expect_doubt(gate: ClassesGate, about: str, column: str, severity: Severity) -> Expectation:
    """Return an expectation that being less sure would save little."""
    return expect(
        MOST,
        FIGURES,
        about,
        column=column,
        max_value=gate.max_overconfidence,
        severity=severity,
        hint="its probabilities are too near 0 and 1: train with more label smoothing or fewer "
        "epochs",
        key=KEYS + "max_overconfidence",
    )


def measure_calibration(confidence: "Array", correct: "Array") -> float:
    """Return the expected calibration error over 15 equal bins (Guo et al., 2017).

    Args:
        confidence: (N,) probability of the answer, 0 to 1; the error is NaN if one is not finite.
        correct: (N,) 0 or 1.
    """
    import numpy as np

    if not np.isfinite(confidence).all():
        return float("nan")
    bins = np.clip((confidence * _BINS).astype(int), 0, _BINS - 1)
    gaps = np.bincount(bins, weights=confidence - correct, minlength=_BINS)
    return float(np.abs(gaps).sum() / len(correct))


def measure_overconfidence(probabilities: "Array", truth: "Array", blocks: "Array") -> Comparison:
    """Return the share of the log loss that the model would lose if it were less sure.

    The less sure self divides all log probabilities by a temperature of at least 1 (Guo et al.,
    2017). It is fitted on one half of the rows and measured on the other, both ways round, so that
    nothing is found where there is nothing.

    Args:
        probabilities: (N, K) of classes.
        truth: (N,) classes.
        blocks: (N,) blocks of rows, for the interval.
    """
    import numpy as np

    known = np.flatnonzero((truth >= 0) & (truth < probabilities.shape[1]))
    known = known[:: len(known) // _MOST_ROWS + 1]
    if len(known) < 2 or not np.isfinite(probabilities[known]).all():
        return make_unknown()
    logs = np.log(np.clip(probabilities[known], _LEAST_PROBABILITY, 1.0))
    labels = truth[known].astype(np.int64)
    half = np.random.default_rng(SEED).permutation(len(known)) % 2
    own = _lose(logs, labels, 1.0)
    tempered = np.empty_like(own)
    for side in (0, 1):
        learned, asked = half != side, half == side
        temperature = _fit_temperature(logs[learned], labels[learned])
        tempered[asked] = _lose(logs[asked], labels[asked], temperature)
    numbers = close_gaps(blocks[known])
    return compare_skill(leave_out(tempered, numbers), leave_out(own, numbers))


def _lose(logs: "Array", labels: "Array", temperature: float) -> "Array":
    """Return the log loss of each row, (N,) in nats."""
    import numpy as np
    from scipy.special import logsumexp

    scaled = logs / temperature
    lost: Array = logsumexp(scaled, axis=1) - scaled[np.arange(len(labels)), labels]
    return lost


def _fit_temperature(logs: "Array", labels: "Array") -> float:
    """Return the temperature from 1 to 20 at which the rows lose least."""
    import math

    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        lambda power: float(_lose(logs, labels, math.exp(power)).mean()),
        bounds=(0.0, math.log(20.0)),
        method="bounded",
    )
    return math.exp(float(found.x))
