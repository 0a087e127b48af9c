"""Every form, and one that a plug-in brings, does what the contract of forms says."""

import io
import sys

import fsspec
import numpy as np
import pytest

from storage.base import registry
from storage.base.registry import UnknownName
from storage.forms.base import RowsSpec
from storage.forms.registry import FORMS, find_form
from storage.sources.arrays import ArraysSource
from storage.sources.csv import CsvSource
from storage.sources.sklearn import SklearnSource
from storage.testing.forms import FormContract
from tests.storage.made_before import SECTIONS, SOURCES, write_inputs


class TestImages(FormContract):
    @pytest.fixture
    def data(self):
        image = {"shape": [1, 8, 8], "value_range": [0, 16]}
        section = {"image": image, "labels": [str(digit) for digit in range(10)]}
        return FORMS.find("image").spec.model_validate(section)

    @pytest.fixture
    def source(self):
        return SklearnSource(dataset="digits")


class TestTable(FormContract):
    @pytest.fixture
    def data(self):
        return FORMS.find("table").spec.model_validate(SECTIONS["table"])

    @pytest.fixture
    def source(self):
        write_inputs()
        return CsvSource(**SOURCES["table"])


class TestSeries(FormContract):
    @pytest.fixture
    def data(self):
        return FORMS.find("series").spec.model_validate(SECTIONS["series"])

    @pytest.fixture
    def source(self):
        write_inputs()
        return CsvSource(**SOURCES["series"])


@pytest.fixture
def points(monkeypatch):
    """A plug-in's form, known for the length of a test."""
    monkeypatch.setenv("LEPTON_PLUGINS", "tests.storage.forms.points")
    monkeypatch.setattr(registry, "_loaded", set())
    monkeypatch.setattr(FORMS, "_rows", dict(FORMS._rows))
    monkeypatch.delitem(sys.modules, "tests.storage.forms.points.storage", raising=False)
    return FORMS.find("points")


class TestAStrangersForm(FormContract):
    @pytest.fixture
    def data(self, points):
        section = {"labels": ["left", "right"], "points": 5, "split": {"held_out": 0.2}}
        return points.spec.model_validate(section)

    @pytest.fixture
    def source(self):
        rng = np.random.default_rng(3)
        clouds = rng.normal(size=(80, 5, 2)).astype(np.float32)
        clouds[7, 2, 1] = np.nan
        files = fsspec.filesystem("memory")
        for name, values in (("x", clouds), ("y", clouds[:, 0, 0] > 0)):
            held = io.BytesIO()
            np.save(held, values.astype(np.int64) if name == "y" else values)
            files.pipe(f"/points/{name}.npy", held.getvalue())
        return ArraysSource(url="memory://points", train=("x", "y"), held_out=None)

    def test_its_invalid_row_is_dropped(self, prepared):
        assert prepared.info["fitted"]["dropped"]["invalid_features"] == 1
        assert len(prepared.info["fitted"]["mean"]) == 2


def test_an_unknown_form_is_named():
    with pytest.raises(UnknownName, match=r"sculpture.*image, table, series"):
        find_form(RowsSpec(kind="sculpture"))
