"""The order: the same for any ranks, complete, different each epoch."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.stream.order import MemoryPlan, Order


@st.composite
def orders(draw, **fixed):
    samples = tuple(draw(st.lists(st.integers(0, 60), min_size=1, max_size=25).filter(any)))
    streams = draw(st.sampled_from([1, 2, 4, 8]))
    fields = {
        "samples": samples,
        "identity": "digits",
        "seed": draw(st.integers(0, 3)),
        "epoch": draw(st.integers(0, 3)),
        "batch_size": streams * draw(st.integers(1, 9)),
        "streams": streams,
        "window_steps": draw(st.integers(1, 12)),
        "shuffle": draw(st.booleans()),
        "drop_last": draw(st.booleans()),
    }
    return Order(**(fields | fixed))


def global_batches(order, ranks):
    """Every global batch of the epoch, put together from the ranks."""
    local = order.streams // ranks
    parts = []
    for rank in range(ranks):
        streams = range(rank * local, (rank + 1) * local)
        windows = [order.batches(streams, window) for window in range(order.windows)]
        parts.append(
            np.concatenate(windows)
            if windows
            else np.empty((0, order.batch_size // ranks), np.int64)
        )
    return np.concatenate(parts, axis=1)


@given(orders())
@settings(deadline=None)
def test_any_number_of_ranks_sees_the_same_global_batches(order):
    alone = global_batches(order, 1)
    assert alone.shape == (order.steps, order.batch_size)
    for ranks in (2, 4, 8):
        if order.streams % ranks == 0:
            np.testing.assert_array_equal(global_batches(order, ranks), alone)


@given(orders(drop_last=False))
@settings(deadline=None)
def test_evaluation_serves_every_sample_once_and_pads_the_last_step_only(order):
    batches = global_batches(order, 1)
    served = batches[batches >= 0]
    np.testing.assert_array_equal(np.sort(served), np.arange(order.total))
    assert (batches[:-1] >= 0).all()
    assert order.steps == -(-order.total // order.batch_size)


@given(orders(drop_last=True))
@settings(deadline=None)
def test_training_drops_less_than_one_batch_and_repeats_nothing(order):
    batches = global_batches(order, 1)
    assert (batches >= 0).all()
    assert len(np.unique(batches)) == batches.size
    assert order.total - batches.size < order.batch_size


@given(orders())
@settings(deadline=None)
def test_a_window_uses_only_the_shards_that_it_names(order):
    shard_of = np.repeat(np.arange(len(order.samples)), order.samples)
    for window in range(order.windows):
        for stream in range(order.streams):
            found = order.batches(range(stream, stream + 1), window)
            used = set(shard_of[found[found >= 0]].tolist())
            assert used == set(order.shards(range(stream, stream + 1), window))


def test_unshuffled_single_stream_keeps_the_stored_order():
    order = Order((5, 1, 7), "x", 0, 0, 4, 1, window_steps=2, shuffle=False, drop_last=False)
    assert global_batches(order, 1).ravel().tolist() == [*range(13), -1, -1, -1]


@pytest.mark.parametrize("samples", [(100,), (40, 60), (13,) * 9])
def test_each_epoch_has_its_own_order_and_drops_other_samples(samples):
    epochs = [global_batches(Order(samples, "x", 1, epoch, 32, 8, 2), 1) for epoch in range(4)]
    dropped = {
        tuple(sorted(set(range(sum(samples))) - set(batches.ravel().tolist())))
        for batches in epochs
    }
    assert len({batches.tobytes() for batches in epochs}) == 4
    assert len(dropped) == 4


@pytest.mark.parametrize("change", [{"seed": 2}, {"epoch": 1}, {"identity": "y"}])
def test_seed_epoch_and_version_each_change_the_order(change):
    order = Order((50, 50), "x", 1, 0, 10, 2, 3)
    assert (
        global_batches(order, 1) != global_batches(dataclasses.replace(order, **change), 1)
    ).any()


def test_the_order_is_pinned():
    """A resumed run must meet the order that it left, on any machine and after any upgrade."""
    order = Order((6, 5, 4), "pinned", 7, 3, 4, 2, window_steps=2)
    assert global_batches(order, 1).tolist() == [[13, 12, 1, 8], [14, 11, 3, 5], [6, 9, 7, 10]]


@given(orders(shuffle=True))
@settings(deadline=None)
def test_one_rank_reads_each_shard_in_one_run_of_windows(order):
    """A shard that was left is not needed again in the epoch: it is read once."""
    streams = range(order.streams)
    left: set[int] = set()
    last: set[int] = set()
    for window in range(order.windows):
        current = set(order.shards(streams, window))
        assert not current & left
        left |= last - current
        last = current


def test_a_single_shard_feeds_all_streams():
    batches = global_batches(Order((20,), "x", 0, 0, 8, 8, 1), 8)
    assert len(np.unique(batches)) == 16


@given(orders(), st.integers(1, 16), st.sampled_from([1, 2, 4, 8]))
@settings(deadline=None)
def test_no_two_successive_windows_need_more_than_the_plan_says(order, page_rows, ranks):
    pages = tuple(-(-rows // page_rows) for rows in order.samples)
    plan = MemoryPlan(order.samples, pages, order.batch_size, order.streams)
    local = max(1, order.streams // ranks)
    for first in range(0, order.streams, local):
        windows = [
            set(order.shards(range(first, first + local), window))
            for window in range(order.windows)
        ]
        for current, upcoming in itertools.pairwise([set(), *windows]):
            needed = sum(pages[shard] for shard in current | upcoming)
            assert needed <= plan.pages_needed(order.window_steps, local)


def test_the_plan_uses_the_memory_that_it_is_given():
    plan = MemoryPlan((100,) * 100, (10,) * 100, 80, 8)
    assert plan.window_steps(1200, most=125) == 125
    assert plan.window_steps(160, most=125) == 0
    steps = plan.window_steps(400, most=125)
    assert plan.pages_needed(steps, 8) <= 400 < plan.pages_needed(steps + 1, 8)
