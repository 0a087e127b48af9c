"""Chooses how many threads compute a training: the recipe's word, or what a measured step says.

A small network gains nothing by a second thread and pays for it: 1.3 times the processor time on a
quiet machine, 3 times beside other work. So `auto` measures, and asks for a clear gain of time.
"""

import time

from torch import Tensor

from lightning_modules.specs.forms import AnySample
from lightning_modules.training.learner import Learner
from lightning_modules.training.measured_step import open_stand_in, take_step, use_threads

LEAST_GAIN = 1.3
"""How much faster a step must be in more threads for `auto` to take them."""
MOST_ROWS = 256
"""Rows of a measured step, of a batch that is larger."""
TURNS = 4
TURN_S = 0.03


def resolve_threads(
    most: int, learner: Learner, sample: AnySample, *, rows: int, bf16: bool
) -> int:
    """Return how many threads a training is to compute in on this machine, as it is now.

    From one thread on, more are taken as long as a measured step gains by them: twice as many
    each time, in which it must be `LEAST_GAIN` times as fast.

    Args:
        most: How many there may be, >= 1.
        learner: What is to be trained; it is left as it is.
        sample: What it is trained on.
        rows: Rows of a step of this process.
        bf16: Whether it is trained in bf16.
    """
    chosen = 1
    with open_stand_in(learner, sample, max(2, min(rows, MOST_ROWS))) as (stand_in, raw):
        if raw.is_cuda:  # What is left for the processor has one thread.
            return chosen
        while chosen < most:
            more = min(2 * chosen, most)
            if measure_gain(stand_in, raw, chosen, more, bf16=bf16) < LEAST_GAIN:
                break
            chosen = more
    return chosen


def measure_gain(learner: Learner, raw: Tensor, few: int, many: int, *, bf16: bool) -> float:
    """Return how many times faster a step, forward and backward, is in many threads than in few.

    Both take turns of some steps, in wall time: what other processes take from a step now, they
    will take from the training's. The worst turn counts: beside other work a single one says
    nothing, and threads that were not needed cost more than threads that were not taken.
    """
    with use_threads(many):
        take_step(learner, raw, bf16=bf16)
    steps = max(1, round(TURN_S / _time_steps(learner, raw, few, 1, bf16=bf16)))
    turns: list[float] = []
    while len(turns) < TURNS and (not turns or turns[-1] >= LEAST_GAIN):
        times = (_time_steps(learner, raw, count, steps, bf16=bf16) for count in (few, many))
        turns.append(next(times) / next(times))
    return min(turns)


def _time_steps(learner: Learner, raw: Tensor, threads: int, steps: int, *, bf16: bool) -> float:
    """Return the seconds of a step in that many threads."""
    with use_threads(threads):
        if steps > 1:  # Behind one that starts them.
            take_step(learner, raw, bf16=bf16)
        started = time.perf_counter()
        for _ in range(steps):
            take_step(learner, raw, bf16=bf16)
        return (time.perf_counter() - started) / steps
