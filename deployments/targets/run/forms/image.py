"""Reading one raw picture: PNG, JPEG, or a .npy file of raw values.

A picture is decoded within bounds, turned upright (EXIF orientation), brought to the card's
channels (8 bit grey or RGB; what is transparent is black), resized to the card's height and width
(by area averages to a smaller size, else bilinear; the aspect ratio is not kept), and its 0..255
mapped linearly onto the card's value range, rounded for integer dtypes. A .npy holds raw values
already: they are checked, never scaled.
"""

import io
import warnings
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deployments.targets.errors import BadInput
from deployments.targets.run.forms.arrays import MAGIC, Raw, read_npy
from deployments.targets.trust.card import InputSpec
from storage.base.errors import describe_error
from storage.base.limits import MAX_PIXELS

if TYPE_CHECKING:
    from PIL.Image import Image

_PIL_MODES = {1: "L", 3: "RGB"}


def read_image(data: bytes, spec: InputSpec, where: str) -> Raw:
    """Read one picture as a raw sample.

    Args:
        data: The file; what it is, its first bytes say.
        spec: What the model takes.
        where: The file's name, for messages.

    Returns:
        (1, *spec.shape), the spec's dtype, within its value range.

    Raises:
        BadInput: The file is damaged, or does not hold one sample that the card describes.
    """
    if data.startswith(MAGIC):
        return _check_raw(read_npy(data, where), spec, where)
    return _decode_image(data, spec, where)


def _check_raw(values: Raw, spec: InputSpec, where: str) -> Raw:
    shape = spec.shape
    accepted = [shape, (1, *shape)] + ([shape[1:]] if shape[0] == 1 and len(shape) > 1 else [])
    if values.shape not in accepted:
        several = values.ndim == len(shape) + 1 and values.shape[1:] == shape
        remedy = "save each sample in a file of its own" if several else "reshape it"
        raise BadInput(
            f"input ({where}) must have a shape of {_join(accepted)}; got {values.shape}; {remedy}"
        )
    low, high = spec.bounds
    outside = ~((values >= low) & (values <= high))  # NaN is outside too.
    if outside.any():
        raise BadInput(
            f"input ({where}) must hold raw values within {low}..{high}; got "
            f"{values[outside].flat[0]}; give the values as the source has them, not scaled ones"
        )
    cast = values.astype(spec.dtype)
    if cast.dtype.kind in "iu" and not np.array_equal(cast, values):
        raise BadInput(
            f"input ({where}) must hold values of {spec.dtype}; got {values.dtype} with fractions, "
            f"such as {values[cast != values].flat[0]}; give the values as the source has them"
        )
    return np.ascontiguousarray(cast.reshape(1, *shape))


def _decode_image(data: bytes, spec: InputSpec, where: str) -> Raw:
    from PIL import Image, UnidentifiedImageError

    if len(spec.shape) != 3 or spec.shape[0] not in _PIL_MODES:
        raise BadInput(
            f"input ({where}) must be a .npy file for a model that takes {spec.shape}; got a "
            "picture or other file"
        )
    try:
        with warnings.catch_warnings():
            # Odd metadata is no fault of the picture; its size is checked below.
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data), formats=("PNG", "JPEG"))
            _check_pixels(image, where)
            pixels = _bring_to_shape(image, spec.shape)
    except Image.DecompressionBombError as error:
        raise BadInput(
            f"input ({where}) must have at most {MAX_PIXELS} pixels; got more: {error}"
        ) from error
    except UnidentifiedImageError as error:
        raise BadInput(
            f"input ({where}) must be a PNG, JPEG or .npy file; got another kind or a damaged one"
        ) from error
    except BadInput:
        raise
    except Exception as error:
        # Decoders of pictures, and of what a camera wrote beside them, raise errors of all kinds.
        raise BadInput(
            f"input ({where}) must be a whole PNG or JPEG; got a damaged one: "
            f"{describe_error(error)}"
        ) from error
    return _map_range(pixels, spec)


def _check_pixels(image: "Image", where: str) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise BadInput(
            f"input ({where}) must have at most {MAX_PIXELS} pixels; got {image.width} x "
            f"{image.height}"
        )


def _bring_to_shape(image: "Image", shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Bring a picture upright, opaque, to the card's channels and size: (C, H, W) of 0..255."""
    from PIL import Image, ImageOps

    channels, height, width = shape
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I"):
        # 16 bit grey: Pillow's own conversion to 8 bit clips instead of scaling.
        upright = Image.fromarray(
            np.rint(np.asarray(upright, dtype=np.float64).clip(0, 65535) / 257).astype(np.uint8)
        )
    if upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info:
        opaque = Image.new("RGBA", upright.size, (0, 0, 0, 255))
        opaque.alpha_composite(upright.convert("RGBA"))
        upright = opaque
    shrinks = upright.width >= width and upright.height >= height
    method = Image.Resampling.BOX if shrinks else Image.Resampling.BILINEAR
    sized = upright.convert(_PIL_MODES[channels]).resize((width, height), method)
    pixels = np.asarray(sized, dtype=np.float64).reshape(height, width, channels)
    return np.moveaxis(pixels, -1, 0)


def _map_range(pixels: NDArray[np.float64], spec: InputSpec) -> Raw:
    low, high = spec.bounds
    values = low + pixels * ((high - low) / 255.0)
    dtype = np.dtype(spec.dtype)
    if dtype.kind in "iu":
        values = np.rint(values)
    return np.ascontiguousarray(values.astype(dtype)[np.newaxis])


def _join(shapes: list[tuple[int, ...]]) -> str:
    return " or ".join(map(str, shapes))
