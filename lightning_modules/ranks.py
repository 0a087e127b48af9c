"""Figures and rows of all ranks together."""

from typing import Any, cast

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from torch import Tensor


def sum_over_ranks(trainer: pl.Trainer, sums: Tensor) -> Tensor:
    """The sum of every rank's tensor, the same on each of them."""
    return cast(Tensor, trainer.strategy.reduce(sums.clone().to(trainer.strategy.root_device), reduce_op="sum"))


def gather_ranks(values: Tensor) -> Tensor:
    """The rows of all ranks, one after the other; the values themselves where there is one rank only.

    Ranks may have different numbers of rows.
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return values
    on_gpu = dist.get_backend() == "nccl"
    mine: Any = values.cuda() if on_gpu else values
    counts = [torch.zeros(1, dtype=torch.int64, device=mine.device) for _ in range(dist.get_world_size())]
    dist.all_gather(counts, torch.tensor([len(mine)], device=mine.device))
    most = max(int(count) for count in counts)
    padded = torch.cat([mine, mine.new_zeros((most - len(mine), *mine.shape[1:]))])
    parts = [torch.empty_like(padded) for _ in counts]
    dist.all_gather(parts, padded)
    return torch.cat([part[: int(count)] for part, count in zip(parts, counts, strict=True)]).cpu()
