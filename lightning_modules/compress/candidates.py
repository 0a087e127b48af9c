"""Makes the candidate artifacts of one network, each measured against it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray

from lightning_modules.compress.onnx_export import export_onnx, run_onnx
from lightning_modules.compress.quantize import quantize_int8
from lightning_modules.errors import ExportError
from lightning_modules.objectives.base import Answer
from lightning_modules.specs.compress import CompressSpec
from lightning_modules.specs.forms import AnySample
from lightning_modules.training.learner import Learner

PARITY = 1e-4


@dataclass(frozen=True)
class Candidate:
    """One deployable file.

    Attributes:
        name: "fp32" or "int8".
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
    learner: Learner, sample: AnySample, spec: CompressSpec, *, calibration: NDArray[Any]
) -> Iterator[Candidate]:
    """Exports, then compresses; fp32 first, since the others are made from it.

    A network without weights has no int8.

    Args:
        learner: A trained one, on the CPU.
        sample: What its samples look like.
        spec: Which candidates.
        calibration: (N, ...) raw training samples.

    Raises:
        ExportError: A candidate cannot be made, or fp32 does not answer as the network does, to
            1e-4.
    """
    with torch.inference_mode():
        wanted = tuple(
            part.numpy() for part in learner.eval().answer_samples(torch.from_numpy(calibration))
        )
    fp32 = export_onnx(learner, sample)
    for name in sorted(spec.candidates):
        content = fp32 if name == "fp32" else quantize_int8(fp32, calibration)
        if content is None:
            continue
        difference, agreement = compare_answers(
            learner.answer, run_onnx(content, calibration), wanted
        )
        if name == "fp32" and not difference <= PARITY:
            raise ExportError(
                f"fp32 export must answer as the network does, to {PARITY}; got a difference of "
                f"{difference:.3g}; use operations that export exactly"
            )
        yield Candidate(name, content, difference, agreement)


def compare_answers(
    answer: Answer, found: tuple[NDArray[Any], ...], wanted: tuple[NDArray[Any], ...]
) -> tuple[float, float]:
    """Returns the largest difference of two answers to the same rows, and how many agree.

    Of quantiles each is compared, as the last output is.
    """
    pair = [tuple(torch.from_numpy(part) for part in answers) for answers in (found, wanted)]
    compared = [*range(len(answer.bands)), -1]
    apart = [answer.compute_difference(*(part[place] for part in pair)).max() for place in compared]
    return float(max(apart)), float(answer.find_agreeing(*pair).numpy().mean())
