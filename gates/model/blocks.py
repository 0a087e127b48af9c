"""Cuts held-out rows into blocks: what happens together is left out together.

Windows of a series share rows, and what follows in time is alike; rows of one entity or group are.
A comparison that takes each of them for a proof of its own is too sure of itself.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

MOST_BLOCKS = 50
FEW_BLOCKS = 5


def deal_blocks(rows: int) -> "Array":
    """Return blocks (N,) of rows that have nothing to do with each other: dealt out in turn."""
    import numpy as np

    return np.arange(rows) % max(1, min(MOST_BLOCKS, rows))


def group_blocks(groups: "Array") -> "Array":
    """Return blocks (N,) of rows of which those of one group stay together."""
    import numpy as np

    _, numbers = np.unique(groups, return_inverse=True)
    return close_gaps(numbers % MOST_BLOCKS)


def cut_time(times: "Array", step: float, length: int) -> "Array":
    """Return blocks (N,) in time order, each at least so many steps long; one where all is shorter.

    All entities of a time are in one block: what moves them moves them together.

    Args:
        times: (N,) of rows; of a window, that of the last row that its model sees.
        step: the usual time between two rows of an entity; 0 where it is not known.
        length: steps that a block must last: of windows lookback + horizon, as far as they overlap.
    """
    import numpy as np

    moments, place = np.unique(times, return_inverse=True)
    passed = np.diff(moments).astype(np.float64)
    # Over a gap, windows follow each other as if it were one step.
    steps = np.minimum(passed / step, 1.0) if step > 0 else np.ones(len(passed))
    since = np.concatenate([[0.0], np.cumsum(steps)])
    whole = since[-1] + 1 if len(moments) else 1.0
    blocks = int(np.clip(whole // max(1, length), 1, MOST_BLOCKS))
    return close_gaps(np.minimum(since * blocks // whole, blocks - 1).astype(np.int64)[place])


def close_gaps(blocks: "Array") -> "Array":
    """Return the same blocks, numbered from 0 without a gap."""
    import numpy as np

    _, numbers = np.unique(blocks, return_inverse=True)
    closed: Array = numbers.astype(np.int64)
    return closed


def count_blocks(blocks: "Array") -> int:
    """Return how many blocks there are."""
    return int(blocks.max()) + 1 if len(blocks) else 0
