"""What networks for windows share: channels that are forecast one by one, and what a network answers."""

from collections.abc import Callable
from math import prod

from torch import Tensor


def check_series(input_shape: tuple[int, ...]) -> tuple[int, int]:
    """Lookback and channels of a window.

    Raises:
        ValueError: The input is no window (L, C).
    """
    if len(input_shape) != 2:
        raise ValueError(f"the input must be a window (L, C); got the shape {input_shape}")
    return input_shape[0], input_shape[1]


def count_outputs(outputs: int | tuple[int, ...]) -> int:
    """Numbers that a network answers for one sample."""
    return outputs if isinstance(outputs, int) else prod(outputs)


def shape_answer(answer: Tensor, outputs: int | tuple[int, ...]) -> Tensor:
    """(N, numbers) to (N, K) or (N, H, T)."""
    return answer if isinstance(outputs, int) else answer.reshape(-1, *outputs)


def per_channel(network: Callable[[Tensor], Tensor], window: Tensor, channels: int) -> Tensor:
    """A network of one channel's past (..., L) to its future (..., H), for the first channels of a window.

    Args:
        network: Shared by all channels.
        window: (N, L, C).
        channels: T.

    Returns:
        (N, H, T).
    """
    return network(window[..., :channels].transpose(1, 2)).transpose(1, 2)
