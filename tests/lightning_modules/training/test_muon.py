"""Steps by orthogonal matrices."""

import pytest
import torch
from torch import nn

from lightning_modules.errors import SpecError
from lightning_modules.networks.cnn import CNN
from lightning_modules.specs.training import OptimizerSpec
from lightning_modules.training.muon import Muon, find_hidden, orthogonalise
from lightning_modules.training.optim import build_optimizer


@pytest.mark.parametrize("shape", [(8, 40), (40, 8), (16, 16)])
def test_every_direction_counts_about_alike(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    # From far apart: the largest is a hundred times the smallest.
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    matrix = left @ torch.diag(torch.logspace(0, -2, min(shape))) @ right
    made = left.T @ orthogonalise(matrix, steps=6) @ right.T
    sizes = made.diagonal()
    assert sizes.min() > 0.5
    assert sizes.max() < 1.3
    assert torch.allclose(made, torch.diag(sizes), atol=1e-3)  # The directions are the old ones.


def test_hidden_are_kernels_and_matrices_but_the_last() -> None:
    network = CNN(input_shape=(1, 8, 8), outputs=3, widths=(4, 8))
    hidden = find_hidden(network)
    assert [weight.ndim for weight in hidden] == [4] * len(hidden)
    assert not any(weight is network.classifier.weight for weight in hidden)
    for weight in hidden[:1]:
        weight.requires_grad = False
    assert len(find_hidden(network)) == len(hidden) - 1


def test_what_is_not_hidden_has_a_rate_of_its_own() -> None:
    network = CNN(input_shape=(1, 8, 8), outputs=3, widths=(4, 8))
    spec = OptimizerSpec(name="muon", lr=0.2, weight_decay=0.1, params={"rest_lr": 0.01})
    groups = build_optimizer(spec, network).param_groups
    assert [(group["lr"], group["hidden"], group["weight_decay"]) for group in groups] == [
        (0.2, True, 0.1),
        (0.01, False, 0.1),
        (0.01, False, 0.0),
    ]
    assert sum(len(group["params"]) for group in groups) == len(list(network.parameters()))


def test_rest_goes_as_adam_does() -> None:
    torch.manual_seed(0)
    ours, theirs = nn.Linear(4, 2), nn.Linear(4, 2)
    theirs.load_state_dict(ours.state_dict())
    settings = {"lr": 0.1, "betas": (0.8, 0.9), "weight_decay": 0.2}
    optimizers = (
        Muon(ours.parameters(), **settings),
        torch.optim.AdamW(theirs.parameters(), **settings),
    )
    for _ in range(5):
        sample = torch.randn(16, 4)
        for module, optimizer in zip((ours, theirs), optimizers, strict=True):
            optimizer.zero_grad()
            module(sample).square().mean().backward()
            optimizer.step()
    assert torch.allclose(ours.weight, theirs.weight, atol=1e-6)


def test_the_first_step_of_a_kernel_is_orthogonal_whatever_its_layout() -> None:
    torch.manual_seed(0)
    start, gradient = torch.randn(6, 3, 3, 3), torch.randn(6, 3, 3, 3)
    moved = []
    for layout in (torch.contiguous_format, torch.channels_last):
        kernel = nn.Parameter(start.clone(memory_format=layout))
        kernel.grad = gradient.clone(memory_format=layout)
        Muon([{"params": [kernel], "hidden": True}], 0.1, newton_schulz_steps=6).step()
        moved.append((start - kernel.detach()).flatten(1) / 0.1)
    assert torch.equal(*moved)
    singular = torch.linalg.svdvals(moved[0])
    assert singular.min() > 0.5
    assert singular.max() < 1.3


@pytest.mark.parametrize(
    "params", [{"momentum": 1.0}, {"newton_schulz_steps": 0}, {"betas": [0.9, 1.0]}, {"nope": 1}]
)
def test_bad_parameters_are_refused(params: dict[str, object]) -> None:
    with pytest.raises(SpecError, match=r"optimizer \('muon'\) must accept its parameters"):
        build_optimizer(
            OptimizerSpec(name="muon", params=params),
            nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2)),
        )
