"""A Transformer over patches of a window, each channel by itself (PatchTST; Nie et al., 2023)."""

import torch
from torch import Tensor, nn

from lightning_modules.networks.channels import check_series, count_outputs
from lightning_modules.networks.transformer import EncoderLayer


class PatchTransformer(nn.Module):
    """Attends over patches of each channel, with encoder layers that all channels share.

    A linear layer over all tokens answers.

    Args:
        input_shape: (L, C).
        outputs: K, which all channels answer together, or (H, T), where each of the first T answers
            for itself.
        patch: Steps of a patch.
        stride: Steps between the starts of two patches; the last value is held to fill up the last
            one.
        width: Features of a token.
        layers: Encoder layers.
        heads: Attention heads; must divide the width.
        dropout: Probability inside the layers and before the last one, in [0, 1).

    Raises:
        ValueError: A patch is longer than the window, or the heads do not divide the width.
    """

    def __init__(
        self,
        *,
        input_shape: tuple[int, ...],
        outputs: int | tuple[int, ...],
        patch: int = 16,
        stride: int = 8,
        width: int = 16,
        layers: int = 2,
        heads: int = 4,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        lookback, channels = check_series(input_shape)
        if patch > lookback:
            raise ValueError(f"patch must be at most the lookback of {lookback} steps; got {patch}")
        if width % heads:
            raise ValueError(f"heads must divide width; got {heads} heads and a width of {width}")
        self.forecasts = isinstance(outputs, tuple)
        self.channels = outputs[1] if isinstance(outputs, tuple) else channels
        self.patch, self.stride = patch, stride
        self.padding = -(lookback - patch) % stride
        self.tokens = (lookback + self.padding - patch) // stride + 1
        self.embed = nn.Linear(patch, width)
        self.places = nn.Parameter(0.02 * torch.randn(self.tokens, width))
        self.layers = nn.Sequential(*(EncoderLayer(width, heads, dropout) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        answers = outputs[0] if isinstance(outputs, tuple) else count_outputs(outputs)
        self.last = nn.Linear(self.tokens * width * (1 if self.forecasts else channels), answers)

    def forward(self, window: Tensor) -> Tensor:
        """Turns (N, L, C) float32 into (N, K) or (N, H, T) float32."""
        values = window[..., : self.channels].transpose(1, 2)
        if self.padding:
            values = torch.cat([values, values[..., -1:].expand(-1, -1, self.padding)], -1)
        pieces = [
            values[..., token * self.stride : token * self.stride + self.patch]
            for token in range(self.tokens)
        ]
        tokens = self.dropout(self.embed(torch.stack(pieces, 2)) + self.places).flatten(0, 1)
        seen = self.norm(self.layers(tokens)).flatten(1).unflatten(0, (-1, self.channels))
        if not self.forecasts:
            seen = seen.flatten(1)
        answer: Tensor = self.last(self.dropout(seen))
        return answer.transpose(1, 2) if self.forecasts else answer
