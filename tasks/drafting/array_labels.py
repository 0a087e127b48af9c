"""Finds the classes that an array of answers holds, by their names or by numbers."""

import numpy as np
from numpy.typing import NDArray

from tasks.drafting.guesses import DraftError

MOST_CLASSES = 10_000
"""Most different answers that are classes."""


def find_classes(answers: NDArray[np.generic], where: str) -> tuple[list[str], NDArray[np.int64]]:
    """Return the names of the classes, and the place of each answer among them, (N,).

    Texts are names; whole numbers are, too, as the source reads them.

    Args:
        answers: (N,), texts or whole numbers.
        where: What the answers are of, for messages.

    Raises:
        DraftError: They are no classes.
    """
    found, places = np.unique(answers.reshape(-1), return_inverse=True)
    if found.dtype.kind != "U":
        whole = found.astype(np.int64)
        if np.any(whole != found):
            raise DraftError(
                f"array ({where}) must hold classes, as texts or whole numbers; got "
                f"{found.min():g} to {found.max():g}; save such"
            )
        found = whole
    if not 2 <= len(found) <= MOST_CLASSES:
        raise DraftError(
            f"array ({where}) must hold 2 to {MOST_CLASSES} classes; got {len(found)}; save the "
            "answer to each row"
        )
    return [str(name) for name in found.tolist()], places.reshape(-1).astype(np.int64)
