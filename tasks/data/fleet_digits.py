"""Digits for a simulated fleet: some to learn from first, the others to be asked about."""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HIGHEST = 16
FIRST_ROWS = 1000
SEED = 12


@dataclass(frozen=True)
class Digits:
    """Pictures and what they show.

    Attributes:
        pictures: (N, 8, 8) uint8 of 0 to 16.
        labels: (N,) int64 of 0 to 9.
    """

    pictures: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def to_npz(self) -> bytes:
        """Return them as a file that the source `arrays` reads, members `x` and `y`."""
        file = io.BytesIO()
        np.savez_compressed(file, x=self.pictures, y=self.labels)
        return file.getvalue()


def split_digits() -> tuple[Digits, Digits]:
    """Return scikit-learn's 1,797 digits in two parts, none in both, in a fixed random order.

    They are sorted by who wrote them: mixed, both parts are of the same people.

    Returns:
        The first 1,000, for the first model; the other 797, which it never sees.
    """
    from sklearn.datasets import load_digits

    found = load_digits()
    order = np.random.default_rng(SEED).permutation(len(found.target))
    pictures = found.images.astype(np.uint8)[order]
    labels = found.target.astype(np.int64)[order]
    return (
        Digits(pictures[:FIRST_ROWS], labels[:FIRST_ROWS]),
        Digits(pictures[FIRST_ROWS:], labels[FIRST_ROWS:]),
    )
