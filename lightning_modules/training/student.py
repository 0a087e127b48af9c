"""A learner that is taught: it imitates another network's outputs beside learning the truth."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from lightning_modules.training.learner import Learner

IMITATION = 2.0
"""Weight of the imitation beside the loss."""


class Student(Learner):
    """A network that learns from a trained one (Hinton et al., 2015).

    Args:
        learner: Head, answer and augmentation that it learns with.
        network: What learns, in place of the learner's network.
        teacher: A trained one that stays as it is.
    """

    def __init__(self, learner: Learner, network: nn.Module, teacher: Learner) -> None:
        super().__init__(
            learner.head,
            network,
            learner.answer,
            learner.sample,
            train=learner.spec,
            total_steps=learner.total_steps,
            augmentation=learner.augmentation,
        )
        # In a tuple, so that its weights are none of this one's; a copy, for it follows to a GPU.
        self._teachers = (copy.deepcopy(teacher).eval(),)

    def add_to_loss(self, loss: Tensor, output: Tensor, sample: Tensor) -> Tensor:
        """Adds how far the output is from the teacher's."""
        with torch.no_grad():
            wanted: Any = self._teachers[0].to(output.device).respond(sample)[0]
        members = len(output) // len(wanted)
        wanted = wanted.float().repeat(members, *[1] * (wanted.ndim - 1))
        return loss + IMITATION * self.answer.imitate(output, wanted)
