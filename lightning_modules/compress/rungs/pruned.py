"""A network without its weakest channels, trained on.

After DepGraph (Fang et al., 2023), whose groups of coupled channels torch-pruning finds.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from lightning_modules.compress.rungs.base import Material, NotMade
from lightning_modules.compress.rungs.learned import Learned
from lightning_modules.errors import DivergedError
from lightning_modules.training.learner import Learner
from lightning_modules.training.tuning import GivenUp, Tuning, keep_frozen, tune_network

EPOCHS, LR = 2.0, 1.0
"""Of its training, by those of the network's own."""
TOGETHER = 8
"""Channels that go together, which floating kernels compute at once, filling up with zeros."""
SHARES = (0.75, 0.6, 0.5)
"""What "auto" cuts off, the most that is good enough: a quarter of the channels is a sixteenth of
the work."""


class Pruned(Learned):
    """The network without `compress.prune` of its channels."""

    name = "pruned"

    def learn(self, material: Material, tuning: Tuning) -> Learner:
        """Returns the pruned network, trained on: of several shares the largest that can win."""
        share = material.spec.prune
        if share != "auto":
            return self._cut(self.name, material, tuning, share)
        refused: GivenUp | NotMade | DivergedError | None = None
        for each in SHARES:
            try:
                return self._cut(f"{self.name}-{100 * each:.0f}", material, tuning, each)
            except (GivenUp, NotMade, DivergedError) as error:
                refused = refused or error
        raise refused or NotMade("there is no share to cut off")

    def _cut(self, name: str, material: Material, tuning: Tuning, share: float) -> Learner:
        rows = torch.from_numpy(material.calibration[:2])

        def prune(learner: Learner) -> nn.Module:
            with torch.no_grad():
                features = learner.head(rows)
            return prune_network(learner.network, features, share)

        plan = tuning.plan(epochs=EPOCHS, lr=LR)
        return tune_network(name, material.learner, material.sample, tuning, plan, prune)


def prune_network(network: nn.Module, features: Tensor, share: float) -> nn.Module:
    """Returns a copy of a network without its weakest channels.

    A channel's strength is the mean size of all weights that come or go with it.

    Args:
        network: It is left as it is.
        features: (N, ...) what it is given.
        share: Of the channels of each group that go, in (0, 1).

    Raises:
        NotMade: Its parts do not come apart in channels.
    """
    import torch_pruning

    made = copy.deepcopy(network).eval()
    before = count_weights(made)
    with torch.no_grad():
        shape = made(features).shape
    try:
        pruner = torch_pruning.pruner.BasePruner(
            made,
            features,
            importance=torch_pruning.importance.GroupMagnitudeImportance(p=2),
            pruning_ratio=share,
            round_to=TOGETHER,
            ignored_layers=[find_last(made, features)],
        )
        pruner.step()
        with torch.no_grad():
            fits = made(features).shape == shape
    except Exception as error:
        raise NotMade(
            f"channels of the network do not come apart: {type(error).__name__}: {error}"
        ) from error
    if not fits or count_weights(made) >= before:
        raise NotMade("the network has no channels that could go")
    keep_frozen(made, network)
    return made


def count_weights(network: nn.Module) -> int:
    """Returns how many numbers a network learns."""
    return sum(value.numel() for value in network.parameters())


def find_last(network: nn.Module, features: Tensor) -> nn.Module:
    """Returns the layer that gives the answer, whose outputs must stay: the last that is called."""
    called: list[nn.Module] = []

    def note(module: nn.Module, given: Any) -> None:
        del given
        called.append(module)

    layers = [
        module
        for module in network.modules()
        if not [*module.children()] and [*module.parameters()]
    ]
    hooks = [layer.register_forward_pre_hook(note) for layer in layers]
    try:
        with torch.no_grad():
            network(features)
    finally:
        for hook in hooks:
            hook.remove()
    if not called:
        raise NotMade("the network has no layers with weights")
    return called[-1]
