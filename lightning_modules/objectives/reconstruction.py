"""To give back what is normal, so that what is not shows."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from lightning_modules.data.readers import SampleBatch
from lightning_modules.errors import SpecError
from lightning_modules.heads.registry import HEADS
from lightning_modules.networks.fitted import LEAST_DEVIATION
from lightning_modules.objectives.base import Answer, Baseline, Batches, Floats, Judged, Objective
from lightning_modules.objectives.linear import draw_rows, read_features
from lightning_modules.objectives.losses import Loss, build_value_loss
from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.objectives import ObjectiveSpec
from lightning_modules.specs.samples import Sample
from lightning_modules.specs.training import LossSpec

NEIGHBOURS, TREES, MOST_NORMAL = 5, 100, 5_000


class ReconstructionAnswer(Answer):
    """Says how badly a sample was given back, and whether that is more than normal rows show.

    Args:
        spec: The objective.
        loss: What is minimised.
        quantile: Share of the normal validation rows that lie below the threshold, in (0, 1).

    Attributes:
        threshold: Buffer () float32: scores above it are anomalies.
    """

    threshold: Tensor

    def __init__(self, spec: ObjectiveSpec, loss: Loss, quantile: float) -> None:
        super().__init__(spec)
        self.loss = loss
        self.quantile = quantile
        self.register_buffer("threshold", torch.tensor(float("inf")))

    def forward(self, output: Tensor, features: Tensor) -> tuple[Tensor, ...]:
        """Returns the label (N,) int64, 1 for an anomaly, and the score (N,), a squared error."""
        score = (output - features).square().flatten(1).mean(1)
        return (score > self.threshold).to(torch.int64), score

    def judge(self, output: Tensor, features: Tensor, truth: Tensor) -> Judged:
        """Returns loss and absolute error over the normal rows, which alone are learned from."""
        normal = (truth == 0).reshape(-1, *[1] * (output.ndim - 1))
        wanted = torch.where(normal, features, output.detach())
        count = normal.sum().clamp(min=1)
        error = (output.detach() - wanted).abs().flatten(1).mean(1).sum() / count
        return self.loss(output, wanted) * (len(truth) / count), error * len(truth), len(truth)

    fits = True

    def collect(self, output: Tensor, features: Tensor, truth: Tensor) -> Tensor:
        """Returns the scores of the normal rows."""
        return self.forward(output, features)[-1][truth == 0]

    def fit(self, collected: Tensor) -> None:
        """Sets the score that so many normal rows stay below."""
        if not len(collected):
            raise SpecError(
                "validation split must hold normal rows to fit the threshold on; got none; change "
                "data.split or the first of data.labels, which is what is normal"
            )
        self.threshold.fill_(float(collected.double().quantile(self.quantile)))

    def find_agreeing(self, found: tuple[Tensor, ...], wanted: tuple[Tensor, ...]) -> Tensor:
        """Returns where the labels are the same."""
        return found[0] == wanted[0]


class ReconstructionObjective(Objective):
    """Finds what is not normal, better than distances, neighbours and a forest do."""

    name = "reconstruction"

    def build_answer(self, model: ModelSpec, sample: Sample, loss: LossSpec) -> Answer:
        """Returns label and score."""
        del sample
        return ReconstructionAnswer(self.spec, build_value_loss(loss), model.anomaly_quantile)

    def make_truth(self, sample: Sample, rows: int, draw: np.random.Generator) -> Tensor:
        """Returns labels (N,), normal and not in turn."""
        del sample, draw
        return torch.arange(rows) % 2

    def fit_baselines(self, sample: Sample, train: Callable[[], Batches]) -> dict[str, Baseline]:
        """Returns the distance from the mean, from the nearest neighbours, and a forest's score.

        All three know normal training rows alone.
        """
        if not HEADS.find(sample.form).has_features:
            return {}
        normal = draw_rows(sample, map(_keep_normal, train()), MOST_NORMAL).features

        mean, deviation = normal.mean(0), normal.std(0)
        deviation = np.where(deviation > LEAST_DEVIATION, deviation, 1.0)

        def measure_distance(batch: SampleBatch) -> Floats:
            features = read_features(sample, [batch])[0]
            return np.asarray(np.square((features - mean) / deviation).mean(1))

        return {
            "distance": Baseline(measure_distance),
            "nearest neighbours": Baseline(_find_neighbours(sample, normal)),
            "isolation forest": Baseline(_grow_forest(sample, normal)),
        }


def _keep_normal(batch: SampleBatch) -> SampleBatch:
    return SampleBatch(*(part[batch.truth == 0] for part in batch))


def _find_neighbours(sample: Sample, normal: Floats) -> Callable[[SampleBatch], Floats]:
    """Scores rows by their mean distance from the nearest normal ones (Ramaswamy et al., 2000)."""
    from sklearn.neighbors import NearestNeighbors

    known = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(normal))).fit(normal)

    def answer(batch: SampleBatch) -> Floats:
        distances, _ = known.kneighbors(read_features(sample, [batch])[0])
        return np.asarray(distances.mean(1))

    return answer


def _grow_forest(sample: Sample, normal: Floats) -> Callable[[SampleBatch], Floats]:
    """Scores rows by how few cuts set them apart (Liu, Ting and Zhou, 2008)."""
    from sklearn.ensemble import IsolationForest

    forest = IsolationForest(n_estimators=TREES, random_state=0).fit(normal)

    def answer(batch: SampleBatch) -> Floats:
        return np.asarray(-forest.score_samples(read_features(sample, [batch])[0]))

    return answer
