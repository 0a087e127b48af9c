"""The parameters of each family of networks, as frozen models.

A wrong one is refused with the recipe, and costs no torch.

A family is known by the form of a sample: `image` (C, H, W), `table` (D,) or `series` (L, C),
lookback steps of C channels. The same name stands for the same idea in each form, with the
parameters that the form needs.
"""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from lightning_modules.specs.image_families import ImageCNNParams, LinearProbeParams, ResNetParams
from lightning_modules.specs.params import Dropout, Layers, Params, Width


class LinearParams(Params):
    """One linear layer over the flattened sample; no parameters."""


class MLPParams(Params):
    """Linear layers with a nonlinearity between them."""

    widths: tuple[Width, ...] = Field(default=(256, 256), min_length=1)
    """Units of each hidden layer."""
    dropout: Dropout = 0.1
    """Probability after each hidden layer."""


class TableMLPParams(Params):
    """Small networks side by side, whose mean is the answer."""

    widths: tuple[Width, ...] = Field(default=(128, 128), min_length=1)
    """Units of each hidden layer of a member."""
    dropout: Dropout = 0.1
    """Probability after each hidden layer."""
    members: int = Field(default=1, ge=1, le=64)
    """Networks side by side."""
    waves: int = Field(default=0, ge=0, le=256)
    """Learned frequencies through which each feature is read; 0 reads features as they are."""
    sigma: float = Field(default=0.1, gt=0, le=100)
    """Spread of those frequencies, in turns a standard deviation."""


class RNNParams(Params):
    """A stacked GRU or LSTM."""

    cell: Literal["gru", "lstm"] = "lstm"
    """Kind of cell."""
    width: Width = 96
    """Units of a layer, in each direction."""
    layers: Layers = 1
    """Number of layers."""
    bidirectional: bool = True
    """Whether the sample is also read from its end."""
    dropout: Dropout = 0.1
    """Probability before the last layer."""


class TransformerParams(Params):
    """A Transformer encoder."""

    patch: int | None = Field(default=None, ge=1)
    """Edge of a patch in pixels, or steps of a patch of a window; None lets the network choose."""
    width: Width = 64
    """Features of a token."""
    layers: Layers = 3
    """Encoder layers."""
    heads: int = Field(default=4, ge=1, le=256)
    """Attention heads; must divide the width."""
    dropout: Dropout = 0.1
    """Probability inside the layers."""

    @model_validator(mode="after")
    def _check_heads(self) -> "TransformerParams":
        if self.width % self.heads:
            raise ValueError(
                f"heads ({self.heads}) must divide width; got a width of {self.width}; choose "
                "another"
            )
        return self


class SeriesMLPParams(MLPParams):
    """Each forecast channel by itself: a linear map of its past, plus hidden layers."""

    widths: tuple[Width, ...] = Field(default=(256,), min_length=1)
    """Units of each hidden layer."""
    mix: bool = False
    """Whether the network sees all channels at once instead; always so where nothing is
    forecast."""


class SeriesCNNParams(Params):
    """A convolutional network over time (TCN; Bai et al., 2018).

    Each block reaches twice as far as the one before.
    """

    width: Width = 64
    """Channels of a layer."""
    layers: int = Field(default=4, ge=1, le=16)
    """Blocks."""
    kernel: int = Field(default=3, ge=3, le=63)
    """Steps that a convolution sees, odd."""
    dropout: Dropout = 0.1
    """Probability in each block."""

    @model_validator(mode="after")
    def _check_kernel(self) -> "SeriesCNNParams":
        if self.kernel % 2 == 0:
            raise ValueError(
                f"kernel ({self.kernel}) must be odd; got an even one; choose {self.kernel + 1}"
            )
        return self


class SeriesTransformerParams(TransformerParams):
    """Patches of each channel's window as tokens (PatchTST; Nie et al., 2023)."""

    steps: ClassVar[tuple[str, ...]] = ("patch",)

    patch: int = Field(default=16, ge=1)
    """Steps of a patch; at most the lookback."""
    stride: int = Field(default=8, ge=1)
    """Steps between the starts of two patches."""
    width: Width = 16
    """Features of a token."""
    layers: Layers = 2
    """Encoder layers."""
    dropout: Dropout = 0.3
    """Probability inside the layers."""


class DLinearParams(Params):
    """Trend and remainder, each mapped linearly to the future (DLinear; Zeng et al., 2023)."""

    steps: ClassVar[tuple[str, ...]] = ("kernel",)

    kernel: int = Field(default=25, ge=3)
    """Steps of the moving average that is the trend, odd."""

    @model_validator(mode="after")
    def _check_kernel(self) -> "DLinearParams":
        if self.kernel % 2 == 0:
            raise ValueError(
                f"kernel ({self.kernel}) must be odd; got an even one; choose {self.kernel + 1}"
            )
        return self


class AutoencoderParams(Params):
    """Linear layers down to a code and back."""

    restores: ClassVar[bool] = True
    widths: tuple[Width, ...] = Field(default=(64,), min_length=1)
    """Units of each layer on the way down; the way back mirrors them."""
    code: Width = 8
    """Numbers of the code in the middle."""
    dropout: Dropout = 0.0
    """Probability after each hidden layer."""


class ClosedLinearParams(Params):
    """Least squares with a little ridge, logistic regression of classes; no parameters.

    It is fitted at once, so that of `train` only class weights matter.
    """


class SeasonalNaiveParams(Params):
    """What was seen one season before each step; nothing is fitted."""

    objectives: ClassVar[tuple[str, ...]] = ("forecast",)
    steps: ClassVar[tuple[str, ...]] = ("season",)

    season: int = Field(default=1, ge=1, le=65_536)
    """Steps of a season, at most the lookback; 1 repeats the last value (persistence)."""


class DistanceParams(Params):
    """How far a sample is from the mean of normal rows, by their deviations. No parameters."""

    restores: ClassVar[bool] = True


class TreesParams(Params):
    """Boosted trees (Friedman, 2001), fitted at once by scikit-learn, exported as one ONNX node."""

    trees: int = Field(default=100, ge=1, le=5000)
    """Rounds of boosting; of more than two classes each has a tree a class."""
    leaves: int = Field(default=31, ge=2, le=1024)
    """Most leaves of a tree."""
    depth: int = Field(default=8, ge=1, le=64)
    """Most questions to a leaf."""
    rate: float = Field(default=0.1, gt=0, le=1)
    """Share of each tree's answer that counts."""
    least_rows: int = Field(default=20, ge=1)
    """Fewest training rows of a leaf."""


DEFAULT_FAMILIES = ("cnn", "mlp", "autoencoder")
"""Where a recipe names none, the first of these that suits its kind."""
IMAGE_FAMILIES: dict[str, type[Params]] = {
    "mlp": MLPParams,
    "cnn": ImageCNNParams,
    "resnet": ResNetParams,
    "rnn": RNNParams,
    "transformer": TransformerParams,
    "linear_probe": LinearProbeParams,
}
TABLE_FAMILIES: dict[str, type[Params]] = {
    "linear": LinearParams,
    "mlp": TableMLPParams,
    "autoencoder": AutoencoderParams,
    "closed_linear": ClosedLinearParams,
    "trees": TreesParams,
    "distance": DistanceParams,
}
SERIES_FAMILIES: dict[str, type[Params]] = {
    "linear": LinearParams,
    "dlinear": DLinearParams,
    "mlp": SeriesMLPParams,
    "cnn": SeriesCNNParams,
    "rnn": RNNParams,
    "transformer": SeriesTransformerParams,
    "autoencoder": AutoencoderParams,
    "closed_linear": ClosedLinearParams,
    "seasonal_naive": SeasonalNaiveParams,
    "distance": DistanceParams,
}
