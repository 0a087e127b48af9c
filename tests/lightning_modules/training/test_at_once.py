"""What is fitted at once is fitted on every training row, those behind the last full batch, too."""

import numpy as np
import pytest
import torch

from lightning_modules.data.batches import StreamDataModule
from lightning_modules.data.readers import SampleBatch
from lightning_modules.specs.model import HeadSpec, ModelSpec, NetworkSpec
from lightning_modules.specs.samples import NumberColumn, RowSample
from lightning_modules.specs.training import TrainSpec
from lightning_modules.training.folds import PoolReader, PoolStream
from lightning_modules.training.trainer import fit_learner
from lightning_modules.training.trial import SomeBatches

ROWS, BATCH = 70, 64


def make_pool() -> SampleBatch:
    """Rows of a line with little noise, of which few differ much."""
    draw = np.random.default_rng(3)
    values = draw.normal(size=(ROWS, 2))
    truth = values @ [2.0, -1.0] + 0.5 + draw.normal(0, 0.1, ROWS)
    return SampleBatch(values, truth, np.arange(ROWS, dtype=np.uint64))


def open_streams(bound: int | None = None) -> tuple[PoolStream | SomeBatches, PoolStream]:
    pool, places = make_pool(), np.arange(ROWS)
    train = PoolStream(pool, places, BATCH if bound is None else 16, seed=1)
    return train if bound is None else SomeBatches(train, bound), PoolStream(pool, places, BATCH)


SAMPLE = RowSample(numbers=(NumberColumn(name="a"), NumberColumn(name="b")), objective="values")
MODEL = ModelSpec(head=HeadSpec(mask=False), network=NetworkSpec(family="closed_linear"))


def test_a_closed_form_is_that_of_all_rows() -> None:
    train, validation = open_streams()
    assert len(train) == 1
    fitted = fit_learner(
        MODEL,
        TrainSpec(batch_size=BATCH, precision="fp32"),
        SAMPLE,
        train_stream=train,
        validation_stream=validation,
        reader=PoolReader(),
    )
    pool = make_pool()
    rows = np.concatenate([pool.sample, np.ones((ROWS, 1))], 1)
    square = rows.T @ rows
    ridge = 1e-3 * np.trace(square) / 3 * np.eye(3)
    wanted = np.linalg.solve(square + ridge, rows.T @ pool.truth)
    layer = next(m for m in fitted.learner.network.modules() if isinstance(m, torch.nn.Linear))
    np.testing.assert_allclose(layer.weight.detach().numpy()[0], wanted[:2], rtol=1e-5)


@pytest.mark.parametrize(("bound", "rows"), [(None, 70), (2, 32), (4, 70), (9, 70)])
def test_a_trial_of_some_batches_gets_no_more_than_these(bound: int | None, rows: int) -> None:
    train, validation = open_streams(bound)
    data = StreamDataModule(train, validation, reader=PoolReader())
    found = [
        batch.row_id if batch.real is None else batch.row_id[batch.real.numpy()]
        for batch in data.iter_training()
    ]
    ids = np.concatenate(found).tolist()
    assert len(ids) == len(set(ids)) == rows
    # Steps are of full batches, as before.
    assert sum(len(batch.row_id) for batch in data.train_loader) == min(rows, 64)
