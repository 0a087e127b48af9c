"""A Transformer encoder over patches of an image, normalised before each layer.

After Dosovitskiy et al. (2021).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

FEWEST_PATCHES = 36


class EncoderLayer(nn.Module):
    """Attends, then feeds forward, each added to its input.

    After Vaswani et al. (2017).

    Args:
        width: Features of a token.
        heads: Attention heads; must divide the width.
        dropout: Probability behind each half, in [0, 1).
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention = nn.LayerNorm(width)
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.merge = nn.Linear(width, width)
        self.norm_forward = nn.LayerNorm(width)
        self.forward_network = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """Turns (N, T, width) into the same shape."""
        tokens = tokens + self.dropout(self.merge(self.attend(self.norm_attention(tokens))))
        change: Tensor = self.dropout(self.forward_network(self.norm_forward(tokens)))
        return tokens + change

    def attend(self, tokens: Tensor) -> Tensor:
        """Attends over (N, T, width), heads side by side."""
        parts = (
            self.queries_keys_values(tokens)
            .unflatten(2, (3, self.heads, -1))
            .permute(2, 0, 3, 1, 4)
        )
        mixed = functional.scaled_dot_product_attention(parts[0], parts[1], parts[2])
        return mixed.transpose(1, 2).flatten(2)


class Transformer(nn.Module):
    """Patches to tokens, encoder layers, their mean to the logits.

    Args:
        input_shape: (C, H, W).
        outputs: K.
        patch: Edge of a patch in pixels, which must divide H and W; None takes the largest of 8, 4,
            2, 1 that leaves at least 36 patches.
        width: Features of a token.
        layers: Encoder layers.
        heads: Attention heads; must divide the width.
        dropout: Probability inside the layers, in [0, 1).

    Raises:
        ValueError: A number does not divide as it must, or the input is not an image.
    """

    def __init__(
        self,
        *,
        input_shape: tuple[int, ...],
        outputs: int,
        patch: int | None = None,
        width: int = 64,
        layers: int = 3,
        heads: int = 4,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if len(input_shape) != 3:
            raise ValueError(f"the input must be an image (C, H, W); got the shape {input_shape}")
        if width < 1 or heads < 1 or width % heads:
            raise ValueError(f"heads must divide width; got {heads} heads and a width of {width}")
        if layers < 1:
            raise ValueError(f"layers must be at least 1; got {layers}")
        channels, height, columns = input_shape
        edge = patch if patch is not None else choose_patch(height, columns)
        if edge < 1 or height % edge or columns % edge:
            raise ValueError(
                f"patch must divide the image's {height} x {columns} pixels; got {edge}"
            )
        self.embed = nn.Conv2d(channels, width, edge, stride=edge)
        self.places = nn.Parameter(0.02 * torch.randn(1, height * columns // edge**2, width))
        self.layers = nn.Sequential(*(EncoderLayer(width, heads, dropout) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        self.classifier = nn.Linear(width, outputs)

    def forward(self, image: Tensor) -> Tensor:
        """Turns (N, C, H, W) float32 into (N, K) float32."""
        tokens = self.embed(image).flatten(2).transpose(1, 2) + self.places
        logits: Tensor = self.classifier(self.norm(self.layers(tokens)).mean(1))
        return logits


def choose_patch(height: int, columns: int) -> int:
    """Returns the largest of 8, 4, 2, 1 that divides both edges.

    It must leave enough patches to attend to.
    """
    fitting = (edge for edge in (8, 4, 2) if height % edge == 0 and columns % edge == 0)
    return next((edge for edge in fitting if height * columns // edge**2 >= FEWEST_PATCHES), 1)
