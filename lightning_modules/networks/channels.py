"""What networks for windows share: channels that are forecast one by one, and answers."""

from collections.abc import Callable
from math import prod

from torch import Tensor


def check_series(input_shape: tuple[int, ...]) -> tuple[int, int]:
    """Returns lookback and channels of a window.

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
    """Turns (N, numbers) into (N, K) or (N, H, T)."""
    return answer if isinstance(outputs, int) else answer.reshape(-1, *outputs)


def per_channel(network: Callable[[Tensor], Tensor], window: Tensor, channels: int) -> Tensor:
    """Applies a network of one channel's past (..., L) to the first channels of a window.

    It answers with the channels' future (..., H).

    Args:
        network: Shared by all channels.
        window: (N, L, C).
        channels: T.

    Returns:
        (N, H, T).
    """
    return network(window[..., :channels].transpose(1, 2)).transpose(1, 2)
