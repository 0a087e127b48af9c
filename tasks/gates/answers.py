"""Counts the windows of a series of which no step that is asked for has a value."""

import numpy as np

from gates.engine.tables import Table
from lightning_modules.specs.window import WindowSpec
from storage.base.errors import InvalidInput
from storage.datasets.version import Version
from storage.forms.base import RowsSpec
from storage.forms.columns import NUMBERS
from storage.shards.row_ids import ROW_ID, VALID_SUFFIX
from storage.stream.stream import Stream
from storage.stream.windows import Window
from tasks.forms.streams import CONTEXT, HELD_OUT, TRAIN, VALIDATION

BATCH = 512
_VALID = NUMBERS + VALID_SUFFIX


def tabulate_answers(version: Version, data: RowsSpec, window: WindowSpec | None) -> Table | None:
    """Tabulate one row a split: split, windows, and the share of them without an answer.

    None where nothing is forecast. A split into which no window fits has none.
    """
    import pandas as pd

    if window is None or not window.horizon:
        return None
    records = []
    for split in (TRAIN, VALIDATION, HELD_OUT):
        windows, unanswered = _count(version, split, data, window)
        share = unanswered / max(1, windows)
        records.append({"split": split, "windows": windows, "unanswered": share})
    return Table(pd.DataFrame.from_records(records), identity=("split",))


def _count(version: Version, split: str, data: RowsSpec, window: WindowSpec) -> tuple[int, int]:
    """Return how many windows are asked for in a split, and how many of them have no answer."""
    names = window.list_targets(data.numbers)
    places = [data.numbers.index(name) for name in names if name in data.numbers]
    try:
        stream = Stream(
            version,
            split,
            batch_size=BATCH,
            shuffle=False,
            drop_last=False,
            fields=(ROW_ID, _VALID),
            window=Window(
                lookback=window.lookback,
                horizon=window.horizon,
                lead=window.lead,
                max_gap_steps=window.max_gap_steps,
            ),
            context=CONTEXT.get(split, ()),
        )
    except InvalidInput:
        return 0, 0
    windows = unanswered = 0
    for rows in stream:
        known = np.any(rows[f"{_VALID}__future"][:, window.lead :, places], axis=(1, 2))
        real = ~rows.get("padding", np.zeros(len(rows[ROW_ID]), dtype=np.bool_))
        windows += int(real.sum())
        unanswered += int((real & ~known).sum())
    return windows, unanswered
