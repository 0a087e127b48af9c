"""Small PNG pictures of samples, inside the page itself."""

import io
from typing import Any

import numpy as np
from PIL import Image

MAX_SIDE = 80
_PNG = b"\x89PNG\r\n\x1a\n"


def encode_picture(
    pixels: np.ndarray[Any, Any], value_range: tuple[float, float], max_side: int = MAX_SIDE
) -> bytes:
    """Return a sample as a PNG of 8 bits a channel (ISO/IEC 15948).

    Args:
        pixels: (C, H, W) or (H, W), any number type. 1 channel is grey, 3 are RGB; any other number
            is averaged.
        value_range: (low, high) mapped onto black to white; values outside are clipped, NaN is
            black.
        max_side: Larger pictures are reduced to this many pixels a side; smaller ones are never
            enlarged.

    Raises:
        ValueError: The array has another number of axes or no pixels, or the range is empty.
    """
    low, high = value_range
    if pixels.ndim not in (2, 3) or pixels.size == 0 or not high > low:
        raise ValueError(
            f"picture {pixels.shape} must be (C, H, W) or (H, W) with a range low < high; got "
            f"range {value_range}; give one sample and the recipe's value_range"
        )
    planes = pixels[None] if pixels.ndim == 2 else pixels
    if planes.shape[0] not in (1, 3):
        planes = planes.mean(axis=0, dtype=np.float64, keepdims=True)
    scaled = (np.nan_to_num(planes.astype(np.float64), nan=low, posinf=high, neginf=low) - low) / (
        high - low
    )
    levels = np.rint(255 * np.clip(scaled, 0, 1)).astype(np.uint8)
    image = Image.fromarray(
        np.ascontiguousarray(levels[0] if levels.shape[0] == 1 else levels.transpose(1, 2, 0))
    )
    image.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def is_png(content: bytes) -> bool:
    """Return whether bytes begin as a PNG file does."""
    return content.startswith(_PNG)
