"""What an objective does with torch: the answer that is exported, and what it must beat."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from lightning_modules.data.readers import SampleBatch
from lightning_modules.specs.forms import AnySample
from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.objectives import OBJECTIVES as SPECS
from lightning_modules.specs.objectives import ObjectiveSpec
from lightning_modules.specs.samples import Sample
from lightning_modules.specs.training import LossSpec

Judged = tuple[Tensor, Tensor, int]
Floats = NDArray[np.float64]
Batches = Iterable[SampleBatch]
LEAST_ROWS = 8
TOLERANCE = 0.05
"""How far two values may be apart to agree, in standard deviations of the training rows."""


class Answer(nn.Module, ABC):
    """Base of all answers: what a network's output means; fitted values are its buffers.

    Args:
        spec: The objective that it answers.
    """

    def __init__(self, spec: ObjectiveSpec) -> None:
        super().__init__()
        self.spec = spec

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the exported outputs, in order; figures are computed from the last."""
        return tuple(self.spec.outputs)

    @property
    def bands(self) -> tuple[float, ...]:
        """Quantiles that the outputs before the last one are, in their order."""
        return ()

    @abstractmethod
    def forward(self, output: Tensor, features: Tensor) -> tuple[Tensor, ...]:
        """Returns the exported outputs of a batch.

        Args:
            output: What the network gives.
            features: What the head gives.
        """

    def aim(self, truth: Tensor) -> Tensor:
        """Returns what a network should give for a truth; values in standard deviations."""
        return truth

    @abstractmethod
    def judge(self, output: Tensor, features: Tensor, truth: Tensor) -> Judged:
        """Returns the mean loss of a batch, its watched figure summed over the rows, the rows."""

    def imitate(self, output: Tensor, wanted: Tensor) -> Tensor:
        """Returns how far an output is from another network's, as a loss; here their squares."""
        return (output - wanted).square().mean()

    fits: bool = False
    """Whether something of it is fitted on the validation rows."""

    def collect(self, output: Tensor, features: Tensor, truth: Tensor) -> Tensor:
        """Returns what `fit` needs of some validation rows, (M, ...) with at most a row of each."""
        del features, truth
        return output[:0]

    def fit(self, collected: Tensor) -> None:
        """Sets what is fitted on the validation rows, from what was collected of them.

        Raises:
            SpecError: There are too few of them.
        """

    def cut(self, values: Floats, truth: NDArray[Any]) -> float | None:
        """Returns the threshold that is chosen for other answers to validation rows as for these.

        None where none is.

        Args:
            values: What a baseline answers, (N, ...).
            truth: The truths (N, ...).
        """
        del values, truth
        return None

    def settle(self, sample: AnySample) -> AnySample:
        """Returns the sample with what was fitted that figures are measured by."""
        return sample

    def compute_difference(self, found: Tensor, wanted: Tensor) -> Tensor:
        """Returns how far two last outputs are apart, value by value, where 1 is much."""
        return (found - wanted).abs()

    def measure_loss(self, found: Tensor, truth: Tensor) -> float | None:
        """Returns the mean loss of last outputs, as artifacts give them; None where it has none.

        Args:
            found: (N, ...) the last output.
            truth: (N, ...) the truths, NaN where there is none.
        """
        del found, truth
        return None

    def find_agreeing(self, found: tuple[Tensor, ...], wanted: tuple[Tensor, ...]) -> Tensor:
        """Returns which of two answers to the same rows agree, as booleans."""
        return self.compute_difference(found[-1], wanted[-1]) <= TOLERANCE


@dataclass(frozen=True)
class Baseline:
    """One baseline: what a model must answer better than.

    Attributes:
        answer: From some rows to probabilities (N, K), scores (N,), or values in the user's units.
        reads: Whether it looks at the samples, or only at how many there are.
        sample: What it looks at, where that is more than the network does; None for the same.
    """

    answer: Callable[[SampleBatch], Floats]
    reads: bool = True
    sample: Sample | None = None


class Objective(ABC):
    """Base of the rows of `objectives.registry.OBJECTIVES`.

    Attributes:
        name: Name of its row, here and in `specs.objectives.OBJECTIVES`.
    """

    name: str

    @property
    def spec(self) -> ObjectiveSpec:
        """What is said of it without torch."""
        return SPECS.find(self.name)

    @abstractmethod
    def build_answer(self, model: ModelSpec, sample: Sample, loss: LossSpec) -> Answer:
        """Returns the answer to samples.

        Raises:
            SpecError: The loss does not suit it, or cannot be built.
        """

    def default_loss(self) -> LossSpec:
        """Returns the loss of a network that only answers: never a user's own."""
        return LossSpec(name=self.spec.losses[0], label_smoothing=0.0)

    @abstractmethod
    def make_truth(self, sample: Sample, rows: int, draw: np.random.Generator) -> Tensor:
        """Returns made-up truths of so many rows, for dry runs."""

    def count_rows(self, sample: Sample) -> int:
        """Returns how many made-up rows a dry run needs."""
        return max(LEAST_ROWS, 2 * sample.classes)

    def fit_baselines(self, sample: Sample, train: Callable[[], Batches]) -> dict[str, Baseline]:
        """Returns every baseline by its name, fitted once on training rows.

        Args:
            sample: What a sample is.
            train: Opens the training rows, if they are needed.
        """
        del sample, train
        return {}


def answer_baselines(
    baselines: Mapping[str, Baseline], row_id: NDArray[np.uint64], rows: Callable[[], Batches]
) -> dict[str, NDArray[np.float32]]:
    """Returns what each baseline answers to the same rows, ordered by row id.

    Args:
        baselines: Fitted ones.
        row_id: (N,) ids of the rows.
        rows: Opens the rows, if a baseline looks at them.
    """
    parts: dict[str, list[NDArray[np.float32]]] = {name: [] for name in baselines}
    reads = any(baseline.reads for baseline in baselines.values())
    ids = []
    for batch in rows() if reads else [SampleBatch(row_id, row_id, row_id)]:
        ids.append(batch.row_id)
        for name, baseline in baselines.items():
            parts[name].append(baseline.answer(batch).astype(np.float32))
    order = np.argsort(np.concatenate(ids) if ids else np.empty(0), kind="stable")
    return {name: np.concatenate(found)[order] for name, found in parts.items() if found}


def answer_some(
    baseline: Baseline, row_id: NDArray[np.uint64], rows: Batches, otherwise: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Returns what a baseline answers to rows of which it can be asked only some.

    Args:
        baseline: A fitted one.
        row_id: (N,) ids of the rows, ascending.
        rows: Those that it can be asked, with others.
        otherwise: (N, ...) what is answered to the rest.
    """
    found = otherwise.copy()
    for batch in rows if len(row_id) else ():
        places = np.minimum(np.searchsorted(row_id, batch.row_id), len(row_id) - 1)
        asked = row_id[places] == batch.row_id
        found[places[asked]] = baseline.answer(batch)[asked]
    return found
