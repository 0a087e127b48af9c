"""Muon (Jordan et al., 2024): the momentum of a matrix is made orthogonal before it is stepped by.

Every direction that the gradients of some steps agree on then counts alike, not only the few that
are large. On the same epochs it takes convolutional networks further than momentum alone.
`torch.optim.Muon` takes matrices only; kernels of convolutions and everything beside them are taken
here, too.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.optim import Optimizer

# Of the quintic (Jordan et al., 2024) that takes singular values from 0.01 on into [0.40, 1.21] in
# three repetitions, and into [0.68, 1.21] in four (computed).
QUINTIC = (3.4445, -4.7750, 2.0315)


def find_hidden(module: nn.Module) -> list[Tensor]:
    """Finds the trained kernels and matrices of a network.

    Those of the last layer are none: their rows are answers.
    """
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Linear | _ConvNd)]
    return [layer.weight for layer in layers[:-1] if layer.weight.requires_grad]


def orthogonalise(matrix: Tensor, steps: int) -> Tensor:
    """Returns the nearest matrix whose singular values are about one (Newton and Schulz).

    Args:
        matrix: (M, N) float32.
        steps: Of the iteration.
    """
    first, second, third = QUINTIC
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    wide = wide / (wide.norm() + 1e-7)
    for _ in range(steps):
        square = wide @ wide.T
        wide = torch.addmm(
            wide, torch.addmm(square, square, square, beta=second, alpha=third), wide, beta=first
        )
    return wide if matrix.shape[0] <= matrix.shape[1] else wide.T


class Muon(Optimizer):
    """Steps groups that say `hidden: True` orthogonally, all others as Adam does.

    Adam is by Kingma and Ba (2015).

    Args:
        groups: Groups of parameters; those of `hidden` ones have two dimensions or more, the first
            being the outputs.
        lr: Largest singular value of a step, about, of a hidden matrix of at least as many inputs
            as outputs.
        momentum: Of hidden matrices, after Nesterov.
        betas: Of Adam.
        newton_schulz_steps: How often the iteration is repeated.

    Raises:
        ValueError: A value is out of its range.
    """

    def __init__(
        self,
        groups: Any,
        lr: float,
        *,
        momentum: float = 0.9,
        betas: tuple[float, float] = (0.9, 0.95),
        weight_decay: float = 0.0,
        newton_schulz_steps: int = 3,
    ) -> None:
        if (
            not 0 <= momentum < 1
            or not 0 <= min(betas) <= max(betas) < 1
            or newton_schulz_steps < 1
        ):
            raise ValueError(
                "momentum and betas must lie in [0, 1), newton_schulz_steps be at least 1; got "
                f"{momentum}, {betas} and {newton_schulz_steps}"
            )
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "betas": tuple(betas),
            "weight_decay": weight_decay,
            "newton_schulz_steps": newton_schulz_steps,
            "hidden": False,
        }
        super().__init__(groups, defaults)

    @torch.no_grad()
    def step(  # type: ignore[override]
        self, closure: Callable[[], float] | None = None
    ) -> float | None:
        """Steps all parameters that have a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    move = self._move_hidden if group["hidden"] else self._move_other
                    parameter.mul_(1.0 - group["lr"] * group["weight_decay"])
                    move(parameter, parameter.grad, self.state[parameter], group)
        return loss

    def _move_hidden(
        self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        momentum = group["momentum"]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        mean = state["momentum"].lerp_(gradient, 1.0 - momentum)
        ahead = gradient.lerp(mean, momentum)
        # Outputs first; the order of the inputs does not matter, so that a layout of channels last
        # is not copied.
        matrix = ahead.permute(0, *range(2, ahead.ndim), 1).flatten(1)
        direction = orthogonalise(matrix, group["newton_schulz_steps"])
        scale = max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
        moved = parameter.permute(0, *range(2, parameter.ndim), 1)
        moved.add_(direction.reshape(moved.shape), alpha=-group["lr"] * scale)

    def _move_other(
        self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        first, second = group["betas"]
        if not state:
            state["step"] = torch.zeros(())
            state["mean"], state["square"] = (
                torch.zeros_like(parameter),
                torch.zeros_like(parameter),
            )
        state["step"] += 1
        taken = float(state["step"])
        mean = state["mean"].lerp_(gradient, 1.0 - first)
        square = state["square"].lerp_(gradient.square(), 1.0 - second)
        spread = (square / (1.0 - second**taken)).sqrt_().add_(1e-8)
        parameter.addcdiv_(mean, spread, value=-group["lr"] / (1.0 - first**taken))
