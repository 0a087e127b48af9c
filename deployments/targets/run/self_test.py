"""The self-test: a loaded model answers its golden samples as it did where it was made."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from deployments.targets.errors import BadArtifact
from deployments.targets.run.runtime import Array, Outputs, Predictor
from deployments.targets.trust.golden import Golden

SCALED_BY_THE_RUN = b"DynamicQuantize"
"""Begins the names of the operators that get a scale from all values of a run."""
SAME = 1e-4
"""Sums in another order differ by less than this fraction of an output's scale."""


def check_golden(predictor: Predictor, golden: Golden) -> None:
    """Ask a model for its golden samples, one by one, which warms it up as well.

    A label must be the same unless the two best probabilities are closer than the tolerance;
    other answers must be within the tolerance, as a fraction of the largest golden one.

    Raises:
        BadArtifact: It answers otherwise.
    """
    answers = predictor.predict(golden.input.read(), batch_size=1)
    expected = golden.read_outputs()
    for spec in predictor.outputs:
        name, wanted, got = spec.name, expected[spec.name], answers.arrays[spec.name]
        if got.shape != wanted.shape:
            raise _refuse(name, f"shape {wanted.shape}", f"{got.shape}")
        if spec.meaning == "label":
            ties = _find_ties(predictor.outputs, expected, golden.tolerance, wanted.shape)
            wrong = (got != wanted) & ~ties
        else:
            wrong = np.abs(_as_real(got) - _as_real(wanted)) > golden.tolerance * _scale(wanted)
        if wrong.any():
            raise _refuse(name, str(wanted[wrong].flat[0]), str(got[wrong].flat[0]))


def _refuse(name: str, wanted: str, got: str) -> BadArtifact:
    return BadArtifact(
        f"self-test ({name} of golden samples) must give {wanted}; got {got}; this machine does "
        "not answer as the one that made the model did: check its memory and its onnxruntime"
    )


def _find_ties(
    outputs: Outputs, expected: Mapping[str, Array], tolerance: float, shape: tuple[int, ...]
) -> NDArray[np.bool_]:
    """Tell of which samples the two best probabilities are closer than the tolerance."""
    for spec in outputs:
        values = expected[spec.name]
        if spec.meaning == "probabilities" and values.shape[:-1] == shape and values.shape[-1] > 1:
            best = np.sort(values, axis=-1)
            return np.asarray(best[..., -1] - best[..., -2] <= tolerance)
    return np.zeros(shape, dtype=np.bool_)


def _as_real(values: Array) -> NDArray[np.float64]:
    return values.astype(np.float64)


def _scale(wanted: Array) -> float:
    largest = float(np.abs(_as_real(wanted)).max(initial=0.0))
    return largest or 1.0


def answers_rows_alone(predictor: Predictor, data: bytes, golden: Golden) -> bool:
    """Tell whether a model answers each row of a run as if it were asked for that row alone.

    One whose 8-bit activations get their scale from all values of a run does not, and others may
    be built so; of such a model the rows of different askers must not run together.

    Args:
        predictor: The model, loaded.
        data: Its bytes.
        golden: Samples to ask it for, each alone and all together; of one sample, twice.
    """
    if SCALED_BY_THE_RUN in data:
        return False
    raw = golden.input.read()
    raw = np.concatenate([raw, raw]) if len(raw) == 1 else raw
    together, alone = predictor.predict(raw), predictor.predict(raw, batch_size=1)
    for spec in predictor.outputs:
        one, other = _as_real(alone.arrays[spec.name]), _as_real(together.arrays[spec.name])
        if one.shape != other.shape or (np.abs(one - other) > SAME * _scale(one)).any():
            return False
    return True
