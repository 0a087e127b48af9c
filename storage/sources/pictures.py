"""Decodes a JPEG or PNG: upright, opaque, in the channels and size that are declared.

The rules are those of the device's `deployments.targets.run.inputs`; a test holds the two side by
side, because what a model learned from and what it is asked must be made alike.
"""

import io
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from storage.base.errors import describe_error
from storage.base.limits import MAX_PIXELS

if TYPE_CHECKING:
    from PIL.Image import Image

MODES = {1: "L", 3: "RGB"}


class PictureFault(ValueError):
    """The bytes are no picture that can be used; the message says why."""


def decode_picture(data: bytes, shape: tuple[int, int, int], *, resize: bool) -> NDArray[np.uint8]:
    """Decodes one picture.

    Args:
        data: A whole JPEG or PNG file.
        shape: Channels (1 or 3), height and width.
        resize: Whether another size or mode is brought to the shape, or refused.

    Returns:
        Pixels of shape (H, W) or (H, W, C), in 0 to 255.

    Raises:
        PictureFault: It is damaged, no JPEG or PNG, too large, or not of the shape where it may not
            be resized.
    """
    from PIL import Image, UnidentifiedImageError

    channels, height, width = shape
    try:
        opened = Image.open(io.BytesIO(data), formats=("JPEG", "PNG"))
        _check_pixels(opened)
        image = _turn_upright(opened)
        if not resize:
            _check_same(image, opened.mode, shape)
        return np.asarray(_bring_to_shape(image, channels, width, height))
    except PictureFault:
        raise
    except UnidentifiedImageError:
        # Pillow's own words name nothing but the place of the bytes in memory.
        raise PictureFault("is no JPEG or PNG, or its first bytes are damaged") from None
    except Exception as error:  # noqa: BLE001 - decoders of damaged files raise anything
        raise PictureFault(
            f"cannot be read as JPEG or PNG: {type(error).__name__}: {describe_error(error)}"[:200]
        ) from None


def decode_pictures(
    files: list[tuple[str, bytes]], shape: tuple[int, int, int], *, resize: bool
) -> tuple[NDArray[np.uint8], list[int], list[tuple[str, str]]]:
    """Decodes many pictures into one array.

    Returns:
        Images (N, C, H, W); which of the files they are; name and reason of each file that was left
        out.
    """
    channels, height, width = shape
    images = np.empty((len(files), *shape), dtype=np.uint8)
    pixels = np.moveaxis(images, 1, -1)
    kept: list[int] = []
    faults: list[tuple[str, str]] = []
    with warnings.catch_warnings():
        # Odd metadata is no fault of a picture, and its size is checked. Once for all: it costs as
        # much as a small picture.
        warnings.simplefilter("ignore")
        for number, (name, data) in enumerate(files):
            try:
                pixels[len(kept)] = decode_picture(data, shape, resize=resize).reshape(
                    height, width, channels
                )
            except PictureFault as fault:
                faults.append((name, str(fault)))
                continue
            kept.append(number)
    return images[: len(kept)], kept, faults


def _check_pixels(image: "Image") -> None:
    if image.width * image.height > MAX_PIXELS:
        raise PictureFault(
            f"has {image.width} x {image.height} pixels; at most {MAX_PIXELS} are read"
        )


def _check_same(image: "Image", mode: str, shape: tuple[int, int, int]) -> None:
    channels, height, width = shape
    if mode != MODES[channels] or image.size != (width, height):
        wanted = f"{MODES[channels]} of {width} x {height}"
        raise PictureFault(f"is {mode} of {image.width} x {image.height}, not {wanted}")


def _turn_upright(image: "Image") -> "Image":
    """Turns a picture as its EXIF orientation asks; most have none, and are not copied."""
    from PIL import ImageOps

    plain = image.format == "JPEG" and "exif" not in image.info
    return image if plain else ImageOps.exif_transpose(image)


def _bring_to_shape(image: "Image", channels: int, width: int, height: int) -> "Image":
    from PIL import Image

    if image.mode.startswith("I"):
        # 16 bit grey: Pillow's own conversion to 8 bit clips instead of scaling.
        grey: NDArray[Any] = np.asarray(image, dtype=np.float64).clip(0, 65535) / 257
        image = Image.fromarray(np.rint(grey).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        opaque = Image.new("RGBA", image.size, (0, 0, 0, 255))
        opaque.alpha_composite(image.convert("RGBA"))
        image = opaque
    shrinks = image.width >= width and image.height >= height
    image = image if image.mode == MODES[channels] else image.convert(MODES[channels])
    if image.size == (width, height):
        return image
    return image.resize(
        (width, height), Image.Resampling.BOX if shrinks else Image.Resampling.BILINEAR
    )
