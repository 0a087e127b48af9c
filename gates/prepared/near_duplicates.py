"""Hashes pictures so that two that look alike have one hash.

A photo that was saved twice must not teach and examine the same model.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

_SIDE = 16
_STEP = 8  # brightness levels, of 256, that count as a difference


def hash_pictures(images: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Return a perceptual hash of each picture, (N, 2) uint64.

    Brightness is averaged to 16 x 16 cells and compared with the neighbour to the right, in steps
    of 1/32 of the picture's own range (a difference hash after Krawetz, 2013, with three levels
    instead of two, so that flat ground counts as flat).

    Args:
        images: (N, C, H, W).
    """
    import hashlib

    import numpy as np

    grey = images.astype(np.float32).mean(axis=1)
    rows = np.linspace(0, grey.shape[1], min(_SIDE, grey.shape[1]), endpoint=False).astype(int)
    columns = np.linspace(0, grey.shape[2], min(_SIDE, grey.shape[2]), endpoint=False).astype(int)
    sums = np.add.reduceat(np.add.reduceat(grey, rows, axis=1), columns, axis=2)
    heights, widths = np.diff([*rows, grey.shape[1]]), np.diff([*columns, grey.shape[2]])
    cells = sums / (heights[:, np.newaxis] * widths)
    spread = np.ptp(cells, axis=(1, 2), keepdims=True)
    steps = np.diff(cells, axis=2) / np.where(spread > 0, spread, 1) * (256 / _STEP)
    signs = np.clip(np.round(steps), -2, 2).astype(np.int8)
    digests = [hashlib.blake2b(sign.tobytes(), digest_size=16).digest() for sign in signs]
    return np.frombuffer(b"".join(digests), dtype="<u8").reshape(-1, 2)
