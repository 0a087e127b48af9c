"""A trial of a race as plain data: how far it goes, what it costs, what it came to; no torch."""

from dataclasses import dataclass

from storage.base.figures import Direction

FOLDS = 5
"""Folds that few rows are dealt to: one is judged, one chooses the epoch, three train."""


@dataclass(frozen=True)
class Survey:
    """What a network would cost.

    Attributes:
        at_once: Whether it is fitted at once, without steps.
        parameters: How many numbers are trained.
        step_s: Estimated processor time of a step of training, in seconds.
    """

    at_once: bool
    parameters: int
    step_s: float


@dataclass(frozen=True)
class Bounds:
    """How far a trial goes.

    Attributes:
        epochs: Passes over the rows that it sees.
        batches: Most batches of a pass.
        judged: Most batches of validation rows, evenly drawn.
        cpu_s: Processor time in seconds after which it has lost.
        rotations: How many times it trains whole, on folds of training and validation rows, each
            time judged on another one; 0 trains once, on the training rows, within the other
            bounds.
    """

    epochs: int
    batches: int
    judged: int
    cpu_s: float
    rotations: int = 0


@dataclass(frozen=True)
class Measured:
    """What a trial came to.

    Attributes:
        name: The figure that decides.
        direction: Which way of it is better.
        value: On validation rows, by the best epoch's weights; NaN where it is not defined.
        loss: Likewise.
        steps: Optimizer steps; 0 for what is fitted at once.
        epochs: Epochs that were run.
        cpu_s: Processor time in seconds.
    """

    name: str
    direction: Direction
    value: float
    loss: float
    steps: int
    epochs: int
    cpu_s: float
