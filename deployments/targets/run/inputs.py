"""Reading raw samples for a model: a PNG or JPEG picture, a .npy array of raw values, or rows (`columns.py`).

A picture is decoded within bounds, turned upright (EXIF orientation), brought to the card's
channels (8 bit grey or RGB; what is transparent is black), resized to the card's height and width
(by area averages to a smaller size, else bilinear; the aspect ratio is not kept), and its 0..255
mapped linearly onto the card's value range, rounded for integer dtypes. A .npy holds raw values
already: they are checked, never scaled.
"""

import io
import math
import struct
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from deployments.targets.errors import BadInput
from deployments.targets.run.columns import read_csv_samples, shape_samples
from deployments.targets.trust.card import Card, InputSpec
from storage.base.errors import NotFound, StorageError
from storage.base.store import Store, redact

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_FILE_BYTES = 64 * 2**20
MAX_PIXELS = 50_000_000
_NPY_MAGIC = b"\x93NUMPY"
_PIL_MODES = {1: "L", 3: "RGB"}
Raw = NDArray[np.number[Any]]


def load_input(file: str, card: Card) -> Raw:
    """Reads one sample.

    Args:
        file: Path or any fsspec URL of a PNG, JPEG or .npy file; what it is, its first bytes say.
            For a model of tables or series a CSV or .npy file.
        card: The model's card.

    Returns:
        shape (N, *card.input.shape), the card's dtype, within its value range; N is 1 but for
        tables.

    Raises:
        BadInput: The file is missing, too large, damaged, or does not hold one sample that the card
            describes.
    """
    data = _read_bounded(file)
    where = redact(file)
    if card.input.columns:
        if data.startswith(_NPY_MAGIC):
            return shape_samples(_read_npy(data, where), card.input, where)
        return read_csv_samples(data, card.input, where)
    if data.startswith(_NPY_MAGIC):
        return _check_raw(_read_npy(data, where), card.input, where)
    return _decode_image(data, card.input, where)


def _read_bounded(file: str) -> bytes:
    if file.startswith(("http://", "https://")):
        return _read_http(file)
    folder, _, name = file.rpartition("/")
    try:
        store = Store(folder or ("/" if file.startswith("/") else "."))
        local = store.local_path(name)
        if not name or (local is not None and local.is_dir()):
            raise BadInput(
                f"input ({redact(file)}) must be one file; got a folder; name the files in it"
            )
        size_bytes = store.size(name)
        data = store.read(name) if size_bytes <= MAX_FILE_BYTES else b""
    except NotFound as error:
        raise BadInput(
            f"input ({redact(file)}) must exist; got no such file; check the path"
        ) from error
    except (StorageError, OSError, ValueError) as error:
        raise BadInput(
            f"input ({redact(file)}) must be a file that can be read; got {error}"
        ) from error
    if size_bytes > MAX_FILE_BYTES:
        raise BadInput(
            f"input ({redact(file)}) must be at most {MAX_FILE_BYTES} bytes; got {size_bytes}; "
            "crop it"
        )
    return data


def _read_http(file: str) -> bytes:
    from tuf.api.exceptions import DownloadError

    from deployments.targets.follow.fetch import read_http

    try:
        return read_http(file, MAX_FILE_BYTES)
    except DownloadError as error:
        raise BadInput(
            f"input ({redact(file)}) must be a file of at most {MAX_FILE_BYTES} bytes that can be "
            "read; got "
            f"{redact(str(error))}"
        ) from None


def _read_npy(data: bytes, where: str) -> Raw:
    try:
        return _parse_npy(data)
    except (ValueError, KeyError, SyntaxError, struct.error, EOFError) as error:
        raise BadInput(
            f"input ({where}) must be a .npy file of numbers; got {error}; save it with numpy.save"
        ) from error


def _parse_npy(data: bytes) -> Raw:
    stream = io.BytesIO(data)
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    shape, fortran, dtype = readers[npy.read_magic(stream)](stream)
    if dtype.hasobject or dtype.kind not in "biuf":
        raise ValueError(f"dtype {dtype}")
    # The header is checked against the file before anything of the size that it claims is made.
    if (held := len(data) - stream.tell()) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"shape {shape} of {dtype} with {held} bytes of data")
    values = np.frombuffer(data, dtype=dtype, offset=stream.tell())
    return values.reshape(shape, order="F" if fortran else "C")


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
            f"{values[outside].flat[0]}; give the "
            "values as the source has them, not scaled ones"
        )
    cast = values.astype(spec.dtype)
    if cast.dtype.kind in "iu" and not np.array_equal(cast, values):
        raise BadInput(
            f"input ({where}) must hold values of {spec.dtype}; got {values.dtype} with fractions, "
            "such as "
            f"{values[cast != values].flat[0]}; give the values as the source has them"
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
            warnings.simplefilter(
                "ignore"
            )  # Odd metadata is no fault of the picture; its size is checked below.
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
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, MemoryError) as error:
        raise BadInput(
            f"input ({where}) must be a whole PNG or JPEG; got a damaged one: {error}"
        ) from error
    return _map_range(pixels, spec)


def _check_pixels(image: "Image", where: str) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise BadInput(
            f"input ({where}) must have at most {MAX_PIXELS} pixels; got {image.width} x "
            f"{image.height}"
        )


def _bring_to_shape(image: "Image", shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Upright, opaque, the card's channels and size; (C, H, W) of 0..255."""
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
