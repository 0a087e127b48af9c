"""Every objective keeps the contract."""

import pytest

from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.samples import Sample
from lightning_modules.testing.objectives import ObjectiveContract
from tests.lightning_modules.samples import (
    AUTOENCODER,
    FORECAST,
    IMAGE,
    MLP,
    ROW,
    SCORE,
    SERIES_MLP,
    VALUE,
)

QUANTILES = (0.2, 0.5, 0.8)
PAIRS = {
    "images": (IMAGE, MLP),
    "rows": (ROW, MLP),
    "values": (VALUE, MLP),
    "forecast": (FORECAST, SERIES_MLP),
    "quantiles": (VALUE.model_copy(update={"quantiles": QUANTILES}), MLP),
    "quantiles of steps": (FORECAST.model_copy(update={"quantiles": QUANTILES}), SERIES_MLP),
    "reconstruction": (SCORE, AUTOENCODER),
}


@pytest.mark.parametrize("pair", list(PAIRS))
class TestObjectives(ObjectiveContract):
    @pytest.fixture
    def sample(self, pair: str) -> Sample:
        return PAIRS[pair][0]

    @pytest.fixture
    def model(self, pair: str) -> ModelSpec:
        return PAIRS[pair][1]
