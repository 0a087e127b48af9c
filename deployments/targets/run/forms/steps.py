"""When the steps are that a forecast is of: as the window's own rows say, or not at all."""

from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def list_step_times(times: NDArray[np.float64], steps: int, ahead: int) -> tuple[str, ...]:
    """List when steps to come are.

    Args:
        times: (L,) seconds since 1970 of a window's rows, the last `ahead` of them of steps to
            come.
        steps: How many steps are told of.
        ahead: Rows of the window that are of steps to come.

    Returns:
        ISO 8601 in UTC for each step; none where rows to come do not say it and those before do
        not lie evenly, for then nobody knows the next one.
    """
    if ahead >= steps > 0:
        return _write(times[len(times) - ahead :][:steps])
    known = times[: len(times) - ahead]
    gaps = np.diff(known)
    if not len(gaps) or not gaps[0] > 0 or not np.allclose(gaps, gaps[0], rtol=0.0, atol=1e-3):
        return ()
    return _write(known[-1] + gaps[0] * np.arange(1, steps + 1))


def _write(seconds: NDArray[np.float64]) -> tuple[str, ...]:
    if not np.isfinite(seconds).all():
        return ()
    try:
        moments = [_EPOCH + timedelta(milliseconds=round(1000 * value)) for value in seconds]
    except OverflowError:
        return ()  # Beyond the years that a date can have.
    return tuple(moment.isoformat().replace("+00:00", "Z") for moment in moments)
