"""A step of a training on made-up samples, for whoever chooses by what a step costs."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from lightning_modules.specs.forms import AnySample
from lightning_modules.training.dry_run import make_samples
from lightning_modules.training.learner import Learner


@contextmanager
def open_stand_in(
    learner: Learner, sample: AnySample, rows: int
) -> Iterator[tuple[Learner, Tensor]]:
    """Yields a copy of a learner, ready to train, and raw samples for a step of it.

    Neither the learner nor torch's random numbers change by what is done with them.

    Args:
        learner: What is to be trained.
        sample: What it is trained on.
        rows: Samples of a step.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    made, _ = make_samples(sample)
    raw = made.repeat(-(-rows // len(made)), *[1] * (made.ndim - 1))[:rows].to(device)
    with torch.random.fork_rng():
        yield copy.deepcopy(learner).to(device).train(), raw


def take_step(learner: Learner, raw: Tensor, *, bf16: bool = False) -> None:
    """Goes forward and backward once; on a GPU it waits until that is done."""
    with torch.autocast(raw.device.type, dtype=torch.bfloat16, enabled=bf16):
        output, _ = learner.respond(raw)
    output.float().square().mean().backward()  # type: ignore[no-untyped-call]
    if raw.is_cuda:
        torch.cuda.synchronize()
    learner.zero_grad()


@contextmanager
def use_threads(count: int) -> Iterator[None]:
    """Has torch compute in that many threads for the duration of the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
