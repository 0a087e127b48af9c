"""To predict a number."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from lightning_modules.data.readers import SampleBatch
from lightning_modules.heads.registry import HEADS
from lightning_modules.objectives.base import Answer, Baseline, Batches, Floats, Objective
from lightning_modules.objectives.linear import add_one, fit_ridge, read_features
from lightning_modules.objectives.losses import build_value_loss
from lightning_modules.objectives.quantiles import QuantileAnswer
from lightning_modules.objectives.value_answer import ValueAnswer
from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.objectives import OBJECTIVES, Values
from lightning_modules.specs.samples import Sample
from lightning_modules.specs.training import LossSpec


class ValueObjective(Objective):
    """Predicts a number, better than the mean and a linear map do."""

    name = "values"

    @property
    def spec(self) -> Values:
        """What is said of it without torch."""
        spec = OBJECTIVES.find(self.name)
        if not isinstance(spec, Values):
            raise TypeError(f"objective ({self.name}) must be of values; got {type(spec).__name__}")
        return spec

    def build_answer(self, model: ModelSpec, sample: Sample, loss: LossSpec) -> Answer:
        """Returns the values."""
        (mean, std), standard = sample.scales, model.figures_in == "standard"
        if sample.quantiles:
            shape = self.spec.shape_value(sample)
            return QuantileAnswer(self.spec, sample.quantiles, shape, mean, std, standard=standard)
        return ValueAnswer(self.spec, build_value_loss(loss), mean, std, standard=standard)

    def make_truth(self, sample: Sample, rows: int, draw: np.random.Generator) -> Tensor:
        """Returns values (N,) or (N, H, T) float64 around the usual ones."""
        mean, std = (np.asarray(values) for values in sample.scales)
        asked = (rows, *self.spec.shape_value(sample))
        return torch.from_numpy(draw.standard_normal(asked) * std + mean)

    def fit_baselines(self, sample: Sample, train: Callable[[], Batches]) -> dict[str, Baseline]:
        """Returns the mean, and ridge regression where the form has features for it."""
        (mean,), _ = sample.scales
        baselines = {"mean": Baseline(lambda batch: np.full(len(batch.row_id), mean), reads=False)}
        if not HEADS.find(sample.form).has_features:
            return baselines
        weights = fit_ridge(sample, train())

        def answer(batch: SampleBatch) -> Floats:
            return np.asarray(add_one(read_features(sample, [batch])[0]) @ weights)

        return {**baselines, "linear": Baseline(answer)}
