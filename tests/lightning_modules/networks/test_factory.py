"""Networks are laid out channels last, but for those whose gradients that would spoil."""

import pytest
import torch
from torch import nn

from lightning_modules.networks.factory import build_network
from lightning_modules.specs.model import NetworkSpec


@pytest.mark.parametrize(("widths", "channels_last"), [([4, 8], False), ([8, 16], True)])
def test_narrow_shortcuts_keep_their_layout(widths: list[int], channels_last: bool) -> None:
    spec = NetworkSpec(family="resnet", params={"blocks": [1, 1], "widths": widths})
    network = build_network(spec, (3, 8, 8), 10)
    shortcut = network.layer2[0].downsample[0]
    assert isinstance(shortcut, nn.Conv2d)
    assert shortcut.kernel_size == (1, 1)
    output = network.conv1(torch.zeros(2, 3, 8, 8))
    assert output.is_contiguous(memory_format=torch.channels_last) is channels_last
