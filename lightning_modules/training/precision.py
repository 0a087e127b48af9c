"""In which precision a network is trained: what the recipe asks for, or what this machine computes fastest.

On a CPU bf16 pays where images are convolved. Of fp32's CPU time a step takes, with one thread on a
CPU with AVX512_BF16 and no matrix units: the cifar recipe's network 0.52, the mnist recipe's 0.62,
a ResNet-18 0.47, the digits recipe's 0.83; but a Transformer of images 1.62, an MLP 1.01, the
recipes of tables and series 0.92 to 1.42, whose values need their digits besides.
"""

from typing import Literal

import torch
from torch import nn

from lightning_modules.specs.model import SampleSpec
from lightning_modules.specs.samples import AnySample

Precision = Literal["fp32", "bf16"]
LIGHTNING_NAMES: dict[Precision, Literal["32-true", "bf16-mixed"]] = {
    "fp32": "32-true",
    "bf16": "bf16-mixed",
}


def resolve_precision(
    asked: Literal["auto", "fp32", "bf16"], network: nn.Module, sample: AnySample
) -> Precision:
    """The precision that a recipe's word means for a network on this machine.

    Args:
        asked: The recipe's word. "auto" goes by the hardware's own flags: bf16 on a GPU that has
            it; on a CPU with matrix units (AMX) for images, on one with AVX512_BF16 alone for
            images that are convolved; else fp32.
        network: What is trained.
        sample: What it is trained on.
    """
    if asked != "auto":
        return asked
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    if not isinstance(sample, SampleSpec):
        return "fp32"
    # No public name for these in torch 2.13.
    if torch.cpu._is_amx_tile_supported():
        return "bf16"
    return "bf16" if torch.cpu._is_avx512_bf16_supported() and convolves(network) else "fp32"


def convolves(network: nn.Module) -> bool:
    """Whether a network has convolutions of images that overlap; patches that do not are a linear layer each."""
    return any(
        isinstance(layer, nn.Conv2d)
        and any(size > step for size, step in zip(layer.kernel_size, layer.stride, strict=True))
        for layer in network.modules()
    )
