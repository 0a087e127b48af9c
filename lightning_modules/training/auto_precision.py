"""Chooses the precision of a training: the recipe's word, or what a measured step says.

That a processor has units for bf16 does not say that a network gains by them. On CPUs that have
them, a step of networks of small images took 0.5 to 1.0 of fp32's time, one of a Transformer of
images 1.6, one of tables and series 0.9 to 1.4. So `auto` measures, and asks for a clear gain.
"""

import time
from typing import Literal

import torch
from torch import Tensor

from lightning_modules.specs.forms import FORMS, AnySample
from lightning_modules.training.learner import Learner
from lightning_modules.training.measured_step import open_stand_in, take_step, use_threads
from lightning_modules.training.precision import Precision

LEAST_GAIN = 1.3
"""How much faster than in fp32 a step must be in bf16 for `auto` to take it."""
ROWS = 32
TURNS = 4
BUDGET_S = 3.0


def resolve_precision(
    asked: Literal["auto", "fp32", "bf16"], learner: Learner, sample: AnySample
) -> Precision:
    """Return the precision that a recipe's word means for a network on this machine.

    Args:
        asked: The recipe's word. "auto" is bf16 where the hardware has units for it, the form
            bears it (the values of tables and series need their digits), and a measured step
            is `LEAST_GAIN` times as fast as in fp32; else fp32.
        learner: What is to be trained; it is left as it is.
        sample: What it is trained on.
    """
    if asked != "auto":
        return asked
    if not has_bf16_units() or not FORMS.find(sample.form).computes_in_bf16:
        return "fp32"
    return "bf16" if measure_gain(learner, sample) >= LEAST_GAIN else "fp32"


def has_bf16_units() -> bool:
    """Whether the device that trains has units that multiply in bf16."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    # These have no public name in torch 2.13.
    return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())


def measure_gain(learner: Learner, sample: AnySample) -> float:
    """Return how many times faster a step, forward and backward, is in bf16 than in fp32.

    Steps of both precisions take turns on a copy of the learner, with made-up samples. The first
    turn warms up; the shortest of the others counts, since other work can only lengthen a step.
    After `BUDGET_S` seconds no further turn begins.
    """
    turns: list[tuple[float, float]] = []
    begun = time.monotonic()
    # In one thread: what threads wait for each other is no matter of precision.
    with use_threads(1), open_stand_in(learner, sample, ROWS) as (stand_in, raw):
        while len(turns) < 2 or (len(turns) < TURNS and time.monotonic() - begun < BUDGET_S):
            turns.append((_time_step(stand_in, raw), _time_step(stand_in, raw, bf16=True)))
    fp32, bf16 = (min(times) for times in zip(*turns[1:], strict=True))
    return float(fp32 / bf16)


def _time_step(learner: Learner, raw: Tensor, *, bf16: bool = False) -> float:
    """Return the seconds of one step: of processor time on a CPU, of wall time on a GPU."""
    clock = time.perf_counter if raw.is_cuda else time.process_time
    started = clock()
    take_step(learner, raw, bf16=bf16)
    return clock() - started
