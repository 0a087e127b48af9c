"""Candidate artifacts of one network, each measured against it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lightning_modules.errors import ExportError
from lightning_modules.export import export_onnx, run_onnx
from lightning_modules.learner import Learner
from lightning_modules.quantize import quantize_int8
from lightning_modules.specs import CompressSpec, SampleSpec

PARITY = 1e-4


@dataclass(frozen=True)
class Candidate:
    """One deployable file.

    Attributes:
        name: "fp32" or "int8".
        content: The ONNX file.
        difference: Largest difference of any probability from the network's, over the calibration rows.
        agreement: Fraction of those rows with the same label.
    """

    name: str
    content: bytes
    difference: float
    agreement: float


def make_artifacts(
    learner: Learner, sample: SampleSpec, spec: CompressSpec, *, calibration: NDArray[Any]
) -> Iterator[Candidate]:
    """Exports, then compresses; fp32 first, since the others are made from it.

    Args:
        learner: A trained one, on the CPU.
        sample: What its samples look like.
        spec: Which candidates.
        calibration: (N, C, H, W) raw training rows.

    Raises:
        ExportError: A candidate cannot be made, or fp32 does not answer as the network does, to 1e-4.
    """
    with torch.inference_mode():
        wanted = torch.softmax(learner.eval()(torch.from_numpy(calibration)), 1).numpy()
    fp32 = export_onnx(learner, sample)
    for name in sorted(spec.candidates):
        content = fp32 if name == "fp32" else quantize_int8(fp32, calibration)
        label, probabilities = run_onnx(content, calibration)
        difference = float(np.abs(probabilities - wanted).max())
        if name == "fp32" and not difference <= PARITY:
            raise ExportError(
                f"fp32 export must answer as the network does, to {PARITY}; got a difference of {difference:.3g}; "
                "use operations that export exactly"
            )
        yield Candidate(name, content, difference, float((label == wanted.argmax(1)).mean()))
