"""Reading one raw picture, or a .npy file of raw values.

A picture is decoded within bounds and brought to the card's channels, height and width by the rules
of `storage.base.pictures`, and its values, from black to white, are mapped linearly onto the card's
value range, rounded for integer dtypes. A .npy holds raw values already: they are checked, never
scaled.
"""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.targets.errors import BadInput
from deployments.targets.run.forms.arrays import MAGIC, Raw, read_npy
from deployments.targets.trust.card import InputSpec
from storage.base.errors import describe_error
from storage.base.pictures import KINDS, MODES, PictureFault, bring_to_shape, open_picture


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
    if len(spec.shape) != 3 or spec.shape[0] not in MODES:
        raise BadInput(
            f"input ({where}) must be a .npy file for a model that takes {spec.shape}; got a "
            "picture or other file"
        )
    channels, height, width = spec.shape
    try:
        with warnings.catch_warnings():
            # Odd metadata is no fault of the picture.
            warnings.simplefilter("ignore")
            image = open_picture(data)
            shape, deep = (channels, height, width), _takes_deep(spec)
            pixels = bring_to_shape(image, shape, deep=deep, background=spec.background)
    except PictureFault as fault:
        raise BadInput(
            f"input ({where}) must be a picture that is read without loss, or a .npy file; got one "
            f"that {fault}"
        ) from None
    except Exception as error:
        # Decoders of pictures, and of what a camera wrote beside them, raise errors of all kinds.
        raise BadInput(
            f"input ({where}) must be a whole {KINDS}; got a damaged one: {describe_error(error)}"
        ) from error
    return _map_range(pixels, spec)


def _takes_deep(spec: InputSpec) -> bool:
    """Tell whether the card's values can hold all those of 16 bits."""
    low, high = spec.bounds
    return np.dtype(spec.dtype).kind == "f" or high - low >= np.iinfo(np.uint16).max


def _map_range(pixels: NDArray[Any], spec: InputSpec) -> Raw:
    low, high = spec.bounds
    channels_first = np.moveaxis(pixels.reshape(*spec.shape[1:], spec.shape[0]), -1, 0)
    values = low + channels_first.astype(np.float64) * ((high - low) / np.iinfo(pixels.dtype).max)
    dtype = np.dtype(spec.dtype)
    if dtype.kind in "iu":
        values = np.rint(values)
    return np.ascontiguousarray(values.astype(dtype)[np.newaxis])


def _join(shapes: list[tuple[int, ...]]) -> str:
    return " or ".join(map(str, shapes))
