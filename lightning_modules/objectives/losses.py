"""Losses of classes and of values, by name or by import path."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from lightning_modules.errors import SpecError
from lightning_modules.specs.components import load_component
from lightning_modules.specs.objectives import Classes, Values
from lightning_modules.specs.training import LossSpec

OF_CLASSES, OF_VALUES = Classes.losses, Values.losses
Loss = Callable[[Tensor, Tensor], Tensor]


class CrossEntropy(nn.Module):
    """Computes a cross-entropy whose class weights are no part of a checkpoint.

    Args:
        weight: (K,) weight of each class, or None.
        smoothing: Share of the truth that is spread over all classes.
        params: Further keyword arguments of `cross_entropy`.
    """

    weight: Tensor | None

    def __init__(self, weight: Tensor | None, smoothing: float, **params: Any) -> None:
        super().__init__()
        self.smoothing, self.params = smoothing, params
        self.register_buffer("weight", weight, persistent=False)

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        """Returns the mean loss of logits (N, K) and labels (N,), weighted by each row's class."""
        if self.weight is None:
            return nn.functional.cross_entropy(
                logits, label, label_smoothing=self.smoothing, **self.params
            )
        # Not torch's `weight`: that weighs what smoothing spreads by the other classes, so that the
        # rare ones, wherever weights are far apart, are asked for by every row of the common one.
        rows = nn.functional.cross_entropy(
            logits, label, label_smoothing=self.smoothing, **{**self.params, "reduction": "none"}
        )
        weights = self.weight[label]
        return (rows * weights).sum() / weights.sum()


class FocalLoss(nn.Module):
    """Computes a cross-entropy that minds little what is right already (Lin et al., 2017).

    Args:
        gamma: How little, >= 0; 0 is cross-entropy.
        weight: (K,) weight of each class, or None.
    """

    weight: Tensor | None

    def __init__(self, gamma: float, weight: Tensor | None = None) -> None:
        super().__init__()
        self.gamma = gamma
        self.register_buffer("weight", weight, persistent=False)

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        """Returns the mean loss of logits (N, K) and labels (N,)."""
        surprise = nn.functional.cross_entropy(logits, label, reduction="none")
        focused = (1.0 - torch.exp(-surprise)) ** self.gamma * surprise
        if self.weight is None:
            return focused.mean()
        weights = self.weight[label]
        return (focused * weights).sum() / weights.sum()


def build_class_loss(spec: LossSpec, class_weights: Sequence[float] = ()) -> Loss:
    """Returns a function of (logits (N, K), labels (N,)) whose result is the batch's mean loss.

    Args:
        spec: Which one.
        class_weights: Weight of each class where the classes are to be balanced.

    Raises:
        SpecError: A loss of values, an unknown name, or parameters that it refuses.
    """
    name = spec.name or "cross_entropy"
    weight = (
        torch.tensor(class_weights) if spec.class_weights == "balanced" and class_weights else None
    )
    if name == "cross_entropy":
        return CrossEntropy(weight, spec.label_smoothing, **spec.params)
    if name == "focal":
        return FocalLoss(spec.gamma, weight)
    if name in OF_VALUES:
        raise SpecError(
            f"loss ({name!r}) must be one of classes; got a loss of values; write one of "
            f"{', '.join(OF_CLASSES)}"
        )
    return _load_loss(
        spec,
        name,
        (torch.zeros(2, 2), torch.zeros(2, dtype=torch.int64)),
        "logits (N, K), labels (N,)",
    )


def build_value_loss(spec: LossSpec) -> Loss:
    """Returns a function of two tensors of one shape whose result is the batch's mean loss.

    The tensors are in standard deviations of the training rows.

    Raises:
        SpecError: A loss of classes, an unknown name, or parameters that it refuses.
    """
    name = spec.name or "mse"
    if name in OF_CLASSES:
        raise SpecError(
            f"loss ({name!r}) must be one of values; got a loss of classes; write one of "
            f"{', '.join(OF_VALUES)}"
        )
    if name == "huber":
        return nn.HuberLoss(delta=spec.delta)
    if name in OF_VALUES:
        return nn.MSELoss() if name == "mse" else nn.L1Loss()
    return _load_loss(
        spec, name, (torch.zeros(2, 3), torch.zeros(2, 3)), "two tensors of one shape"
    )


def _load_loss(spec: LossSpec, name: str, example: tuple[Tensor, Tensor], takes: str) -> Loss:
    component = load_component(name, what="loss", known={})

    def compute_loss(answer: Tensor, truth: Tensor) -> Tensor:
        return cast(Tensor, component(answer, truth, **spec.params))

    try:
        probe = compute_loss(*example)
        usable = isinstance(probe, Tensor) and probe.ndim == 0
    except Exception as error:
        raise SpecError(
            f"loss ({name!r}) must accept {takes} and {spec.params!r}; got {type(error).__name__}: "
            f"{error}; correct it"
        ) from error
    if not usable:
        raise SpecError(
            f"loss ({name!r}) must return a scalar tensor; got {probe!r}; return the batch's mean"
        )
    return compute_loss
