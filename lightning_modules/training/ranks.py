"""Figures and rows of all ranks together."""

import os
from typing import Any, cast

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from torch import Tensor


def in_group() -> bool:
    """Tells whether this process is one of several that know of each other."""
    return dist.is_available() and dist.is_initialized()


def count_ranks() -> int:
    """Returns how many processes know of each other; 1 where this one is alone."""
    return dist.get_world_size() if in_group() else 1


def is_first_rank() -> bool:
    """Tells whether this process is the one whose files are the result."""
    return os.environ.get("RANK", "0") == "0"


def sum_over_ranks(trainer: pl.Trainer, sums: Tensor) -> Tensor:
    """Returns the sum of every rank's tensor, the same on each of them."""
    return cast(
        Tensor,
        trainer.strategy.reduce(sums.clone().to(trainer.strategy.root_device), reduce_op="sum"),
    )


def gather_ranks(values: Tensor) -> Tensor:
    """Returns the rows of all ranks, one after the other.

    Where there is one rank only, it returns the values themselves.

    Ranks may have different numbers of rows.
    """
    if count_ranks() == 1:
        return values
    on_gpu = dist.get_backend() == "nccl"
    mine: Any = values.cuda() if on_gpu else values
    counts = [
        torch.zeros(1, dtype=torch.int64, device=mine.device) for _ in range(dist.get_world_size())
    ]
    dist.all_gather(counts, torch.tensor([len(mine)], device=mine.device))
    most = max(int(count) for count in counts)
    padded = torch.cat([mine, mine.new_zeros((most - len(mine), *mine.shape[1:]))])
    parts = [torch.empty_like(padded) for _ in counts]
    dist.all_gather(parts, padded)
    return torch.cat([part[: int(count)] for part, count in zip(parts, counts, strict=True)]).cpu()


def open_group() -> None:
    """Joins the ranks into one process group; Lightning then takes it as it finds it.

    CPU tensors go over gloo on a machine with GPUs, too: what ranks tell each other beside
    gradients lies in memory.
    """
    on_gpu = torch.cuda.is_available()
    if on_gpu:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    dist.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo")


def tell_ranks(content: bytes | None) -> bytes:
    """Returns the bytes that rank 0 has, on every rank.

    Args:
        content: On rank 0, what is told; what others bring is not asked for.
    """
    told = (
        torch.frombuffer(bytearray(content), dtype=torch.uint8)
        if content
        else torch.empty(0, dtype=torch.uint8)
    )
    length = torch.tensor([len(told)])
    dist.broadcast(length, src=0)
    if dist.get_rank() != 0:
        told = torch.empty(int(length), dtype=torch.uint8)
    if len(told):
        dist.broadcast(told, src=0)
    return told.numpy().tobytes()
