"""A multilayer perceptron over the flattened sample."""

from collections.abc import Sequence
from math import prod

from torch import Tensor, nn


class MLP(nn.Module):
    """Linear layers with ReLU between them.

    Args:
        input_shape: (C, H, W) of a sample.
        outputs: K.
        widths: Units of each hidden layer, at least one layer.
        dropout: Probability after each hidden layer, in [0, 1).

    Raises:
        ValueError: No hidden layer, or an empty one.
    """

    def __init__(
        self, *, input_shape: tuple[int, ...], outputs: int, widths: Sequence[int] = (256, 256), dropout: float = 0.1
    ) -> None:
        super().__init__()
        if not widths or min(widths) < 1:
            raise ValueError(f"widths must name at least one layer of at least one unit; got {list(widths)}")
        layers: list[nn.Module] = []
        inputs = prod(input_shape)
        for width in widths:
            layers += [nn.Linear(inputs, width), nn.ReLU(), nn.Dropout(dropout)]
            inputs = width
        self.hidden = nn.Sequential(*layers)
        self.classifier = nn.Linear(inputs, outputs)

    def forward(self, sample: Tensor) -> Tensor:
        """(N, C, H, W) float32 to (N, K) float32."""
        logits: Tensor = self.classifier(self.hidden(sample.flatten(1)))
        return logits
