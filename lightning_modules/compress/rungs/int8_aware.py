"""8 bits that training had in mind: it goes on under the arithmetic that the artifact will have.

Quantisation-aware training (Jacob et al., 2018): weights and activations are rounded in the forward
pass to the steps that they will have, and gradients pass through as if they were not. The trained
network is then quantised statically, as int8 is.
"""

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from lightning_modules.compress.kernels import Step, find_whole
from lightning_modules.compress.quantize import calibrates
from lightning_modules.compress.rungs.base import Material, NotMade
from lightning_modules.compress.rungs.int8 import make_int8
from lightning_modules.compress.rungs.learned import Learned
from lightning_modules.training.learner import Learner
from lightning_modules.training.tuning import Tuning, tune_network

EPOCHS, LR = 0.34, 0.1
"""Of its training, by those of the network's own."""
LEVELS = 64
"""Steps of a weight on each side of zero: 7 bits, as static int8 has them."""
MOVES = 0.05
"""How much of a range each training batch replaces."""
LAYERS = (nn.Conv1d, nn.Conv2d, nn.Linear)
POOLS = (nn.MaxPool1d, nn.MaxPool2d, nn.AvgPool1d, nn.AvgPool2d)


class Int8Aware(Learned):
    """The network in 8 bits, trained on with them in mind."""

    name = "int8_aware"

    def make(self, material: Material) -> bytes:
        """Returns the trained network in 8 bits."""
        if not calibrates(material.fp32, material.calibration):
            raise NotMade("activations of such a network stay floating: there is nothing to learn")
        return make_int8(self.tune(material))

    def learn(self, material: Material, tuning: Tuning) -> Learner:
        """Returns the network, trained under 8 bits and in floating point again."""
        learner = tune_network(
            self.name,
            material.learner,
            material.sample,
            tuning,
            tuning.plan(epochs=EPOCHS, lr=LR),
            lambda copied: simulate_int8(copied.network),
        )
        restore_floats(learner.network)
        return learner


class RoundedLayer(nn.Module):
    """A convolution or a linear layer with the weights and inputs of 8 bits.

    Args:
        layer: With the normalisation behind it melted in.
    """

    lowest: Tensor
    highest: Tensor

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer
        self.weight = nn.Parameter(layer.weight.detach().clone())  # type: ignore[operator]
        self.register_buffer("lowest", torch.zeros(()))
        self.register_buffer("highest", torch.zeros(()))
        del layer._parameters["weight"]
        layer.weight = self.weight.detach()

    def forward(self, features: Tensor) -> Tensor:
        """Turns what the layer takes into what it gives."""
        vars(self.layer)["weight"] = round_weight(self.weight)
        given: Tensor = self.layer(self.round_features(features))
        return given

    def round_features(self, features: Tensor) -> Tensor:
        """Rounds to 256 steps of the range that training batches had."""
        if self.training:
            self.note_range(features.detach())
        scale = ((self.highest - self.lowest) / 255).clamp(min=1e-9)
        zero = (-self.lowest / scale).round().clamp(0, 255).to(torch.int32)
        return torch.fake_quantize_per_tensor_affine(features, scale, zero, 0, 255)

    def note_range(self, features: Tensor) -> None:
        """Moves the range towards that of a batch; zero lies in it."""
        low, high = features.min().clamp(max=0.0), features.max().clamp(min=0.0)
        moves = MOVES if float(self.highest - self.lowest) > 0 else 1.0
        self.lowest += moves * (low - self.lowest)
        self.highest += moves * (high - self.highest)


def round_weight(weight: Tensor) -> Tensor:
    """Rounds weights to 64 steps each side of zero, a scale a channel of outputs."""
    others = [axis for axis in range(weight.ndim) if axis]
    scale = (weight.detach().abs().amax(others) / LEVELS).clamp(min=1e-9)
    zero = torch.zeros(len(scale), dtype=torch.int32, device=weight.device)
    # The operator knows 8 bits; by the scale no weight lies beyond 7.
    return torch.fake_quantize_per_channel_affine(weight, scale, zero, 0, -128, 127)


def simulate_int8(network: nn.Module) -> nn.Module:
    """Returns a network whose normalisations are melted in, and whose layers of 8 bits round.

    Raises:
        NotMade: Its steps depend on what it is given, so that they cannot be traced.
    """
    try:
        traced = melt_norms(fx.symbolic_trace(network.eval()))
    except Exception as error:
        raise NotMade(
            f"the network's steps cannot be traced: {type(error).__name__}: {error}"
        ) from error
    layers = find_rounded(traced)
    if not layers:
        raise NotMade("the network has no layers whose activations are of 8 bits")
    for name in layers:
        parent, _, last = name.rpartition(".")
        setattr(traced.get_submodule(parent), last, RoundedLayer(traced.get_submodule(name)))
    return traced.requires_grad_(requires_grad=True)


def find_rounded(traced: fx.GraphModule) -> list[str]:
    """Returns the names of the layers that static int8 computes in whole numbers."""
    parts = dict(traced.named_modules())
    called = {
        node.name: parts.get(str(node.target)) if node.op == "call_module" else None
        for node in traced.graph.nodes
    }
    steps = [
        Step(
            node.name,
            tuple(taken.name for taken in node.all_input_nodes),
            (node.name,),
            tuple(layer.weight.shape) if isinstance(layer := called[node.name], LAYERS) else None,
            pools=isinstance(layer, POOLS),
        )
        for node in traced.graph.nodes
    ]
    whole = find_whole([step for step in steps if step.takes])
    rounded = [
        str(node.target)
        for node in traced.graph.nodes
        if node.name in whole and isinstance(called[node.name], LAYERS)
    ]
    return list(dict.fromkeys(rounded))


def melt_norms(traced: fx.GraphModule) -> fx.GraphModule:
    """Melts each batch normalisation into the convolution before it, as the export does."""
    parts = dict(traced.named_modules())
    for node in [*traced.graph.nodes]:
        before = node.args[0] if node.op == "call_module" and node.args else None
        if not isinstance(parts.get(str(node.target)), nn.BatchNorm1d | nn.BatchNorm2d):
            continue
        if not isinstance(before, fx.Node) or len(before.users) > 1:
            continue
        layer = parts.get(str(before.target)) if before.op == "call_module" else None
        if isinstance(layer, nn.Conv1d | nn.Conv2d):
            melted = fuse_conv_bn_eval(layer, parts[str(node.target)])
            traced.set_submodule(str(before.target), melted)
            node.replace_all_uses_with(before)
            traced.graph.erase_node(node)
    traced.delete_all_unused_submodules()
    traced.recompile()
    return traced


def restore_floats(network: nn.Module) -> None:
    """Has the layers of a network compute in floating point, with the weights that they learned."""
    for module in [*network.modules()]:
        for name, child in [*module.named_children()]:
            if isinstance(child, RoundedLayer):
                layer = child.layer
                del layer.weight
                layer.weight = nn.Parameter(child.weight.detach().clone())
                setattr(module, name, layer)
