"""The parameters of families that pictures alone have, as frozen models."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from lightning_modules.specs.params import Dropout, Layers, Params, Width


class ImageCNNParams(Params):
    """A residual convolutional network for images."""

    widths: tuple[Width, ...] = Field(default=(16, 32, 64), min_length=2)
    """Channels of the stem, then of each stage."""
    blocks: int = Field(default=1, ge=0, le=64)
    """Residual blocks of each stage."""
    convolutions: Literal[1, 2] = 2
    """Of each residual block."""
    early_pool: bool = False
    """Whether each stage is halved right behind its first convolution, which makes training
    cheap."""
    stem_stride: Literal[1, 2] = 1
    """1, or 2 to halve the image at once."""
    activation: Literal["relu", "gelu", "silu"] = "relu"
    """What stands behind each convolution; a smooth one learns a little more in as many epochs."""
    dropout: Dropout = 0.1
    """Probability before the last layer."""


class ResNetParams(Params):
    """A residual network under torchvision's names; the defaults are ResNet-18."""

    blocks: tuple[Layers, ...] = Field(default=(2, 2, 2, 2), min_length=1, max_length=4)
    """Residual blocks of each stage, one to four stages."""
    widths: tuple[Width, ...] = Field(default=(64, 128, 256, 512), min_length=1, max_length=4)
    """Channels of each stage."""
    stem: Literal["auto", "small", "large"] = "auto"
    """"small" keeps the size, "large" takes a quarter of each edge, "auto" is small up to 64 pixels
    an edge."""
    dropout: Dropout = 0.0
    """Probability before the last layer."""

    @model_validator(mode="after")
    def _check_stages(self) -> "ResNetParams":
        if len(self.blocks) != len(self.widths):
            raise ValueError(
                f"blocks ({list(self.blocks)}) must name as many stages as widths; got widths "
                f"{list(self.widths)}; write one number a stage in both"
            )
        return self


class LinearProbeParams(ResNetParams):
    """A residual network whose features stay as they come, and logistic regression of them.

    It is fitted at once. With weights of `train.start_from`, `fresh: [fc]`, it is a strong baseline
    for some hundred pictures (Kornblith et al., 2019); without, its filters are random ones.
    """

    objectives: ClassVar[tuple[str, ...]] = ("classes",)
