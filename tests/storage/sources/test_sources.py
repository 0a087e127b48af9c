"""Which sources there are: those that come with Lepton, and those that other packages add."""

import subprocess
import sys
from importlib.metadata import EntryPoint
from typing import Literal

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from storage import sources
from storage.sources import AnySource, find_sources
from storage.sources.base import Source
from storage.sources.idx import IdxSource


class OwnSource(Source):
    type: Literal["own"] = "own"

    def scan(self, spec, target_bytes):
        return iter(())

    def decode(self, part, spec):
        raise NotImplementedError


class Taken(OwnSource):
    type: Literal["idx"] = "idx"


class Typeless(OwnSource):
    type: str = "anything"


def add_points(monkeypatch, **points):
    found = [EntryPoint(name, value, "lepton.sources") for name, value in points.items()]
    monkeypatch.setattr(
        sources, "entry_points", lambda group: [point for point in found if point.group == group]
    )


def test_those_that_come_with_lepton():
    assert sorted(find_sources()) == [
        "arrays",
        "csv",
        "idx",
        "images",
        "joined",
        "parquet",
        "sklearn",
    ]


def test_another_package_adds_its_own(monkeypatch):
    add_points(monkeypatch, own="tests.storage.sources.test_sources:OwnSource")
    assert find_sources()["own"] is OwnSource


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("no.such.module:Source", "no"),
        ("tests.storage.sources.test_sources:Taken", "idx is taken"),
        ("tests.storage.sources.test_sources:Typeless", "literal"),
        ("pathlib:Path", "subclass"),
    ],
)
def test_one_that_cannot_be_used_is_left_out_with_a_warning(monkeypatch, value, words):
    add_points(monkeypatch, broken=value)
    with pytest.warns(RuntimeWarning, match=rf"broken.*{words}"):
        assert len(find_sources()) == 7


def test_the_type_chooses_the_source():
    class Recipe(BaseModel):
        source: AnySource

    assert isinstance(
        Recipe.model_validate({"source": {"type": "idx", "url": "x"}}).source, IdxSource
    )
    for wrong, words in (
        ({"type": "nope"}, "sklearn"),
        ({"type": "idx", "url": " "}, "path or URL"),
        ({}, "type"),
    ):
        with pytest.raises(ValidationError, match=words):
            Recipe.model_validate({"source": wrong})
    assert "discriminator" in TypeAdapter(AnySource).json_schema()


def test_specs_import_fast_and_alone():
    text = (
        "import sys, storage.sources, storage.pipeline.preparing, storage.pipeline.collecting; "
        "print(*sys.modules)"
    )
    modules = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {
        "torch",
        "dask",
        "distributed",
        "zarr",
        "pandas",
        "pyarrow",
        "sklearn",
        "fsspec",
        "PIL",
        "prefect",
    }
    assert not heavy & set(modules)
