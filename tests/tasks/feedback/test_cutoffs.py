"""A split by time moves on with the rows, and never back over what was learned from."""

from datetime import datetime

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.base.times import read_time
from tasks.feedback.cutoffs import LEAST_SHARE, find_new_cutoffs

HOUR = 3600 * 10**9


@settings(max_examples=50, deadline=None)
@given(old=st.integers(1, 400), new=st.integers(1, 400), fewest=st.integers(1, 50))
def test_fresh_rows_alone_are_held_out(old: int, new: int, fewest: int) -> None:
    learned = np.arange(old, dtype=np.int64) * HOUR
    fresh = (old + np.arange(new, dtype=np.int64)) * HOUR
    found = find_new_cutoffs(learned, fresh, fewest)
    validation, held_out = (
        read_time(text) or 0 for text in (found.validation_from, found.held_out_from)
    )
    assert held_out >= fresh[0]
    assert validation <= held_out
    held = int((fresh >= held_out).sum())
    assert held >= new // 2
    assert held >= min(new, int(LEAST_SHARE * (old + new)))
    before = int((np.concatenate([learned, fresh]) < held_out).sum())
    assert (held_out - validation) // HOUR >= min(before, fewest)


def test_times_are_written_as_a_recipe_writes_them() -> None:
    found = find_new_cutoffs(np.array([0]), np.array([86_400 * 10**9, 2 * 86_400 * 10**9]))
    assert datetime.fromisoformat(found.held_out_from) == datetime(1970, 1, 3)
