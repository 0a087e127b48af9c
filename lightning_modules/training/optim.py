"""Optimizers and learning rate schedules, by name or by import path."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, ReduceLROnPlateau

from lightning_modules.errors import SpecError
from lightning_modules.specs.components import build_component, load_component
from lightning_modules.specs.training import OptimizerSpec, SchedulerSpec
from lightning_modules.training.muon import Muon, find_hidden

Parameters = Iterable[Any]


def _build_adamw(parameters: Parameters, lr: float, **params: Any) -> Optimizer:
    return torch.optim.AdamW(parameters, lr=lr, **params)


def _build_adam(parameters: Parameters, lr: float, **params: Any) -> Optimizer:
    return torch.optim.Adam(parameters, lr=lr, **params)


def _build_sgd(parameters: Parameters, lr: float, **params: Any) -> Optimizer:
    return torch.optim.SGD(parameters, lr=lr, **{"momentum": 0.9, "nesterov": True, **params})


def _build_muon(
    parameters: Parameters, lr: float, *, rest_lr: float = 3e-3, **params: Any
) -> Optimizer:
    return Muon(
        [group if group.get("hidden") else {**group, "lr": rest_lr} for group in parameters],
        lr,
        **params,
    )


OPTIMIZERS = {"adamw": _build_adamw, "adam": _build_adam, "sgd": _build_sgd, "muon": _build_muon}
FUSED = ("adamw", "adam", "sgd")


def build_optimizer(spec: OptimizerSpec, module: nn.Module, *, fused: bool = True) -> Optimizer:
    """Builds an optimizer over a module; vectors (biases, normalisation) do not decay.

    Args:
        spec: Which one.
        module: What it trains.
        fused: Whether a built-in one updates all parameters in one kernel; Lightning's autocast
            cannot clip with that.

    Raises:
        SpecError: Unknown name, or parameters that it refuses.
    """
    hidden = find_hidden(module) if spec.name == "muon" else []
    taken = set(map(id, hidden))
    rest = [
        value for value in module.parameters() if value.requires_grad and id(value) not in taken
    ]
    groups: list[dict[str, Any]] = [
        {"params": [value for value in rest if value.ndim > 1], "weight_decay": spec.weight_decay},
        {"params": [value for value in rest if value.ndim <= 1], "weight_decay": 0.0},
    ]
    if hidden:
        groups.insert(0, {"params": hidden, "weight_decay": spec.weight_decay, "hidden": True})
    builder = load_component(spec.name, what="optimizer", known=OPTIMIZERS)
    params = {"fused": fused, **spec.params} if spec.name in FUSED else spec.params
    optimizer = build_component(
        builder,
        [group for group in groups if group["params"]],
        what="optimizer",
        name=spec.name,
        lr=spec.lr,
        **params,
    )
    if not isinstance(optimizer, Optimizer):
        raise SpecError(
            f"optimizer ({spec.name!r}) must be a torch.optim.Optimizer; got "
            f"{type(optimizer).__name__}; return one"
        )
    return optimizer


def compute_lr_factor(step: int, *, total_steps: int, spec: SchedulerSpec) -> float:
    """Returns the learning rate of a step as a fraction of the peak.

    A linear warm-up, then half a cosine, a line, or flat.

    Args:
        step: Optimizer step, from 0.
        total_steps: Of the whole training.
        spec: Shape of the schedule.
    """
    warmup_steps = round(spec.warmup_fraction * total_steps)
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    if spec.name == "constant":
        return 1.0
    progress = min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps))
    left = 1.0 - progress if spec.name == "linear" else 0.5 * (1.0 + math.cos(math.pi * progress))
    return spec.floor + (1.0 - spec.floor) * left


def build_scheduler(spec: SchedulerSpec, optimizer: Optimizer, total_steps: int) -> dict[str, Any]:
    """Builds the schedule, in the form that Lightning's `configure_optimizers` returns.

    Raises:
        SpecError: Unknown name, or parameters that it refuses.
    """
    if spec.name == "plateau":
        plateau = ReduceLROnPlateau(optimizer, factor=spec.factor, patience=spec.patience_epochs)
        return {"scheduler": plateau, "interval": "epoch", "monitor": "validation_loss"}
    if spec.name in ("cosine", "linear", "constant"):
        schedule: LRScheduler = LambdaLR(
            optimizer, lambda step: compute_lr_factor(step, total_steps=total_steps, spec=spec)
        )
    else:
        builder = load_component(spec.name, what="scheduler", known={})
        schedule = build_component(
            builder,
            optimizer,
            what="scheduler",
            name=spec.name,
            total_steps=total_steps,
            **spec.params,
        )
        if not isinstance(schedule, LRScheduler):
            raise SpecError(
                f"scheduler ({spec.name!r}) must be a torch LRScheduler; got "
                f"{type(schedule).__name__}; return one"
            )
    return {"scheduler": schedule, "interval": "step"}
