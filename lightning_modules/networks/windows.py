"""Networks for windows of series: an MLP, a convolutional and a recurrent one."""

from collections.abc import Sequence
from math import prod
from typing import Literal

import torch
from torch import Tensor, nn

from lightning_modules.networks.channels import (
    check_series,
    count_outputs,
    per_channel,
    shape_answer,
)
from lightning_modules.networks.mlp import make_hidden


class SeriesMLP(nn.Module):
    """Adds hidden layers to a linear map of the window.

    A forecast takes each channel by itself, unless they are mixed.

    Args:
        input_shape: (L, C).
        outputs: K, or (H, T).
        widths: Units of each hidden layer.
        dropout: Probability after each hidden layer, in [0, 1).
        mix: Whether a forecast sees all channels at once.
    """

    def __init__(
        self,
        *,
        input_shape: tuple[int, ...],
        outputs: int | tuple[int, ...],
        widths: Sequence[int] = (256,),
        dropout: float = 0.1,
        mix: bool = False,
    ) -> None:
        super().__init__()
        lookback, _ = check_series(input_shape)
        self.outputs = outputs
        self.channels = 0 if mix or isinstance(outputs, int) else outputs[1]
        inputs = lookback if self.channels else prod(input_shape)
        answers = (
            outputs[0] if self.channels and not isinstance(outputs, int) else count_outputs(outputs)
        )
        self.direct = nn.Linear(inputs, answers)
        self.hidden = make_hidden(inputs, widths, dropout)
        self.last = nn.Linear(widths[-1], answers)

    def forward(self, window: Tensor) -> Tensor:
        """(N, L, C) float32 to (N, K) or (N, H, T) float32."""
        if self.channels:
            return per_channel(self.answer, window, self.channels)
        return shape_answer(self.answer(window.flatten(1)), self.outputs)

    def answer(self, past: Tensor) -> Tensor:
        """(..., inputs) to (..., answers)."""
        answer: Tensor = self.direct(past) + self.last(self.hidden(past))
        return answer


class TimeBlock(nn.Module):
    """Convolves twice over time; the input passes around unchanged.

    `dilation` steps lie between the taps.
    """

    def __init__(self, width: int, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        padding = dilation * (kernel // 2)
        self.layers = nn.Sequential(
            nn.Conv1d(width, width, kernel, padding=padding, dilation=dilation),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Conv1d(width, width, kernel, padding=padding, dilation=dilation),
            nn.ReLU(),
            nn.Dropout(dropout),
        )

    def forward(self, features: Tensor) -> Tensor:
        """(N, width, L) to the same shape."""
        change: Tensor = self.layers(features)
        return features + change


class SeriesCNN(nn.Module):
    """Convolves over time, each block with twice the reach of the one before.

    Args:
        input_shape: (L, C).
        outputs: K, or (H, T).
        width: Channels of a layer.
        layers: Blocks.
        kernel: Steps that a convolution sees, odd.
        dropout: Probability in each block, in [0, 1).
    """

    def __init__(
        self,
        *,
        input_shape: tuple[int, ...],
        outputs: int | tuple[int, ...],
        width: int = 64,
        layers: int = 4,
        kernel: int = 3,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        _, channels = check_series(input_shape)
        self.outputs = outputs
        self.stem = nn.Conv1d(channels, width, 1)
        self.blocks = nn.Sequential(
            *(TimeBlock(width, kernel, 2**level, dropout) for level in range(layers))
        )
        # The window's mean, and its last step, which is the nearest to what is asked for.
        self.last = nn.Linear(2 * width, count_outputs(outputs))

    def forward(self, window: Tensor) -> Tensor:
        """(N, L, C) float32 to (N, K) or (N, H, T) float32."""
        features = self.blocks(self.stem(window.transpose(1, 2)))
        seen = features.mean(2), features[..., -1]
        return shape_answer(self.last(nn.functional.relu(torch.cat(seen, 1))), self.outputs)


class SeriesRNN(nn.Module):
    """A stacked GRU or LSTM over the steps of a window.

    After Cho et al. (2014) and Hochreiter and Schmidhuber (1997).

    Args:
        input_shape: (L, C).
        outputs: K, or (H, T).
        cell: "gru" or "lstm".
        width: Units of a layer, in each direction.
        layers: Number of layers.
        bidirectional: Whether the window is also read from its end.
        dropout: Probability before the last layer, in [0, 1).
    """

    def __init__(
        self,
        *,
        input_shape: tuple[int, ...],
        outputs: int | tuple[int, ...],
        cell: Literal["gru", "lstm"] = "lstm",
        width: int = 96,
        layers: int = 1,
        bidirectional: bool = True,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        _, channels = check_series(input_shape)
        kind = nn.GRU if cell == "gru" else nn.LSTM
        self.outputs = outputs
        self.recurrent = kind(
            channels, width, layers, batch_first=True, bidirectional=bidirectional
        )
        features = width * (1 + bidirectional)
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Linear(2 * features, count_outputs(outputs))

    def forward(self, window: Tensor) -> Tensor:
        """(N, L, C) float32 to (N, K) or (N, H, T) float32."""
        states, _ = self.recurrent(window)
        return shape_answer(
            self.last(self.dropout(torch.cat([states.mean(1), states[:, -1]], 1))), self.outputs
        )
