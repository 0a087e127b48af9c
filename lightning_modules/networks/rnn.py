"""Recurrent networks: a sample is read row by row, each row of pixels one step in time."""

from typing import Literal

from torch import Tensor, nn


class RNN(nn.Module):
    """A stacked GRU or LSTM, read both ways, and a linear layer.

    After Cho et al. (2014) and Hochreiter and Schmidhuber (1997).

    Args:
        input_shape: (C, H, W); a sample has H steps of C * W values.
        outputs: K.
        cell: "gru" or "lstm".
        width: Units of a layer, in each direction.
        layers: Number of layers.
        bidirectional: Whether the sample is also read from its end.
        dropout: Probability before the last layer, in [0, 1).

    Raises:
        ValueError: Another cell, no layer or no unit, or an input that is not (C, H, W).
    """

    def __init__(
        self,
        *,
        input_shape: tuple[int, ...],
        outputs: int,
        cell: Literal["gru", "lstm"] = "lstm",
        width: int = 96,
        layers: int = 1,
        bidirectional: bool = True,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if len(input_shape) != 3:
            raise ValueError(f"the input must be (C, H, W); got the shape {input_shape}")
        if cell not in ("gru", "lstm"):
            raise ValueError(f"cell must be gru or lstm; got {cell!r}")
        if width < 1 or layers < 1:
            raise ValueError(f"width and layers must be at least 1; got {width} and {layers}")
        channels, _, columns = input_shape
        kind = nn.GRU if cell == "gru" else nn.LSTM
        self.recurrent = kind(
            channels * columns, width, layers, batch_first=True, bidirectional=bidirectional
        )
        self.norm = nn.LayerNorm(width * (1 + bidirectional))
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(width * (1 + bidirectional), outputs)

    def forward(self, sample: Tensor) -> Tensor:
        """Turns (N, C, H, W) float32 into (N, K) float32."""
        steps = sample.transpose(1, 2).flatten(2)
        states, _ = self.recurrent(steps)
        logits: Tensor = self.classifier(self.dropout(self.norm(states.mean(1))))
        return logits
