"""Networks that know something of the steps that they forecast."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

HIDDEN = 32


class KnownAhead(nn.Module):
    """Adds to a forecast from the past what the known columns of each step to come make of it.

    Args:
        network: (N, L, C) to (N, Q * H, T).
        lookback: L, steps of the past; the features hold those to come behind them.
        horizon: H, the last steps of the features.
        known: Places of the features that are known of them; none where the network looks at the
            past alone, as one that is fitted at once does.
        outputs: (Q * H, T).
    """

    places: Tensor

    def __init__(
        self,
        network: nn.Module,
        lookback: int,
        horizon: int,
        known: Sequence[int],
        outputs: tuple[int, ...],
    ) -> None:
        super().__init__()
        self.network = network
        self.lookback, self.horizon, self.outputs = lookback, horizon, outputs
        self.register_buffer("places", torch.tensor(known, dtype=torch.int64), persistent=False)
        answers = outputs[0] // horizon * outputs[1]
        self.steps = (
            nn.Sequential(nn.Linear(len(known), HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, answers))
            if known
            else None
        )

    def forward(self, features: Tensor) -> Tensor:
        """Turns (N, L + lead + H, C) float32 into (N, Q * H, T) float32."""
        answer: Tensor = self.network(self.take_past(features))
        if self.steps is None:
            return answer
        ahead = features[:, features.shape[1] - self.horizon :].index_select(2, self.places)
        change: Tensor = self.steps(ahead)
        # (N, H, Q * T) to one quantile after the other, as the network answers.
        parts = change.reshape(-1, self.horizon, self.outputs[0] // self.horizon, self.outputs[1])
        return answer + parts.transpose(1, 2).reshape(-1, *self.outputs)

    def take_past(self, features: Tensor) -> Tensor:
        """Returns the steps of the past, (N, L, C)."""
        past: Tensor = features[:, : self.lookback]
        return past
