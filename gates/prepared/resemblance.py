"""Finds pictures of one set that are nearly those of another.

They were saved again, or are noisy, darker, mirrored or a pixel aside. Two pictures are alike where
they correlate above 0.99 within one pixel. Brightness and contrast do not change a correlation.
Which pairs are worth a look, coarse pictures of 8 x 8 cells tell.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

ALIKE = 0.99
_SIDE = 8
_LOOKS = 6
_SHIFTS = tuple((down, right) for down in (-1, 0, 1) for right in (-1, 0, 1))


def coarsen_pictures(images: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Return 8 x 8 cells of each picture, of length 1 and mean 0; zeros of a flat picture.

    Args:
        images: (N, C, H, W).
    """
    import numpy as np

    cells = average_cells(images.astype(np.float32).mean(axis=1), _SIDE)
    return _standardise(cells.reshape(len(cells), -1))


def average_cells(values: "np.ndarray[Any, Any]", side: int) -> "np.ndarray[Any, Any]":
    """Return the means of at most so many cells along each of the last two axes, as even as can be.

    Args:
        values: (..., H, W) float32.
        side: most cells along an axis.
    """
    import numpy as np

    cells = values
    for axis in (-2, -1):
        size = values.shape[axis]
        starts = np.linspace(0, size, min(side, size), endpoint=False).astype(int)
        widths = np.diff([*starts, size]).astype(np.float32)
        cells = np.add.reduceat(cells, starts, axis=axis)
        cells /= widths[:, np.newaxis] if axis == -2 else widths
    return cells


def find_looks(
    asked: "np.ndarray[Any, Any]", known: "np.ndarray[Any, Any]"
) -> "tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]":
    """Return the places (N, 6) of the likeliest known pictures, and how alike they are.

    Args:
        asked: (N, F) of `coarsen_pictures`.
        known: (M, F) of it, at least one.
    """
    import numpy as np

    fits = asked @ known.T
    count = min(_LOOKS, fits.shape[1])
    places = np.argpartition(-fits, count - 1, axis=1)[:, :count]
    return places, np.take_along_axis(fits, places, axis=1)


def measure_likeness(
    asked: "np.ndarray[Any, Any]", known: "np.ndarray[Any, Any]"
) -> "np.ndarray[Any, Any]":
    """Return the correlation (N,) of each pair of pictures, the best within one pixel.

    Args:
        asked: (N, C, H, W).
        known: (N, C, H, W), the other of each pair.
    """
    import numpy as np

    best = np.full(len(asked), -1.0, np.float32)
    inner = asked[:, :, 1:-1, 1:-1].astype(np.float32)
    left = _standardise(inner.reshape(len(asked), -1))
    height, width = known.shape[2:]
    for down, right in _SHIFTS:
        moved = known[:, :, 1 + down : height - 1 + down, 1 + right : width - 1 + right]
        other = _standardise(moved.astype(np.float32).reshape(len(known), -1))
        best = np.maximum(best, (left * other).sum(axis=1))
    return best


def _standardise(values: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Return rows of mean 0 and length 1; zeros where a row does not vary."""
    import numpy as np

    centred = values - values.mean(axis=1, keepdims=True)
    length = np.sqrt(np.square(centred).sum(axis=1, keepdims=True))
    standard: np.ndarray[Any, Any] = np.where(length > 1e-3, centred / np.maximum(length, 1e-3), 0)
    return standard
