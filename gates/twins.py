"""Pictures that look alike: a perceptual hash, so that a photo saved twice does not teach and examine the same model."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gates.tables import Table

if TYPE_CHECKING:
    import numpy as np

_SIDE = 16
_STEP = 8  # brightness levels, of 256, that count as a difference


def hash_pictures(images: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Return a perceptual hash of each picture, (N, 2) uint64: equal where two look the same but for fine noise.

    Brightness is averaged to 16 x 16 cells and compared with the neighbour to the right, in steps of 1/32 of the
    picture's own range (a difference hash after Krawetz, 2013, with three levels instead of two, so that flat ground
    counts as flat).

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


def tabulate_twins(hashes: "Mapping[str, np.ndarray[Any, Any]]") -> Table:
    """Return one row: held-out rows of which the hash is that of a training row.

    Args:
        hashes: perceptual hashes (N, 2) of the rows of each split, by its name.
    """
    import numpy as np
    import pandas as pd

    known = {name: _join(values) for name, values in hashes.items()}
    empty = np.zeros(0, dtype="V16")
    shared = np.isin(known.get("held_out", empty), known.get("train", empty))
    return Table(pd.DataFrame([{"rows": int(shared.sum())}]))


def _join(values: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Return both halves of each hash as one value that compares."""
    import numpy as np

    joined: np.ndarray[Any, Any] = np.ascontiguousarray(values).view([("high", "<u8"), ("low", "<u8")]).reshape(-1)
    return joined
