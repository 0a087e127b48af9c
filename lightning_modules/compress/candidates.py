"""Makes the candidate artifacts of one network, each measured against it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from lightning_modules.compress.rungs.base import Material, NotMade
from lightning_modules.compress.rungs.registry import RUNGS
from lightning_modules.errors import ExportError
from lightning_modules.specs.compress import CompressSpec
from lightning_modules.specs.forms import AnySample
from lightning_modules.specs.rungs import FP32, list_rungs
from lightning_modules.training.learner import Learner
from lightning_modules.training.tuning import Tuning

OnNotMade = Callable[[str, str], None]


@dataclass(frozen=True)
class Candidate:
    """One deployable file.

    Attributes:
        name: Its name in `specs.rungs.RUNGS`.
        content: The ONNX file.
        difference: Largest difference of any probability, score, or value (in standard deviations
            of the training rows) from the network's, over the calibration rows.
        agreement: Fraction of those rows with the same label, or of the values that are at most
            `TOLERANCE` apart.
    """

    name: str
    content: bytes
    difference: float
    agreement: float


def make_artifacts(
    learner: Learner,
    sample: AnySample,
    spec: CompressSpec,
    *,
    calibration: NDArray[Any],
    validation: NDArray[Any] | None = None,
    truth: NDArray[Any] | None = None,
    tuning: Tuning | None = None,
    on_not_made: OnNotMade | None = None,
) -> Iterator[Candidate]:
    """Makes what a recipe asks for, in the order of the table; fp32 first.

    Args:
        learner: A trained one, on the CPU.
        sample: What its samples look like.
        spec: Which candidates.
        calibration: (N, ...) raw training samples.
        validation: (M, ...) raw validation samples, by which one of several ways is chosen; None:
            the calibration rows.
        truth: (M, ...) what is true of those; None where nobody knows.
        tuning: Where and how long smaller networks are trained; None: none is.
        on_not_made: Called with the name of each that there is none of, and why.

    Raises:
        ExportError: fp32, from which all others are made, cannot be, or does not answer as the
            network does, to 1e-4. Of another candidate that is a reason for which there is none.
    """
    rows = calibration if validation is None else validation
    material = Material(learner, sample, spec, calibration, rows, tuning, truth)
    for name in sorted(spec.candidates, key=list_rungs().index):
        try:
            content = RUNGS.find(name).make(material)
            made = Candidate(name, content, *material.compare(content))
        except (NotMade, ExportError) as error:
            if name == FP32:
                raise
            if on_not_made is not None:
                on_not_made(name, str(error))
            continue
        yield made
