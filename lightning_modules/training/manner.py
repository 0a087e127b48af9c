"""How a training computes: in which precision and in how many threads; all ranks agree on it."""

from dataclasses import dataclass

import torch

from lightning_modules.specs.forms import AnySample
from lightning_modules.specs.training import TrainSpec
from lightning_modules.training.auto_precision import resolve_precision
from lightning_modules.training.auto_threads import resolve_threads
from lightning_modules.training.checkpoint import ResumeStates
from lightning_modules.training.learner import Learner
from lightning_modules.training.precision import Precision
from lightning_modules.training.ranks import count_ranks, in_group, is_first_rank, tell_ranks


@dataclass(frozen=True)
class Manner:
    """How a training computes.

    Attributes:
        precision: Of its steps.
        precision_kept: Whether this machine would have chosen another than the training began in.
        threads: That each process computes in.
    """

    precision: Precision
    precision_kept: bool
    threads: int


def choose_manner(
    train: TrainSpec,
    learner: Learner,
    sample: AnySample,
    most_threads: int | None = None,
    keeper: ResumeStates | None = None,
    resume_from: str | None = None,
) -> Manner:
    """Return how a training computes: as it began, else by the recipe's word and measured steps.

    A training ends as it began, on whatever machine: another precision, or sums over another
    number of threads, would be another training.

    Args:
        train: What the recipe says.
        learner: What is to be trained; it is left as it is.
        sample: What it is trained on.
        most_threads: How many threads `auto` may choose; None leaves this process those it has.
        keeper: Where the states are.
        resume_from: Name of the state that the training goes on from; None without one.
    """
    begun = keeper.read_manner(resume_from) if keeper and resume_from else (None, None)
    precision = _agree_on_precision(train, learner, sample)
    begun_in = begun[0] or precision
    threads = _agree_on_threads(train, learner, sample, most_threads, begun[1], begun_in)
    return Manner(precision=begun_in, precision_kept=begun_in != precision, threads=threads)


def _agree_on_precision(train: TrainSpec, learner: Learner, sample: AnySample) -> Precision:
    """Return the precision that the first rank chooses, for all."""
    if not in_group():
        return resolve_precision(train.precision, learner, sample)
    chosen = resolve_precision(train.precision, learner, sample) if is_first_rank() else "fp32"
    return "bf16" if tell_ranks(chosen.encode()) == b"bf16" else "fp32"


def _agree_on_threads(
    train: TrainSpec,
    learner: Learner,
    sample: AnySample,
    most: int | None,
    begun: int | None,
    precision: Precision,
) -> int:
    """Return this rank's threads: what was said for it, or what the first rank finds, for all."""
    said = torch.get_num_threads() if most is None else None
    if train.threads != "auto":
        said = train.threads
    found = begun if said is None else said
    if found is None and is_first_rank():
        rows = train.batch_size // train.accumulate // count_ranks()
        found = resolve_threads(most or 1, learner, sample, rows=rows, bf16=precision == "bf16")
    if in_group():
        # Each rank takes part, whatever was said for it: another may wait for the word.
        found = int(tell_ranks(str(found).encode() if is_first_rank() else None))
    return said if said is not None else min(int(found or 1), most or 1)
