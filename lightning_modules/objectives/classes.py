"""To tell classes apart."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from lightning_modules.data.readers import SampleBatch
from lightning_modules.heads.registry import HEADS
from lightning_modules.objectives.base import Answer, Baseline, Batches, Floats, Judged, Objective
from lightning_modules.objectives.linear import MOST_ROWS, read_features
from lightning_modules.objectives.losses import Loss, build_class_loss
from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.objectives import ObjectiveSpec
from lightning_modules.specs.samples import Sample
from lightning_modules.specs.training import LossSpec


class ClassAnswer(Answer):
    """Turns logits (N, K) into the label and the probabilities.

    Args:
        spec: The objective.
        loss: What is minimised.
    """

    def __init__(self, spec: ObjectiveSpec, loss: Loss) -> None:
        super().__init__(spec)
        self.loss = loss

    def forward(self, output: Tensor, features: Tensor) -> tuple[Tensor, ...]:
        """Returns the label (N,) int64 and probabilities (N, K) float32."""
        del features
        return output.argmax(1), torch.softmax(output, 1)

    def judge(self, output: Tensor, features: Tensor, truth: Tensor) -> Judged:
        """Returns the loss, the rows answered right, and the rows."""
        del features
        return self.loss(output, truth), (output.detach().argmax(1) == truth).sum(), len(truth)

    def find_agreeing(self, found: tuple[Tensor, ...], wanted: tuple[Tensor, ...]) -> Tensor:
        """Returns where the labels are the same."""
        return found[0] == wanted[0]


class ClassObjective(Objective):
    """Tells classes apart, better than the commonest one and a linear map do."""

    name = "classes"

    def build_answer(self, model: ModelSpec, sample: Sample, loss: LossSpec) -> Answer:
        """Returns label and probabilities."""
        del model
        return ClassAnswer(self.spec, build_class_loss(loss, sample.class_weights))

    def make_truth(self, sample: Sample, rows: int, draw: np.random.Generator) -> Tensor:
        """Returns labels (N,) of every class in turn."""
        del draw
        return torch.arange(rows) % sample.classes

    def fit_baselines(self, sample: Sample, train: Callable[[], Batches]) -> dict[str, Baseline]:
        """Returns the majority, and logistic regression where the form has features for it."""
        baselines = fit_majority(sample.classes, sample.class_weights)
        if not HEADS.find(sample.form).has_features:
            return baselines
        return {**baselines, **fit_logistic(sample, train)}


def fit_majority(classes: int, class_weights: Sequence[float]) -> dict[str, Baseline]:
    """Gives every row the shares of the classes among the training rows, which weights tell."""
    if not class_weights:
        return {}
    shares = np.array([1.0 / (classes * weight) if weight else 0.0 for weight in class_weights])

    def answer(batch: SampleBatch) -> Floats:
        return np.repeat(shares[None], len(batch.row_id), axis=0)

    return {"majority": Baseline(answer, reads=False)}


def fit_logistic(sample: Sample, train: Callable[[], Batches]) -> dict[str, Baseline]:
    """Fits logistic regression on normalised features; nothing where one class alone occurs."""
    from sklearn.linear_model import LogisticRegression

    features, truth = read_features(sample, train(), MOST_ROWS)
    if len(np.unique(truth)) < 2:
        return {}
    model = LogisticRegression(max_iter=1000).fit(features, truth)
    places = model.classes_.astype(np.int64)

    def answer(batch: SampleBatch) -> Floats:
        probabilities = np.zeros((len(batch.row_id), sample.classes))
        probabilities[:, places] = model.predict_proba(read_features(sample, [batch])[0])
        return probabilities

    return {"linear": Baseline(answer)}
