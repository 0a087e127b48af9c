"""Every form of samples keeps the contract."""

import pytest

from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.samples import Sample
from lightning_modules.testing.forms import FormContract
from tests.lightning_modules.samples import FORECAST, IMAGE, MLP, ROW, SERIES_MLP


class TestImages(FormContract):
    @pytest.fixture
    def sample(self) -> Sample:
        return IMAGE

    @pytest.fixture
    def model(self) -> ModelSpec:
        return MLP


class TestTables(FormContract):
    @pytest.fixture
    def sample(self) -> Sample:
        return ROW

    @pytest.fixture
    def model(self) -> ModelSpec:
        return MLP


class TestSeries(FormContract):
    @pytest.fixture
    def sample(self) -> Sample:
        return FORECAST

    @pytest.fixture
    def model(self) -> ModelSpec:
        return SERIES_MLP
