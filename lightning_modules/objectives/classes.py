"""To tell classes apart."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lightning_modules.data.readers import SampleBatch
from lightning_modules.heads.registry import HEADS
from lightning_modules.objectives.base import Answer, Baseline, Batches, Floats, Judged, Objective
from lightning_modules.objectives.linear import Drawn, draw_rows, read_features
from lightning_modules.objectives.losses import Loss, build_class_loss
from lightning_modules.objectives.threshold import choose_threshold
from lightning_modules.specs.forms import AnySample
from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.objectives import ObjectiveSpec
from lightning_modules.specs.samples import Sample
from lightning_modules.specs.threshold import ThresholdSpec
from lightning_modules.specs.training import LossSpec

LINEAR_STEPS = 50, 1000
SOFTNESS = 2.0
"""By which logits are divided where a network imitates another."""
LEAST_PROBABILITY = 1e-12
"""What a class that an artifact rules out counts as in its loss: one row must not outweigh all."""
MOST_WORK = 2_000_000_000  # numbers times classes times steps: a few seconds
NEIGHBOURS, MOST_KNOWN, MOST_COMPARED = 5, 10_000, 4_000_000


class ClassAnswer(Answer):
    """Turns logits (N, K) into the label and the probabilities.

    Args:
        spec: The objective.
        loss: What is minimised.
        sample: Its positive class, and the threshold from which on that is answered.
        threshold: How such a threshold is chosen; None where none is.
    """

    def __init__(
        self, spec: ObjectiveSpec, loss: Loss, sample: Sample, threshold: ThresholdSpec | None
    ) -> None:
        super().__init__(spec)
        self.loss = loss
        self.positive = sample.positive
        self.threshold = sample.threshold
        self.wanted = threshold
        self.fits = threshold is not None

    def forward(self, output: Tensor, features: Tensor) -> tuple[Tensor, ...]:
        """Returns the label (N,) int64 and probabilities (N, K) float32."""
        del features
        probabilities = torch.softmax(output, 1)
        return self._decide(output, probabilities), probabilities

    def _decide(self, output: Tensor, probabilities: Tensor) -> Tensor:
        if self.threshold is None:
            return output.argmax(1)
        found = (probabilities[:, self.positive] >= self.threshold).to(torch.int64)
        return found if self.positive else 1 - found

    def judge(self, output: Tensor, features: Tensor, truth: Tensor) -> Judged:
        """Returns the loss, the rows answered right, and the rows."""
        del features
        given = output.detach()
        label = self._decide(given, torch.softmax(given, 1))
        return self.loss(output, truth), (label == truth).sum(), len(truth)

    def imitate(self, output: Tensor, wanted: Tensor) -> Tensor:
        """Returns the divergence of softened probabilities (Hinton et al., 2015)."""
        soft, goal = (torch.log_softmax(part / SOFTNESS, 1) for part in (output, wanted))
        apart = torch.nn.functional.kl_div(soft, goal, reduction="batchmean", log_target=True)
        return apart * SOFTNESS**2

    def collect(self, output: Tensor, features: Tensor, truth: Tensor) -> Tensor:
        """Returns the positive class's probability, and whether it is the truth, (N, 2)."""
        probabilities = self.forward(output, features)[-1][:, self.positive]
        return torch.stack([probabilities.double(), (truth == self.positive).double()], 1)

    def fit(self, collected: Tensor) -> None:
        """Sets the threshold by which wrong answers cost least, or enough is found."""
        if self.wanted is not None:
            scores, positive = collected.numpy().T
            self.threshold = choose_threshold(scores, positive > 0, self.wanted)

    def cut(self, values: Floats, truth: NDArray[Any]) -> float | None:
        """Returns the threshold of a baseline's probabilities (N, K), if one is to be chosen."""
        if self.wanted is None:
            return None
        scores = np.asarray(values[:, self.positive], np.float32).astype(np.float64)
        return choose_threshold(scores, truth == self.positive, self.wanted)

    def settle(self, sample: AnySample) -> AnySample:
        """Returns the sample with the threshold."""
        return sample.model_copy(update={"threshold": self.threshold})

    def measure_loss(self, found: Tensor, truth: Tensor) -> float | None:
        """Returns the mean negative logarithm of the true class's probability."""
        given = found.double().gather(1, truth[:, None])
        return float(-given.clamp(min=LEAST_PROBABILITY).log().mean())

    def find_agreeing(self, found: tuple[Tensor, ...], wanted: tuple[Tensor, ...]) -> Tensor:
        """Returns where the labels are the same."""
        return found[0] == wanted[0]


class ClassObjective(Objective):
    """Tells classes apart, better than the commonest one, a linear map and neighbours do."""

    name = "classes"

    def build_answer(self, model: ModelSpec, sample: Sample, loss: LossSpec) -> Answer:
        """Returns label and probabilities."""
        classes_loss = build_class_loss(loss, sample.class_weights)
        return ClassAnswer(self.spec, classes_loss, sample, model.threshold)

    def make_truth(self, sample: Sample, rows: int, draw: np.random.Generator) -> Tensor:
        """Returns labels (N,) of every class in turn."""
        del draw
        return torch.arange(rows) % sample.classes

    def fit_baselines(self, sample: Sample, train: Callable[[], Batches]) -> dict[str, Baseline]:
        """Returns the majority, logistic regression where the form has features, and neighbours.

        Those only where rows that lie near each other by these features look alike.
        """
        baselines, head = fit_majority(sample, train), HEADS.find(sample.form)
        if not head.has_features:
            return baselines
        rows = draw_rows(sample, train())
        baselines["linear"] = fit_logistic(sample, rows)
        if head.compares_neighbours:
            baselines["nearest neighbours"] = fit_neighbours(sample, rows)
        return baselines


def fit_majority(sample: Sample, train: Callable[[], Batches]) -> dict[str, Baseline]:
    """Gives every row the shares of the classes among the training rows, which weights tell."""
    weights = sample.class_weights
    if weights:
        shares = np.array([1.0 / (len(weights) * weight) if weight else 0.0 for weight in weights])
    else:
        counts = sum(np.bincount(batch.truth, minlength=sample.classes) for batch in train())
        shares = np.asarray(counts / np.sum(counts))

    def answer(batch: SampleBatch) -> Floats:
        return np.repeat(shares[None], len(batch.row_id), axis=0)

    return {"majority": Baseline(answer, reads=False)}


def fit_logistic(sample: Sample, rows: Drawn) -> Baseline:
    """Fits logistic regression on normalised features of rows drawn evenly from all there are.

    Where the training rows hold one class alone, that class is what a linear map can know.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    places = np.unique(rows.truth)
    if len(places) < 2:
        only = np.eye(sample.classes)[places[0]]
        return Baseline(lambda batch: np.repeat(only[None], len(batch.row_id), axis=0))
    steps = np.clip(MOST_WORK // (rows.features.size * len(places)), *LINEAR_STEPS)
    model = LogisticRegression(max_iter=int(steps))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(rows.features, rows.truth, sample_weight=rows.weight)
    return Baseline(_answer_by(sample, model.predict_proba, places))


def fit_neighbours(sample: Sample, rows: Drawn) -> Baseline:
    """Gives every row the shares of the classes among the nearest of the drawn rows.

    A class that is not among them has a little of it (Laplace's rule), for none is impossible.
    """
    from sklearn.neighbors import KNeighborsClassifier

    most = min(MOST_KNOWN, MOST_COMPARED // rows.features.shape[1])
    # Rows of a class follow each other, so every second or third keeps the classes' shares.
    places = slice(None, None, -(-len(rows.truth) // most))
    known, truth = rows.features[places].astype(np.float32), rows.truth[places]
    count = min(NEIGHBOURS, len(truth))
    model = KNeighborsClassifier(n_neighbors=count, algorithm="brute").fit(known, truth)

    def share(features: Floats) -> Floats:
        shares = count * model.predict_proba(features.astype(np.float32))
        return np.asarray((shares + 1 / sample.classes) / (count + 1))

    return Baseline(_answer_by(sample, share, np.unique(truth)))


def _answer_by(
    sample: Sample, ask: Callable[[Floats], Floats], places: NDArray[Any]
) -> Callable[[SampleBatch], Floats]:
    """Returns answers of what knows the classes at these places alone."""

    def answer(batch: SampleBatch) -> Floats:
        probabilities = np.zeros((len(batch.row_id), sample.classes))
        probabilities[:, places] = ask(read_features(sample, [batch])[0])
        return np.asarray(probabilities / probabilities.sum(axis=1, keepdims=True))

    return answer
