"""Losses by name, and what they weigh."""

import pytest
import torch

from lightning_modules.errors import SpecError
from lightning_modules.objectives.losses import (
    CrossEntropy,
    FocalLoss,
    build_class_loss,
    build_value_loss,
)
from lightning_modules.specs.training import LossSpec


def test_rare_classes_weigh_more_where_they_are_balanced() -> None:
    logits, label = torch.tensor([[2.0, 0.0], [2.0, 0.0]]), torch.tensor([0, 1])
    plain = build_class_loss(LossSpec(label_smoothing=0), (0.5, 5.0))(logits, label)
    balanced = build_class_loss(LossSpec(label_smoothing=0, class_weights="balanced"), (0.5, 5.0))(
        logits, label
    )
    assert balanced > plain
    same = FocalLoss(0.0)(logits, label)
    torch.testing.assert_close(same, plain)
    assert FocalLoss(2.0)(logits, label) < same
    with pytest.raises(SpecError, match="must be one of values; got a loss of classes"):
        build_value_loss(LossSpec(name="focal"))
    with pytest.raises(SpecError, match="must be one of classes; got a loss of values"):
        build_class_loss(LossSpec(name="mse"))


def test_smoothed_labels_of_a_common_class_do_not_speak_for_the_rare_ones() -> None:
    """Each row counts by the weight of its own class: where all answers are right, none is better
    for being rarer.
    """
    weights = (0.2, 40.0)
    logits, label = torch.tensor([[3.0, -3.0]]), torch.tensor([0])
    row = CrossEntropy(torch.tensor(weights), 0.1)(logits, label)
    plain = CrossEntropy(None, 0.1)(logits, label)
    assert row == pytest.approx(plain)  # one row: its weight cancels out
    free = torch.zeros(1, 2, requires_grad=True)
    CrossEntropy(torch.tensor(weights), 0.1)(free, label).backward()
    assert free.grad is not None
    assert free.grad[0, 0] < 0
    mixed = torch.tensor([[3.0, -3.0], [0.5, 0.5]]), torch.tensor([0, 1])
    apart = [CrossEntropy(None, 0.1)(mixed[0][i : i + 1], mixed[1][i : i + 1]) for i in (0, 1)]
    together = (weights[0] * apart[0] + weights[1] * apart[1]) / sum(weights)
    assert CrossEntropy(torch.tensor(weights), 0.1)(*mixed) == pytest.approx(together)
