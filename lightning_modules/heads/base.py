"""What a form does with torch: its head, and made-up samples of it."""

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import nn

from lightning_modules.specs.model import HeadSpec
from lightning_modules.specs.samples import Sample

S = TypeVar("S", bound=Sample)


class FormHead(ABC, Generic[S]):
    """Base of the rows of `heads.registry.HEADS`: one form of samples.

    Attributes:
        has_features: Whether `flatten_features` gives features that a linear baseline can use.
        compares_neighbours: Whether samples that lie near each other by these look alike, so that
            nearest neighbours are a baseline of classes.
    """

    has_features: bool = True
    compares_neighbours: bool = False

    @abstractmethod
    def build_head(self, spec: HeadSpec, sample: S) -> nn.Module:
        """Returns the module that turns raw samples (N, ...) into features (N, ...) float32.

        Args:
            spec: What the recipe asks for.
            sample: What a sample is, and what was fitted on the training rows.

        Raises:
            SpecError: It cannot be built, or does not suit the sample.
        """

    @abstractmethod
    def measure_features(self, head: nn.Module, spec: HeadSpec, sample: S) -> tuple[int, ...]:
        """Returns the shape of one sample behind the head: the input shape of a network.

        Raises:
            SpecError: The head does not take such samples, or gives no features.
        """

    def shape_input(self, features: tuple[int, ...], sample: S) -> tuple[int, ...]:
        """Returns what of a sample's features a network is built for; here, all of them.

        Args:
            features: Shape of one sample behind the head.
            sample: What a sample is.
        """
        del sample
        return features

    def wrap_network(
        self, network: nn.Module, spec: HeadSpec, sample: S, *, restores: bool, once: bool = False
    ) -> nn.Module:
        """Returns the network with what the head's settings put around it.

        Args:
            network: As its family builds it.
            spec: The head's settings.
            sample: What a sample is, as the network is asked.
            restores: Whether the network gives its input back.
            once: Whether it is fitted at once, so that nothing beside it would be.
        """
        del spec, sample, restores, once
        return network

    @abstractmethod
    def make_raw(self, sample: S, rows: int, draw: np.random.Generator) -> NDArray[Any]:
        """Returns made-up raw samples, (rows, *sample.shape) of `sample.dtype`, for dry runs."""

    def flatten_features(self, sample: S, raw: NDArray[Any]) -> NDArray[np.float64]:
        """Returns features (N, features) of raw samples, for linear baselines."""
        raise NotImplementedError(f"{type(self).__name__} has no features for linear baselines")
