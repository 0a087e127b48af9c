"""Memory for shards: every row where it is said to be, and no page used twice."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.stream.loader import ShardLoader
from storage.stream.resident import ResidentShards, count_pages


def make_memory(shard_rows, page_rows, pages):
    fields = {"image": (np.dtype("uint8"), (2, 3)), "label": (np.dtype("int64"), ())}
    return ResidentShards(fields, shard_rows, page_rows, pages)


def fill(memory, shard):
    for start, stop, place in memory.runs(shard):
        memory.arrays["label"][place : place + stop - start] = shard * 1000 + np.arange(start, stop)


@given(
    st.lists(st.integers(1, 40), min_size=2, max_size=12),
    st.integers(1, 9),
    st.lists(st.integers(0, 11), min_size=1, max_size=40),
)
@settings(deadline=None)
def test_rows_are_found_while_shards_come_and_go(shard_rows, page_rows, requests):
    pages = 2 * max(count_pages(rows, page_rows) for rows in shard_rows)
    memory = make_memory(shard_rows, page_rows, pages)
    last = None
    for request in requests:
        shard = request % len(shard_rows)
        known = shard in memory
        memory.admit(shard, keep={shard, last})
        if not known:
            fill(memory, shard)
        for held in {shard, last} - {None}:
            numbers = memory.offsets[held] + np.arange(shard_rows[held])
            found = memory.arrays["label"][memory.locate(numbers)]
            np.testing.assert_array_equal(found, held * 1000 + np.arange(shard_rows[held]))
        last = shard


def test_a_shard_stays_as_long_as_its_pages_are_not_needed():
    memory = make_memory([4, 4, 4], page_rows=2, pages=4)
    memory.admit(0, keep={0})
    memory.admit(1, keep={1})
    assert 0 in memory
    memory.admit(2, keep={1, 2})
    assert 0 not in memory
    assert 1 in memory


def test_more_than_fits_is_refused():
    memory = make_memory([4, 4], page_rows=2, pages=3)
    memory.admit(0, keep={0, 1})
    with pytest.raises(MemoryError, match="1 pages short"):
        memory.admit(1, keep={0, 1})


@pytest.mark.parametrize("threads", [0, 2])
def test_a_shard_that_was_not_read_is_forgotten(threads):
    memory = make_memory([4, 4], page_rows=2, pages=4)

    def read(shard, field, target):
        if shard == 1:
            raise OSError("no such shard")

    with ShardLoader(memory, read, threads) as loader:
        loader.request([0, 1], keep={0, 1})
        with pytest.raises(OSError, match="no such shard"):
            loader.wait([0, 1])
    assert 0 in memory
    assert 1 not in memory


def test_without_threads_nothing_is_read_ahead():
    memory = make_memory([4, 4], page_rows=2, pages=4)
    read = []
    with ShardLoader(memory, lambda shard, field, target: read.append((shard, field)), 0) as loader:
        loader.request([0, 1], keep={0, 1})
        assert read == []
        loader.wait([0])
        assert read == [(0, "image"), (0, "label")]
    assert 1 not in memory
