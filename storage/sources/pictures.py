"""Decodes files of pictures: upright, opaque, in the channels, size and type that are declared.

The rules are those of `storage.base.pictures`, by which a model is asked as well.
"""

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from storage.base.errors import describe_error
from storage.base.pictures import (
    BLACK,
    DEEP_MODE,
    KINDS,
    MODES,
    Colour,
    PictureFault,
    bring_to_shape,
    open_picture,
    scale_values,
)

if TYPE_CHECKING:
    from PIL.Image import Image

DEEP = "uint16"
"""Type of images of which a value has 16 bits."""


def decode_picture(
    data: bytes,
    shape: tuple[int, int, int],
    *,
    resize: bool,
    dtype: str = "uint8",
    background: Colour = BLACK,
) -> NDArray[Any]:
    """Decodes one picture.

    Args:
        data: A whole file.
        shape: Channels (1 or 3), height and width.
        resize: Whether another size or mode is brought to the shape, or refused.
        dtype: uint8, or uint16 of one channel.
        background: What stands behind what is transparent.

    Returns:
        Pixels of shape (H, W) or (H, W, C), from 0 to the most of the type.

    Raises:
        PictureFault: It is damaged, of no kind that is read, too large, has more bits than the
            type, or is not of the shape where it may not be resized.
    """
    try:
        opened = open_picture(data)
        mode = opened.mode
        values = bring_to_shape(opened, shape, deep=dtype == DEEP, background=background)
        if not resize:
            _check_same(opened, mode, shape, dtype)
        return scale_values(values, dtype)
    except PictureFault:
        raise
    except Exception as error:  # noqa: BLE001 - decoders of damaged files raise anything
        raise PictureFault(
            f"cannot be read as {KINDS}: {type(error).__name__}: {describe_error(error)}"[:200]
        ) from None


def decode_pictures(
    files: list[tuple[str, bytes]],
    shape: tuple[int, int, int],
    *,
    resize: bool,
    dtype: str = "uint8",
    background: Colour = BLACK,
) -> tuple[NDArray[Any], list[int], list[tuple[str, str]]]:
    """Decodes many pictures into one array.

    Returns:
        Images (N, C, H, W); which of the files they are; name and reason of each file that was left
        out.
    """
    channels, height, width = shape
    images = np.empty((len(files), *shape), dtype=dtype)
    pixels = np.moveaxis(images, 1, -1)
    kept: list[int] = []
    faults: list[tuple[str, str]] = []
    with warnings.catch_warnings():
        # Odd metadata is no fault of a picture, and its size is checked. Once for all: it costs as
        # much as a small picture.
        warnings.simplefilter("ignore")
        for number, (name, data) in enumerate(files):
            try:
                found = decode_picture(
                    data, shape, resize=resize, dtype=dtype, background=background
                )
                pixels[len(kept)] = found.reshape(height, width, channels)
            except PictureFault as fault:
                faults.append((name, str(fault)))
                continue
            kept.append(number)
    return images[: len(kept)], kept, faults


def _check_same(image: "Image", mode: str, shape: tuple[int, int, int], dtype: str) -> None:
    channels, height, width = shape
    expected = DEEP_MODE if dtype == DEEP else MODES[channels]
    if mode != expected or image.size != (width, height):
        wanted = f"{expected} of {width} x {height}"
        raise PictureFault(f"is {mode} of {image.width} x {image.height}, not {wanted}")
