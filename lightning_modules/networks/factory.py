"""Builds the network that a spec names, and proves that it answers in the right shape."""

import torch
from torch import nn

from lightning_modules.errors import SpecError
from lightning_modules.networks.fitted import FittedNetwork, SeasonalNaive
from lightning_modules.networks.registry import NETWORKS
from lightning_modules.specs.components import build_component, load_component
from lightning_modules.specs.model import NetworkSpec


def build_network(
    spec: NetworkSpec,
    input_shape: tuple[int, ...],
    outputs: int | tuple[int, ...],
    *,
    form: str = "image",
    lead: int = 0,
) -> nn.Module:
    """Builds a network with fresh weights, drawn from torch's current seed.

    Args:
        spec: Family and parameters.
        input_shape: Shape of one sample behind the head: (C, H, W), (D,) or (L, C).
        outputs: K, number of logits or values, or the shape of an answer.
        form: str of a sample, by which families are known.
        lead: Steps between a window and what is asked for, told to families that go by the step.

    Raises:
        SpecError: Unknown family, parameters that it refuses, or an answer of another shape.
    """
    builder = load_component(spec.family, what="network family", known=NETWORKS.find(form))
    network = build_component(
        builder,
        what="network family",
        name=spec.family,
        input_shape=input_shape,
        outputs=outputs,
        **spec.params,
        **({"lead": lead} if lead and builder is SeasonalNaive else {}),
    )
    if not isinstance(network, nn.Module):
        raise SpecError(
            f"network family ({spec.family!r}) must build a torch.nn.Module; got "
            f"{type(network).__name__}; return one"
        )
    _probe_shape(network, spec, input_shape, outputs)
    _put_channels_last(network)
    return network


def answers_once(family: str, form: str) -> bool:
    """Tells whether a family is fitted at once, to one answer whatever quantiles are asked for."""
    builder = NETWORKS.find(form).get(family)
    return isinstance(builder, type) and issubclass(builder, FittedNetwork)


def _put_channels_last(network: nn.Module) -> None:
    """Lays the weights of 2-D convolutions out channels last.

    That is up to five times faster in bf16 on a CPU (measured). A network with a narrow shortcut
    keeps its layout: with torch 2.13 on CPUs of AVX2 without AVX512, the gradient of one that is
    channels last is written beyond its memory, seen with 4 and 6 channels, not with 8 and more.
    """
    if any(_is_narrow_shortcut(module) for module in network.modules()):
        return
    for weight in network.parameters():
        if weight.ndim == 4:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)


def _is_narrow_shortcut(module: nn.Module) -> bool:
    """Whether a module is a convolution of single pixels, with steps, of fewer than 8 channels."""
    return (
        isinstance(module, nn.Conv2d)
        and max(module.kernel_size) == 1
        and max(module.stride) > 1
        and module.in_channels < 8
    )


def _probe_shape(
    network: nn.Module,
    spec: NetworkSpec,
    input_shape: tuple[int, ...],
    outputs: int | tuple[int, ...],
) -> None:
    wanted = (2, outputs) if isinstance(outputs, int) else (2, *outputs)
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            found = tuple(network(torch.zeros(2, *input_shape)).shape)
    except Exception as error:
        raise SpecError(
            f"network ({spec.family!r}, {spec.params!r}) must take samples of the shape "
            f"{input_shape}; got {type(error).__name__}: {error}; choose parameters that fit the "
            "sample"
        ) from error
    finally:
        network.train(was_training)
    if found != wanted:
        raise SpecError(
            f"network ({spec.family!r}, {spec.params!r}) must answer two samples of the shape "
            f"{input_shape} with {wanted}; got {found}; let its last layer have {outputs} outputs"
        )
