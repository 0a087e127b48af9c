"""A linear probe: the features of a residual network as they come, and a linear map of them.

With weights that were learned elsewhere it is a strong baseline for some hundred pictures
(Kornblith et al., 2019); fresh, its features are those of random filters.
"""

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from lightning_modules.networks.fitted import FittedNetwork, regress_classes
from lightning_modules.networks.resnet import ResNet

STRENGTHS, FOLDS = (1.0, 0.1, 0.01, 0.001), 4
"""Inverse strengths of the penalty, the weakest first; folds that choose one of them."""
ASKED = 64


class LinearProbe(ResNet, FittedNetwork):
    """A residual network of which only the last layer is fitted, at once.

    Args:
        Those of `ResNet`.
    """

    takes_start: ClassVar[bool] = True

    def fit_rows(self, features: Tensor, wanted: Tensor, weight: Tensor) -> None:
        """Fits the last layer by logistic regression; its penalty is chosen on folds of the rows.

        Args:
            features: Images (N, C, H, W) behind the head.
            wanted: Labels (N,) int64.
            weight: (N,) what each row counts.
        """
        seen = torch.cat([self.embed(some) for some in torch.split(features, ASKED)]).double()
        level, scale = seen.mean(0), seen.std(0, correction=0)
        scale = torch.where(scale > 1e-9, scale, torch.ones_like(scale))
        rows = (seen - level) / scale
        strength = choose_strength(rows, wanted, weight)
        slopes, offsets = regress_classes(
            rows, wanted, weight, self.fc.out_features, strength=strength
        )
        slopes = slopes.double() / scale
        with torch.no_grad():
            self.fc.weight.copy_(slopes)
            self.fc.bias.copy_(offsets.double() - slopes @ level)


def choose_strength(rows: Tensor, wanted: Tensor, weight: Tensor) -> float:
    """Returns the inverse strength of the penalty with the least loss on rows that were left out.

    Args:
        rows: (N, D) in standard deviations.
        wanted: Labels (N,).
        weight: (N,) what each row counts.
    """
    order = torch.argsort(wanted, stable=True)
    folds = torch.empty_like(order)
    folds[order] = torch.arange(len(order)) % FOLDS
    classes = int(wanted.max()) + 1
    if len(rows) < 2 * FOLDS or np.bincount(wanted.numpy()).max() == len(wanted):
        return STRENGTHS[-1]
    losses = []
    for strength in STRENGTHS:
        loss = 0.0
        for fold in range(FOLDS):
            kept, left = folds != fold, folds == fold
            slopes, offsets = regress_classes(
                rows[kept], wanted[kept], weight[kept], classes, strength=strength
            )
            logits = rows[left] @ slopes.double().T + offsets.double()
            found = torch.nn.functional.cross_entropy(logits, wanted[left], reduction="none")
            loss += float((found * weight[left]).sum())
        losses.append(loss)
    return STRENGTHS[int(np.argmin(losses))]
