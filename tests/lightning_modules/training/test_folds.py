"""Folds: equal rows stay together, classes are spread, and what is judged chose nothing."""

import numpy as np
import pytest

from lightning_modules.data.readers import SampleBatch
from lightning_modules.specs.training import TrainSpec
from lightning_modules.specs.trial import FOLDS
from lightning_modules.training.folds import Crossing, PoolStream


def make_pool(rows: int = 200, *, classes: bool = True) -> SampleBatch:
    draw = np.random.default_rng(0)
    sample = draw.normal(size=(rows, 3))
    sample[::7, 1] = np.nan
    sample[rows // 2 : rows // 2 + 20] = sample[:20]
    truth = (draw.random(rows) < 0.1).astype(np.int64) if classes else draw.normal(size=rows)
    return SampleBatch(sample, truth, np.arange(rows, dtype=np.uint64))


@pytest.mark.parametrize("classes", [True, False])
def test_equal_rows_share_a_fold_and_each_fold_is_like_all(classes: bool) -> None:
    pool = make_pool(classes=classes)
    folds = Crossing(pool).deal(0)
    assert np.array_equal(folds[:20], folds[100:120])
    counts = np.bincount(folds, minlength=FOLDS)
    assert counts.min() > 25
    means = [pool.truth[folds == fold].mean() for fold in range(FOLDS)]
    assert np.ptp(means) < (0.12 if classes else 0.5)
    assert not np.array_equal(folds, Crossing(pool).deal(1))
    assert np.array_equal(folds, Crossing(pool).deal(0))


def test_in_every_rotation_the_three_parts_are_apart_and_all_rows_are_judged_once_a_round() -> None:
    pool, judged = make_pool(), []
    for rotation in range(FOLDS):
        streams = Crossing(pool).open_streams(rotation, TrainSpec(batch_size=16))
        ids = [set(np.concatenate([rows["row_id"] for rows in each]).tolist()) for each in streams]
        assert not ids[0] & ids[1]
        assert not ids[1] & ids[2]
        assert not ids[0] & ids[2]
        assert len(ids[1]) + len(ids[2]) + len(ids[0]) > 200 - 16
        judged.append(ids[2])
    assert sorted(row for each in judged for row in each) == list(range(200))


def test_a_shuffled_stream_has_another_order_in_each_epoch_and_goes_on_where_it_stood() -> None:
    pool, places = make_pool(), np.arange(50)

    def read(stream: PoolStream) -> list[int]:
        return [int(row) for rows in stream for row in rows["row_id"]]

    stream = PoolStream(pool, places, 16, seed=3)
    first = read(stream)
    assert len(stream) == 3
    assert len(first) == 48
    stream.set_epoch(1)
    assert read(stream) != first
    stream.load_state_dict({"epoch": 0, "step": 2})
    assert stream.state_dict() == {"epoch": 0, "step": 2}
    assert read(stream) == first[32:]
    assert read(PoolStream(pool, places, 16)) == list(range(50))
