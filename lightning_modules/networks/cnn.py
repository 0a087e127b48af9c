"""A small residual convolutional network for images of about 8x8 to 64x64."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor, nn

# ReLU, GELU (Hendrycks and Gimpel, 2016), SiLU (Elfwing et al., 2018).
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}


class ConvBlock(nn.Sequential):
    """Convolves, normalises over the batch and activates; stride 1 keeps the size.

    Batch normalisation is by Ioffe and Szegedy (2015).
    """

    def __init__(
        self, inputs: int, outputs: int, activation: str, *, kernel: int = 3, stride: int = 1
    ) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(outputs),
            ACTIVATIONS[activation](),
        )


class PooledBlock(nn.Module):
    """Convolves, pools to half the size, normalises over the batch and activates.

    In training the pooling comes before the normalisation, which then costs a quarter (Jordan,
    2024). In answering it comes behind it, so that the normalisation melts into the convolution of
    an artifact. Both are one function: the normalisation's scale stays one, so that the larger of
    two values is the larger one behind it, too.
    """

    def __init__(self, inputs: int, outputs: int, activation: str) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.norm.weight.requires_grad = False
        self.pool = nn.MaxPool2d(2)
        self.activation = ACTIVATIONS[activation]()

    def forward(self, features: Tensor) -> Tensor:
        """Turns (N, inputs, H, W) into (N, outputs, H // 2, W // 2)."""
        features = self.convolution(features)
        if self.training:
            features = self.activation(self.norm(self.pool(features)))
        elif isinstance(self.activation, nn.ReLU):
            # So that it melts into an artifact's convolution, too; the others do not rise
            # everywhere, and come last.
            features = self.pool(self.activation(self.norm(features)))
        else:
            features = self.activation(self.pool(self.norm(features)))
        return features


class ResidualBlock(nn.Module):
    """One convolution or two, around which the input passes unchanged (He et al., 2016)."""

    def __init__(self, width: int, activation: str, convolutions: int = 2) -> None:
        super().__init__()
        self.first = ConvBlock(width, width, activation)
        self.second = ConvBlock(width, width, activation) if convolutions == 2 else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        """Turns (N, width, H, W) into the same shape."""
        change: Tensor = self.second(self.first(features))
        return features + change


class CNN(nn.Module):
    """A stem, then stages that widen; the size is halved between stages while it is above 3 pixels.

    Args:
        input_shape: (C, H, W).
        outputs: K.
        widths: Channels of the stem, then of each stage.
        blocks: Residual blocks of each stage.
        convolutions: 1 or 2 in each residual block.
        early_pool: Whether each stage, the first one too, is halved right behind its first
            convolution: the rest of the stage costs a quarter, as in networks made for fast
            training at 32x32 (Jordan, 2024).
        stem_stride: 1, or 2 to halve the image at once with a 5x5 kernel: a quarter of the work
            from 28x28 on.
        activation: "relu", "gelu" or "silu".
        dropout: Probability before the last layer, in [0, 1).

    Raises:
        ValueError: Fewer than two widths, a width below 1, another number of convolutions or
            stride, an unknown activation, or an input that is not an image.
    """

    def __init__(
        self,
        *,
        input_shape: tuple[int, ...],
        outputs: int,
        widths: Sequence[int] = (16, 32, 64),
        blocks: int = 1,
        convolutions: int = 2,
        early_pool: bool = False,
        stem_stride: int = 1,
        activation: str = "relu",
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        _check_settings(input_shape, widths, stem_stride, convolutions, activation)
        channels, *size = input_shape
        size = [-(-edge // stem_stride) for edge in size]
        layers: list[nn.Module] = [
            ConvBlock(
                channels, widths[0], activation, kernel=2 * stem_stride + 1, stride=stem_stride
            )
        ]
        for index, (inputs, width) in enumerate(pairwise(widths)):
            pools = (early_pool or index > 0) and min(size) > 3
            size = [edge // 2 for edge in size] if pools else size
            layers += _begin_stage(inputs, width, activation, pools=pools, early_pool=early_pool)
            layers += [ResidualBlock(width, activation, convolutions) for _ in range(blocks)]
        self.features = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(widths[-1], outputs)

    def forward(self, image: Tensor) -> Tensor:
        """Turns (N, C, H, W) float32 into (N, K) float32."""
        logits: Tensor = self.classifier(self.dropout(self.features(image).mean((2, 3))))
        return logits


def _check_settings(
    input_shape: tuple[int, ...],
    widths: Sequence[int],
    stem_stride: int,
    convolutions: int,
    activation: str,
) -> None:
    if len(input_shape) != 3:
        raise ValueError(f"the input must be an image (C, H, W); got the shape {input_shape}")
    if len(widths) < 2 or min(widths) < 1:
        raise ValueError(
            f"widths must name the stem and at least one stage, each above 0; got {list(widths)}"
        )
    if stem_stride not in (1, 2) or convolutions not in (1, 2):
        raise ValueError(
            f"stem_stride and convolutions must be 1 or 2; got stem_stride {stem_stride}, "
            f"convolutions {convolutions}"
        )
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}; got {activation!r}")


def _begin_stage(
    inputs: int, width: int, activation: str, *, pools: bool, early_pool: bool
) -> list[nn.Module]:
    """Returns the first layers of a stage, which halve the size if they pool."""
    if pools and early_pool:
        return [PooledBlock(inputs, width, activation)]
    block = ConvBlock(inputs, width, activation)
    return [nn.MaxPool2d(2), block] if pools else [block]
