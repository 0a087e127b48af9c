"""The table of built-in networks of each form."""

from collections.abc import Callable, Mapping

from torch import nn

from lightning_modules.networks.autoencoder import Autoencoder
from lightning_modules.networks.cnn import CNN
from lightning_modules.networks.ensemble import TableMLP
from lightning_modules.networks.fitted import ClosedLinear, Distance, SeasonalNaive
from lightning_modules.networks.linear import DLinear, Linear
from lightning_modules.networks.mlp import MLP
from lightning_modules.networks.patches import PatchTransformer
from lightning_modules.networks.probe import LinearProbe
from lightning_modules.networks.resnet import ResNet
from lightning_modules.networks.rnn import RNN
from lightning_modules.networks.transformer import Transformer
from lightning_modules.networks.trees import BoostedTrees
from lightning_modules.networks.windows import SeriesCNN, SeriesMLP, SeriesRNN
from storage.base.registry import Registry

Families = Mapping[str, Callable[..., nn.Module]]
NETWORKS: Registry[Families] = Registry("form of samples", "lightning_modules")
"""Builders `(input_shape=..., outputs=..., **params) -> nn.Module` by family, for each form."""
NETWORKS.register(
    "image",
    {
        "mlp": MLP,
        "cnn": CNN,
        "resnet": ResNet,
        "rnn": RNN,
        "transformer": Transformer,
        "linear_probe": LinearProbe,
    },
)
NETWORKS.register(
    "table",
    {
        "linear": Linear,
        "mlp": TableMLP,
        "autoencoder": Autoencoder,
        "closed_linear": ClosedLinear,
        "trees": BoostedTrees,
        "distance": Distance,
    },
)
NETWORKS.register(
    "series",
    {
        "linear": Linear,
        "dlinear": DLinear,
        "mlp": SeriesMLP,
        "cnn": SeriesCNN,
        "rnn": SeriesRNN,
        "transformer": PatchTransformer,
        "autoencoder": Autoencoder,
        "closed_linear": ClosedLinear,
        "seasonal_naive": SeasonalNaive,
        "distance": Distance,
    },
)
