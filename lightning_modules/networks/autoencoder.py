"""An autoencoder: what it cannot give back is unlike what it was trained on.

After Rumelhart, Hinton and Williams (1986).
"""

from collections.abc import Sequence
from math import prod

from torch import Tensor, nn

from lightning_modules.networks.mlp import make_hidden


class Autoencoder(nn.Module):
    """Linear layers down to a code and back; the answer has the input's shape.

    Args:
        input_shape: (D,) or (L, C).
        outputs: Shape of the answer: that of the input.
        widths: Units of each layer on the way down; the way back mirrors them.
        code: Numbers of the code.
        dropout: Probability after each hidden layer, in [0, 1).

    Raises:
        ValueError: The answer is not asked for in the input's shape.
    """

    def __init__(
        self,
        *,
        input_shape: tuple[int, ...],
        outputs: int | tuple[int, ...],
        widths: Sequence[int] = (64,),
        code: int = 8,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if outputs != input_shape:
            raise ValueError(
                f"an autoencoder must answer with its input's shape {input_shape}; got {outputs}"
            )
        self.input_shape = input_shape
        size = prod(input_shape)
        self.encoder = nn.Sequential(
            make_hidden(size, widths, dropout), nn.Linear(widths[-1], code)
        )
        mirrored = tuple(reversed(widths))
        self.decoder = nn.Sequential(
            make_hidden(code, mirrored, dropout), nn.Linear(mirrored[-1], size)
        )

    def forward(self, sample: Tensor) -> Tensor:
        """Turns (N, ...) float32 into the same shape."""
        answer: Tensor = self.decoder(self.encoder(sample.flatten(1)))
        return answer.reshape(-1, *self.input_shape)
