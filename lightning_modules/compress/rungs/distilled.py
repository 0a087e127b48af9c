"""A smaller network that imitates the recipe's own (Hinton et al., 2015)."""

from typing import Any

import torch
from torch import nn

from lightning_modules.compress.rungs.base import Material, NotMade
from lightning_modules.compress.rungs.learned import Learned
from lightning_modules.specs.forms import check_params
from lightning_modules.specs.model import ModelSpec, NetworkSpec
from lightning_modules.training.at_once import find_fitting
from lightning_modules.training.build import build_parts
from lightning_modules.training.learner import Learner
from lightning_modules.training.tuning import Tuning, tune_network

EPOCHS, LR = 3.0, 1.0
"""Of its training, by those of the network's own: to imitate takes patience (Beyer et al., 2022),
and an epoch of half the width costs a third."""
WIDTHS = ("width", "widths")
"""Parameters of a family that say how wide its layers are."""


class Distilled(Learned):
    """A network of `compress.student`, or of the same family at half its width."""

    name = "distilled"

    def learn(self, material: Material, tuning: Tuning) -> Learner:
        """Returns the smaller network, taught."""
        own = tuning.model
        network = material.spec.student or halve_network(own.network, material.sample.form)
        model = own.model_copy(update={"network": network})
        train = tuning.plan(epochs=EPOCHS, lr=LR)

        def build(learner: Learner) -> nn.Module:
            del learner
            return build_student(model, material, train.seed)

        return tune_network(self.name, material.learner, material.sample, tuning, train, build)


def build_student(model: ModelSpec, material: Material, seed: int) -> nn.Module:
    """Returns a network of drawn weights that takes the same features as the recipe's own.

    Raises:
        NotMade: It is none that can be taught.
    """
    torch.manual_seed(seed)
    _, network = build_parts(model, material.sample)
    if find_fitting(network) is not None:
        raise NotMade(
            f"family {model.network.family} is fitted at once, and learns from no other network; "
            "name another one in compress.student"
        )
    return network


def halve_network(network: NetworkSpec, form: str) -> NetworkSpec:
    """Returns a network of the same family whose layers are half as wide.

    Raises:
        NotMade: Its family has no width that can be halved.
    """
    remedy = "name the smaller network in compress.student"
    params = check_params(form, network.family, network.params)
    found: dict[str, Any] = {} if params is None else params.model_dump()
    halved = {name: _halve(found[name]) for name in WIDTHS if name in found}
    if not halved or all(halved[name] == found[name] for name in halved):
        raise NotMade(f"family {network.family} has no width that can be halved; {remedy}")
    try:
        check_params(form, network.family, {**network.params, **halved})
    except ValueError as error:
        raise NotMade(f"family {network.family} cannot be half as wide; {remedy}") from error
    return network.model_copy(update={"params": {**network.params, **halved}})


def _halve(width: Any) -> Any:
    if isinstance(width, int):
        return max(1, width // 2)
    return type(width)(_halve(each) for each in width)
