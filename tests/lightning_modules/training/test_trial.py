"""A trial of a race: what a network is judged by."""

import pytest
import torch

from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.samples import RowSample
from lightning_modules.specs.training import TrainSpec
from lightning_modules.specs.trial import Bounds, Measured
from lightning_modules.training.trial import run_trial
from tests.lightning_modules.tables import (
    describe_rows,
    load_diabetes,
    make_reader,
    split_rows,
    stream_rows,
)

LEVELS = (0.1, 0.5, 0.9)


def judge(family: str, levels: tuple[float, ...]) -> Measured:
    splits = split_rows(load_diabetes())
    described = describe_rows(splits["train"], "values")
    sample = RowSample.model_validate(described.model_dump() | {"quantiles": levels})
    model = ModelSpec.model_validate({"network": {"family": family}, "quantiles": levels})
    return run_trial(
        model,
        TrainSpec(batch_size=32),
        sample,
        train_stream=stream_rows(splits["train"], 32, shuffle=True),
        validation_stream=stream_rows(splits["validation"], 50),
        reader=make_reader(sample),
        bounds=Bounds(1, 30, 16, 60.0),
    )


@pytest.mark.parametrize("family", ["closed_linear", "trees"])
def test_what_is_fitted_at_once_is_judged_by_its_calibrated_quantiles(family: str) -> None:
    torch.manual_seed(0)
    narrow = judge(family, (0.45, 0.5, 0.55)).value
    wide = judge(family, LEVELS).value
    # Of one answer to all of them the loss would be as high far from the median as near it.
    assert wide < 0.9 * narrow
