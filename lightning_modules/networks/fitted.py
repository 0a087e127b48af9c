"""Networks that are fitted at once on training rows: what a network of many steps must beat.

Each is what a baseline is, so that where one wins, it can ship.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lightning_modules.networks.channels import check_series
from lightning_modules.networks.linear import Linear

RIDGE = 1e-3
NEVER = -30.0
"""Logit of a class that no training row has."""
LEAST_DEVIATION = 1e-6
"""Below this, in standard deviations of all rows, a feature is taken for constant."""
MOST_STEPS = 1000
FitRows = Callable[[Tensor, Tensor, Tensor], None]


def solve_ridge(square: NDArray[Any], cross: NDArray[Any]) -> NDArray[Any]:
    """Returns the weights of least squares with a little ridge, from the normal equations."""
    scale = float(np.trace(square)) / len(square) or 1.0
    return np.asarray(np.linalg.solve(square + RIDGE * scale * np.eye(len(square)), cross))


def regress_classes(
    rows: Tensor, labels: Tensor, weight: Tensor, classes: int, *, strength: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Returns slopes (K, D) and offsets (K,) of logistic regression, float32.

    Args:
        rows: (N, D).
        labels: (N,) int64; a class that none has is never answered.
        weight: (N,) what each row counts.
        classes: K.
        strength: Inverse strength of the penalty.
    """
    from sklearn.linear_model import LogisticRegression

    seen = np.unique(labels.numpy()).tolist()
    slopes = torch.zeros(classes, rows.shape[1])
    offsets = torch.full((classes,), NEVER)
    offsets[seen] = 0.0
    if len(seen) > 1:
        fitted = LogisticRegression(C=strength, max_iter=MOST_STEPS).fit(
            rows.double().numpy(), labels.numpy(), sample_weight=weight.numpy()
        )
        # Of two classes it has the logit of the second one alone.
        held = seen[1:] if len(seen) == 2 else seen
        slopes[held] = torch.from_numpy(fitted.coef_).float()
        offsets[held] = torch.from_numpy(fitted.intercept_).float()
    return slopes, offsets


class FittedNetwork(nn.Module, ABC):
    """Base of networks whose weights follow from training rows in closed form, or by their own way.

    They are asked, exported and kept as any other.

    Attributes:
        takes_start: Whether there are weights below what is fitted, which may be given.
    """

    takes_start: ClassVar[bool] = False

    @abstractmethod
    def fit_rows(self, features: Tensor, wanted: Tensor, weight: Tensor) -> None:
        """Sets the weights.

        Args:
            features: What the head gives for training rows, (N, ...) float32, N >= 1.
            wanted: Labels (N,) int64, or values in standard deviations (N,) or (N, H, T), NaN where
                there is none.
            weight: (N,) what each row counts, with a mean of about 1.
        """

    def list_attributes(self) -> dict[str, dict[str, Any]]:
        """Returns attributes of exported nodes, by operator, that tracing would take minutes for.

        There is at most one node of that operator in the network.
        """
        return {}


class ClosedLinear(Linear, FittedNetwork):
    """Least squares with a little ridge; of classes, logistic regression.

    Of a forecast, all channels share one map of what lies between each step and the last one
    (NLinear; Zeng et al., 2023).

    Args:
        input_shape: (D,) or (L, C).
        outputs: K, or (H, T).
    """

    def follow(self, past: Tensor) -> Tensor:
        """Turns a channel's past (..., L) into its future (..., H)."""
        last = past[..., -1:]
        return super().follow(past - last) + last

    def fit_rows(self, features: Tensor, wanted: Tensor, weight: Tensor) -> None:
        """Solves for the weights."""
        if self.channels:
            past = features[..., : self.channels].transpose(1, 2)
            rows = (past - past[..., -1:]).flatten(0, 1)
            aim = (wanted - features[:, -1:, : self.channels]).transpose(1, 2).flatten(0, 1)
            self._solve(rows, aim, weight.repeat_interleave(self.channels))
        elif wanted.is_floating_point():
            self._solve(features.flatten(1), wanted.reshape(len(wanted), -1), weight)
        else:
            self._set(
                *regress_classes(features.flatten(1), wanted, weight, self.layer.out_features)
            )

    def _solve(self, rows: Tensor, aim: Tensor, weight: Tensor) -> None:
        known = ~torch.isnan(aim).any(1)
        rows, aim, weight = (part[known].double() for part in (rows, aim, weight))
        rows = torch.cat([rows, torch.ones(len(rows), 1, dtype=torch.float64)], 1)
        weighted = rows * weight[:, None]
        solved = solve_ridge((rows.T @ weighted).numpy(), (weighted.T @ aim).numpy())
        self._set(torch.from_numpy(solved[:-1].T), torch.from_numpy(solved[-1]))

    def _set(self, slopes: Tensor, offsets: Tensor) -> None:
        with torch.no_grad():
            self.layer.weight.copy_(slopes)
            self.layer.bias.copy_(offsets)


class SeasonalNaive(FittedNetwork):
    """Forecasts what was seen one season before each step; of a season of one step, the last value.

    Args:
        input_shape: (L, C).
        outputs: (H, T).
        season: Steps of a season, at most the lookback.
        lead: Steps between the last one seen and the first one forecast.

    Raises:
        ValueError: Nothing is forecast, or the season is longer than the lookback.
    """

    places: Tensor

    def __init__(
        self,
        *,
        input_shape: tuple[int, ...],
        outputs: int | tuple[int, ...],
        season: int = 1,
        lead: int = 0,
    ) -> None:
        super().__init__()
        lookback, _ = check_series(input_shape)
        if not isinstance(outputs, tuple):
            raise ValueError(  # noqa: TRY004 - refused as any other wrong number is
                f"outputs must be steps of columns (H, T); got {outputs}"
            )
        if not 1 <= season <= lookback:
            raise ValueError(f"season must be from 1 to the lookback of {lookback}; got {season}")
        self.channels = outputs[1]
        places = lookback - season + (lead + torch.arange(outputs[0])) % season
        self.register_buffer("places", places, persistent=False)

    def fit_rows(self, features: Tensor, wanted: Tensor, weight: Tensor) -> None:
        """Does nothing: there is nothing to fit."""

    def forward(self, window: Tensor) -> Tensor:
        """Turns (N, L, C) float32 into (N, H, T) float32."""
        return window[..., : self.channels].index_select(1, self.places)


class Distance(FittedNetwork):
    """Scores a sample by its squared distance from the mean of the normal training rows.

    Each feature counts in standard deviations of those rows: anomalies among what is learned from
    are far away in just the features that tell them, and would make these count for little.

    Args:
        input_shape: (D,) or (L, C).
        outputs: That same shape.

    Attributes:
        mean: Buffer of the input's shape, float32.
        deviation: Buffer of that shape, above 0.

    Raises:
        ValueError: The answer is not asked for in the input's shape.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, *, input_shape: tuple[int, ...], outputs: int | tuple[int, ...]) -> None:
        super().__init__()
        if outputs != input_shape:
            raise ValueError(f"outputs must be the input's shape {input_shape}; got {outputs}")
        self.register_buffer("mean", torch.zeros(input_shape))
        self.register_buffer("deviation", torch.ones(input_shape))

    def fit_rows(self, features: Tensor, wanted: Tensor, weight: Tensor) -> None:
        """Takes mean and deviation of the rows that are normal, whose label is 0."""
        del weight
        normal = features[wanted == 0].double()
        if not len(normal):
            return
        deviation = normal.std(0, correction=0)
        self.mean.copy_(normal.mean(0))
        self.deviation.copy_(torch.where(deviation > LEAST_DEVIATION, deviation, 1.0))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Loads the weights; a network of before has none, and stays as nothing was fitted."""
        for name, value in self.named_buffers():
            state_dict.setdefault(f"{prefix}{name}", value)
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def forward(self, sample: Tensor) -> Tensor:
        """Turns (N, ...) float32 into what lies as far from it as the score says."""
        return sample - (sample - self.mean) / self.deviation
