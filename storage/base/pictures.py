"""Brings a picture to the shape that is learned from: where one learns and where one asks.

A picture is turned upright (EXIF orientation) and made opaque: what is transparent is black, or of
the colour that whoever asks names. It is
brought to grey or RGB, and resized, by area averages to a smaller size, else bilinear; the aspect
ratio is not kept. Values have 8 bits, or 16 where the picture is grey and whoever asks takes them.
No bit of a value is dropped in silence: a picture of which one would be is refused. So is a file of
several pictures, as of a film or of pages; of a JPEG or PNG the first one is the picture.
"""

import io
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from storage.base.limits import MAX_PIXELS

if TYPE_CHECKING:
    from PIL.Image import Image

KINDS = "JPEG, PNG, WebP, TIFF, GIF or BMP"
"""Kinds of files that are read, for messages."""
ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".gif", ".bmp")
MODES = {1: "L", 3: "RGB"}
Colour = tuple[int, int, int]
BLACK: Colour = (0, 0, 0)
DEEP_MODE = "I;16"
_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP")
_OF_SEVERAL = ("WEBP", "TIFF", "GIF")
_FIRST_BYTES = (b"\xff\xd8\xff", b"\x89PNG", b"II*\0", b"MM\0*", b"GIF8", b"BM")
_DEEP_MODES = (DEEP_MODE, "I;16B", "I;16L", "I;16N")
_WIDE_MODES = ("I", "F")
GREY_MODES = ("1", "L", "LA", *_DEEP_MODES, *_WIDE_MODES)
_STEP = 257
"""What a value of 8 bits is multiplied by to become one of 16: 255 becomes 65535."""
_STRIP_PIXELS = 1_000_000
_DEEP = (
    "has 16 bits a value, of which 8 would be lost; save it with 8 bits, or learn from it as "
    "data.image: {dtype: uint16, value_range: [0, 65535]}, of 1 channel"
)
_DEEP_COLOUR = (
    "has 16 bits a value and colours or transparency, of which 8 bits alone can be read; save it "
    "with 8 bits, or give its values as a .npy file"
)
_WIDE = "has 32 bits a value; save it with 8 or 16 bits, or give its values as a .npy file"
_SEVERAL = "holds several pictures, as of a film or of pages; save each in a file of its own"


class PictureFault(ValueError):
    """The bytes are no picture that can be used; the message says why."""


def is_picture(data: bytes) -> bool:
    """Tell whether a file begins as pictures do that are read here."""
    return data.startswith(_FIRST_BYTES) or (data[:4] == b"RIFF" and data[8:12] == b"WEBP")


def open_picture(data: bytes) -> "Image":
    """Open a picture, whose pixels are not read yet.

    Args:
        data: A whole file.

    Raises:
        PictureFault: It is of no kind that is read here, too large, or holds several pictures.
        Exception: Its first bytes are damaged: decoders raise anything.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        opened = Image.open(io.BytesIO(data), formats=_FORMATS)
    except UnidentifiedImageError:
        # Pillow's own words name nothing but the place of the bytes in memory.
        raise PictureFault(f"is no {KINDS}, or its first bytes are damaged") from None
    except Image.DecompressionBombError:
        raise PictureFault(f"has more pixels than {MAX_PIXELS}, the most that are read") from None
    if opened.width * opened.height > MAX_PIXELS:
        raise PictureFault(
            f"has {opened.width} x {opened.height} pixels; at most {MAX_PIXELS} are read"
        )
    if opened.format in _OF_SEVERAL and getattr(opened, "is_animated", False):
        raise PictureFault(_SEVERAL)
    return opened


def bring_to_shape(
    opened: "Image", shape: tuple[int, int, int], *, deep: bool, background: Colour = BLACK
) -> NDArray[Any]:
    """Bring a picture upright, opaque, to channels and size.

    Args:
        opened: It, as it was opened: what its decoder will make of it is asked first. It is turned.
        shape: Channels (1 or 3), height and width.
        deep: Whether values of 16 bits can be taken.
        background: What stands behind what is transparent: red, green and blue from 0 to 255.

    Returns:
        (H, W) or (H, W, C), in uint8 from 0 to 255; in uint16 from 0 to 65535 of a picture of 16
        bits that is taken so.

    Raises:
        PictureFault: Bits of its values would be lost.
    """
    channels, height, width = shape
    sixteen = has_sixteen_bits(opened)
    if sixteen and opened.mode not in _DEEP_MODES:
        raise PictureFault(_DEEP_COLOUR)
    if opened.mode in _WIDE_MODES:
        raise PictureFault(_WIDE)
    turn_upright(opened)
    if sixteen and opened.mode != DEEP_MODE:
        opened = _map_strips(opened, DEEP_MODE, _order_bytes)
    if sixteen and deep and channels == 1:
        if "transparency" in opened.info:
            opened = _map_strips(opened, DEEP_MODE, partial(_fill, background=background))
        return _resize(opened, width, height)
    image = (
        _map_strips(opened, "L", partial(_make_shallow, background=background))
        if sixteen
        else _make_plain(opened, channels, background)
    )
    sized = _resize(image, width, height)
    return sized if channels == 1 or sized.ndim == 3 else np.repeat(sized[..., np.newaxis], 3, 2)


def has_sixteen_bits(opened: "Image") -> bool:
    """Tell whether a picture that was opened, and not read yet, holds more than 8 bits a value."""
    tiles = getattr(opened, "tile", ())
    return opened.mode in _DEEP_MODES or any(";16" in str(tile[3]) for tile in tiles)


def turn_upright(image: "Image") -> None:
    """Turn a picture as its EXIF orientation asks, in place; most have none."""
    from PIL import ImageOps

    if image.format != "JPEG" or "exif" in image.info:
        ImageOps.exif_transpose(image, in_place=True)


def scale_values(values: NDArray[Any], dtype: str) -> NDArray[Any]:
    """Return values of 0 to the most of their type as such of another unsigned type.

    No bit is lost: the other one is as wide, or wider.
    """
    wanted = np.dtype(dtype)
    return values if values.dtype == wanted else values.astype(wanted) * wanted.type(_STEP)


def _map_strips(image: "Image", mode: str, change: "Callable[[Image], Image]") -> "Image":
    """Change a picture value by value, some rows at a time: a large one is held once, not thrice.

    Args:
        image: It.
        mode: Mode of what it becomes.
        change: From some rows of it to these of another picture.
    """
    from PIL import Image

    made = Image.new(mode, image.size)
    rows = max(1, _STRIP_PIXELS // max(1, image.width))
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        changed = change(strip)
        made.paste(changed if changed.mode == mode else changed.convert(mode), (0, top))
    return made


def _make_plain(image: "Image", channels: int, background: Colour) -> "Image":
    """Return an opaque picture of 8 bits: in grey where it is grey, or grey is asked for."""
    grey = channels == 1 or image.mode in ("1", "L", "LA")
    # A coloured background makes a grey picture one in colours.
    tinted = channels == 3 and len(set(background)) > 1
    mode = "L" if grey and not tinted else "RGB"
    if is_transparent(image):
        return _map_strips(image, mode, partial(_make_opaque, background=background))
    mode = "L" if grey else "RGB"
    return image if image.mode == mode else image.convert(mode)


def is_transparent(image: "Image") -> bool:
    """Tell whether a picture has an alpha channel, or a colour that is clear."""
    return image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info


def _make_opaque(image: "Image", background: Colour) -> "Image":
    from PIL import Image

    opaque = Image.new("RGBA", image.size, (*background, 255))
    opaque.alpha_composite(image.convert("RGBA"))
    return opaque


def _fill(image: "Image", background: Colour) -> "Image":
    """Make grey of 16 bits opaque: one value of it stands for what is transparent."""
    from PIL import Image

    values = np.array(image)
    grey = np.asarray(Image.new("RGB", (1, 1), background).convert("L"))[0, 0]
    values[values == image.info["transparency"]] = grey * np.uint16(_STEP)
    return Image.fromarray(values)


def _order_bytes(image: "Image") -> "Image":
    """Return grey of 16 bits in the order of bytes of this machine."""
    from PIL import Image

    return Image.fromarray(np.asarray(image).astype(np.uint16))


def _make_shallow(image: "Image", background: Colour) -> "Image":
    """Return grey of 16 bits in 8, where each value is one of 8 bits that was written wider."""
    from PIL import Image

    clear = "transparency" in image.info
    values = np.asarray(_fill(image, background) if clear else image)
    if (values % _STEP).any():
        raise PictureFault(_DEEP)
    return Image.fromarray((values // _STEP).astype(np.uint8))


def _resize(image: "Image", width: int, height: int) -> NDArray[Any]:
    from PIL import Image

    if image.size != (width, height):
        shrinks = image.width >= width and image.height >= height
        method = Image.Resampling.BOX if shrinks else Image.Resampling.BILINEAR
        image = image.resize((width, height), method)
    return np.asarray(image)
