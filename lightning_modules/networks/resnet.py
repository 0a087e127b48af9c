"""Residual networks (He et al., 2016) under the state-dict names that torchvision made usual."""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

SMALL_PIXELS = 64


class BasicBlock(nn.Module):
    """Two 3x3 convolutions, added to their input; the input is convolved 1x1 where shapes differ.

    The last normalisation begins at zero, so that a fresh block passes its input on (Goyal et al.,
    2017).

    Args:
        inputs: Channels in.
        outputs: Channels out.
        stride: Of the first convolution.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        nn.init.zeros_(self.bn2.weight)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, features: Tensor) -> Tensor:
        """Turns (N, inputs, H, W) into (N, outputs, H / stride, W / stride)."""
        passed = features if self.downsample is None else self.downsample(features)
        change: Tensor = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(features)))))
        sum_of_both: Tensor = self.relu(change + passed)
        return sum_of_both


class ResNet(nn.Module):
    """A residual network of one stem and up to four stages.

    A linear layer over the mean of what is seen answers.

    The defaults are ResNet-18. Its weights have the names and shapes of torchvision's `resnet18`
    wherever the stem is "large", so that published weights load.

    Args:
        input_shape: (C, H, W).
        outputs: K.
        blocks: Residual blocks of each stage; each stage but the first halves the image.
        widths: Channels of each stage; the stem has those of the first.
        stem: "large" is a 7x7 convolution and a pooling, which together take a quarter of each
            edge; "small" a 3x3 convolution that keeps the size; "auto" is small for images of up to
            64 pixels an edge.
        dropout: Probability before the last layer, in [0, 1).

    Raises:
        ValueError: Blocks and widths do not pair up or are not positive, another stem, or an input
            that is not an image.
    """

    def __init__(
        self,
        *,
        input_shape: tuple[int, ...],
        outputs: int,
        blocks: Sequence[int] = (2, 2, 2, 2),
        widths: Sequence[int] = (64, 128, 256, 512),
        stem: Literal["auto", "small", "large"] = "auto",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if len(input_shape) != 3:
            raise ValueError(f"the input must be an image (C, H, W); got the shape {input_shape}")
        if not 1 <= len(blocks) == len(widths) <= 4 or min(*blocks, *widths) < 1:
            raise ValueError(
                "blocks and widths must name one to four stages alike, each above 0; got "
                f"{list(blocks)} and {list(widths)}"
            )
        if stem not in ("auto", "small", "large"):
            raise ValueError(f"stem must be auto, small or large; got {stem!r}")
        channels, *edges = input_shape
        small = stem == "small" or (stem == "auto" and max(edges) <= SMALL_PIXELS)
        kernel, stride = (3, 1) if small else (7, 2)
        self.conv1 = nn.Conv2d(channels, widths[0], kernel, stride, padding=kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.relu = nn.ReLU(inplace=True)
        self.maxpool: nn.Module = nn.Identity() if small else nn.MaxPool2d(3, 2, padding=1)
        self.stages = len(blocks)
        inputs = widths[0]
        for stage, (count, width) in enumerate(zip(blocks, widths, strict=True), start=1):
            first = BasicBlock(inputs, width, 1 if stage == 1 else 2)
            rest = [BasicBlock(width, width, 1) for _ in range(count - 1)]
            self.add_module(f"layer{stage}", nn.Sequential(first, *rest))
            inputs = width
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(inputs, outputs)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Tensor) -> Tensor:
        """Turns (N, C, H, W) float32 into (N, K) float32."""
        logits: Tensor = self.fc(self.dropout(self.embed(image)))
        return logits

    def embed(self, image: Tensor) -> Tensor:
        """Turns (N, C, H, W) float32 into what the last layer sees, (N, width) float32."""
        features = self.maxpool(self.relu(self.bn1(self.conv1(image))))
        for stage in range(1, self.stages + 1):
            features = self.get_submodule(f"layer{stage}")(features)
        pooled: Tensor = features.mean((2, 3))
        return pooled
