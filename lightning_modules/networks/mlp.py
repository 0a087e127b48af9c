"""A multilayer perceptron over the flattened sample."""

from collections.abc import Sequence
from math import prod

from torch import Tensor, nn


class MLP(nn.Module):
    """Linear layers with ReLU between them.

    Args:
        input_shape: Of a sample, (C, H, W) or (D,).
        outputs: K.
        widths: Units of each hidden layer, at least one layer.
        dropout: Probability after each hidden layer, in [0, 1).

    Raises:
        ValueError: No hidden layer, or an empty one.
    """

    def __init__(
        self,
        *,
        input_shape: tuple[int, ...],
        outputs: int,
        widths: Sequence[int] = (256, 256),
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if not widths or min(widths) < 1:
            raise ValueError(
                f"widths must name at least one layer of at least one unit; got {list(widths)}"
            )
        self.hidden = make_hidden(prod(input_shape), widths, dropout)
        self.classifier = nn.Linear(widths[-1], outputs)

    def forward(self, sample: Tensor) -> Tensor:
        """Turns (N, ...) float32 into (N, K) float32."""
        logits: Tensor = self.classifier(self.hidden(sample.flatten(1)))
        return logits


def make_hidden(inputs: int, widths: Sequence[int], dropout: float) -> nn.Sequential:
    """Returns hidden layers: linear, ReLU, dropout each."""
    layers: list[nn.Module] = []
    for width in widths:
        layers += [nn.Linear(inputs, width), nn.ReLU(), nn.Dropout(dropout)]
        inputs = width
    return nn.Sequential(*layers)
