"""Windows of what came back of a series, of which the rows that are asked for have come, too."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightning_modules.data.readers import NUMBERS, TIME, VALID, SampleBatch, SampleReader
from lightning_modules.specs.objectives import FUTURE
from lightning_modules.specs.window import WindowSpec
from storage.forms.columns import SERIES_ID
from storage.forms.series import find_step
from storage.shards.row_ids import ROW_ID, Rows
from storage.stream.windows import WINDOW_ROWS, Window, find_windows, number_runs

BATCH_WINDOWS = 512


def read_windows(
    rows: Rows, fresh: NDArray[np.bool_], spec: WindowSpec, reader: SampleReader
) -> Iterator[SampleBatch]:
    """Read every window that ends in fresh rows, in order; it may look back into older ones.

    Args:
        rows: Rows of series, by entity and time.
        fresh: Which of them may be asked for, (N,).
        spec: The model's window.
        reader: Reads rows of windows as samples.
    """
    window = Window(
        lookback=spec.lookback,
        horizon=spec.horizon,
        lead=spec.lead,
        max_gap_steps=spec.max_gap_steps,
    )
    step_ns = find_step(rows[SERIES_ID], rows[TIME])
    limit = window.max_gap_steps
    longest_ns = limit * step_ns if limit is not None and step_ns else None
    starts = find_windows(number_runs(rows[SERIES_ID], rows[TIME], longest_ns), window, fresh)
    for begin in range(0, len(starts), BATCH_WINDOWS):
        yield reader.read(_gather(rows, starts[begin : begin + BATCH_WINDOWS], window))


def _gather(rows: Rows, starts: NDArray[np.int64], window: Window) -> Mapping[str, NDArray[Any]]:
    past = starts[:, np.newaxis] + np.arange(window.lookback)
    future = starts[:, np.newaxis] + np.arange(window.lookback, window.length)
    names = [name for name in (NUMBERS, VALID, TIME) if name in rows]
    found = {name: rows[name][past] for name in names}
    found |= {name + FUTURE: rows[name][future] for name in names}
    every = rows[ROW_ID][np.concatenate([past, future], axis=1)]
    return {**found, ROW_ID: rows[ROW_ID][past[:, -1]], WINDOW_ROWS: every}
