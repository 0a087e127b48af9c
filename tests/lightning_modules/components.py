"""A user's own components, found by import path."""

import numpy as np
import torch
from torch import Tensor, nn


class OneLayer(nn.Module):
    def __init__(self, *, input_shape: tuple[int, ...], outputs: int, bias: bool = True) -> None:
        super().__init__()
        self.layer = nn.Linear(input_shape[1] * input_shape[2] * input_shape[0], outputs, bias=bias)

    def forward(self, image: Tensor) -> Tensor:
        return self.layer(image.flatten(1))


class TooManyOutputs(OneLayer):
    def __init__(self, *, input_shape: tuple[int, ...], outputs: int) -> None:
        super().__init__(input_shape=input_shape, outputs=outputs + 1)


def make_nothing(**_: object) -> None:
    return None


def squared_error(logits: Tensor, label: Tensor, scale: float = 1.0) -> Tensor:
    return (
        scale
        * (torch.softmax(logits, 1) - nn.functional.one_hot(label, logits.shape[1]))
        .square()
        .sum(1)
        .mean()
    )


def each_row(logits: Tensor, label: Tensor) -> Tensor:
    return logits[:, 0] * label


def plain_descent(parameters: object, lr: float) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=lr)  # type: ignore[arg-type]


def halving(
    optimizer: torch.optim.Optimizer, total_steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    return torch.optim.lr_scheduler.StepLR(optimizer, max(1, total_steps // 2), gamma=0.5)


NOT_CALLABLE = 3


class Twice(nn.Module):
    def __init__(self, sample: object, spec: object, times: float = 2.0) -> None:
        super().__init__()
        self.times = times

    def forward(self, raw: Tensor) -> Tensor:
        return (raw * self.times).to(torch.float32)


class TwiceAsFloat64(Twice):
    def forward(self, raw: Tensor) -> Tensor:
        return raw * self.times


class NoChange:
    def __init__(self, spec: object, seed: int) -> None:
        self.seed = seed

    def __call__(self, sample: Tensor, row_ids: object, *, epoch: int) -> Tensor:
        return sample


def share_of_ones(answers: object, truth: np.ndarray) -> float:
    return float(np.mean(truth == 1))


class RaisesInConstructor(nn.Module):
    def __init__(self, **_: object) -> None:
        raise RuntimeError("no licence found")


class RaisesInTraining(OneLayer):
    def forward(self, image: Tensor) -> Tensor:
        if self.training:
            raise KeyError("momentum")
        return super().forward(image)


class RaisesInStep(torch.optim.SGD):
    def step(self, closure: object = None) -> None:
        raise ZeroDivisionError("nothing to divide by")


class RaisesInSchedule(torch.optim.lr_scheduler.LambdaLR):
    def __init__(self, optimizer: torch.optim.Optimizer, total_steps: int) -> None:
        super().__init__(optimizer, lambda step: 1.0 / (1.0 - min(step, 1)))


class HalfAsMany(NoChange):
    def __call__(self, sample: Tensor, row_ids: object, *, epoch: int) -> Tensor:
        return sample[::2]


def without_gradient(logits: Tensor, label: Tensor) -> Tensor:
    return squared_error(logits.detach(), label)


def for_two_classes(logits: Tensor, label: Tensor) -> Tensor:
    if logits.shape[1] != 2:
        raise ValueError("two classes, please")
    return squared_error(logits, label)


def one_a_row(answers: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return answers.argmax(1) == truth
