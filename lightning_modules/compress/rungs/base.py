"""What a rung of the ladder is, and what it is made from."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from numpy.typing import NDArray

from lightning_modules.compress.onnx_export import export_onnx, run_onnx
from lightning_modules.errors import ExportError
from lightning_modules.objectives.base import Answer
from lightning_modules.specs.compress import CompressSpec
from lightning_modules.specs.forms import AnySample
from lightning_modules.training.learner import Learner
from lightning_modules.training.tuning import Tuning

Array = NDArray[Any]
PARITY = 1e-4


class NotMade(Exception):
    """There is no such artifact of this network; the message says why."""


@dataclass(frozen=True)
class Material:
    """What artifacts are made from: one network, and rows of its data set.

    Attributes:
        learner: A trained one, on the CPU, that only answers.
        sample: What its samples look like.
        spec: What the recipe asks for.
        calibration: (N, ...) raw training samples, N >= 1.
        validation: (M, ...) raw samples by which one of several ways is chosen, M >= 1.
        tuning: Where and how long smaller networks are trained; None: none is.
        truth: (M, ...) what is true of the validation samples; None where nobody knows.
        tuned: Networks that were trained already, by the artifact that they were trained for.
    """

    learner: Learner
    sample: AnySample
    spec: CompressSpec
    calibration: Array
    validation: Array
    tuning: Tuning | None = None
    truth: Array | None = None
    tuned: dict[str, "Material | str"] = field(default_factory=dict)

    @cached_property
    def fp32(self) -> bytes:
        """The network as an ONNX file in float32.

        Raises:
            ExportError: It cannot be exported, or does not answer as the network does, to 1e-4.
        """
        content = export_onnx(self.learner, self.sample)
        difference, _ = self.compare(content)
        if not difference <= PARITY:
            raise ExportError(
                f"fp32 export must answer as the network does, to {PARITY}; got a difference of "
                f"{difference:.3g}; use operations that export exactly"
            )
        return content

    def compare(self, content: bytes) -> tuple[float, float]:
        """Returns the largest difference of an artifact's answers to the calibration rows.

        The share that agrees stands beside it.
        """
        found = run_onnx(content, self.calibration)
        return compare_answers(self.learner.answer, found, self._calibrated)

    def measure_loss(self, content: bytes) -> float:
        """Returns the loss of an artifact's answers to the validation rows.

        Where nobody knows the truth, it is how far they are from the network's, on average;
        infinite where an answer is no number.
        """
        found, answer = (
            torch.from_numpy(run_onnx(content, self.validation)[-1]),
            self.learner.answer,
        )
        if self.truth is not None:
            loss = answer.measure_loss(found, torch.from_numpy(self.truth))
            if loss is not None:
                return math.inf if math.isnan(loss) else loss
        apart = answer.compute_difference(found, torch.from_numpy(self._validated[-1]))
        distance = float(apart.double().mean())
        return math.inf if math.isnan(distance) else distance

    @cached_property
    def _calibrated(self) -> tuple[Array, ...]:
        return self._answer(self.calibration)

    @cached_property
    def _validated(self) -> tuple[Array, ...]:
        return self._answer(self.validation)

    def _answer(self, rows: Array) -> tuple[Array, ...]:
        """Returns what the network answers to raw samples."""
        with torch.inference_mode():
            answers = self.learner.eval().answer_samples(torch.from_numpy(rows))
        return tuple(part.numpy() for part in answers)


class Rung(ABC):
    """One way to make an artifact.

    Attributes:
        name: Its name in `specs.rungs.RUNGS`.
    """

    name: str

    @abstractmethod
    def make(self, material: Material) -> bytes:
        """Returns the artifact, an ONNX file; equal material gives equal bytes.

        Raises:
            NotMade: There is none of this network.
            ExportError: It should be there, and cannot be made.
        """


def compare_answers(
    answer: Answer, found: tuple[Array, ...], wanted: tuple[Array, ...]
) -> tuple[float, float]:
    """Returns the largest difference of two answers to the same rows, and how many agree.

    Of quantiles each is compared, as the last output is.
    """
    pair = [tuple(torch.from_numpy(part) for part in answers) for answers in (found, wanted)]
    compared = [*range(len(answer.bands)), -1]
    apart = [answer.compute_difference(*(part[place] for part in pair)).max() for place in compared]
    return float(max(apart)), float(answer.find_agreeing(*pair).numpy().mean())
