"""Datasets of the code before are read and verified; the same rows give their digests."""

import tarfile
from pathlib import Path

import numpy as np
import pytest

from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.datasets.verify import verify_dataset
from storage.forms.registry import FORMS
from storage.pipeline.collecting import collect_rows
from storage.pipeline.preparing import prepare_rows
from storage.sources import find_sources
from tests.storage.made_before import SECTIONS, SHARD_BYTES, SOURCES, write_inputs

TYPES = {"image": "arrays", "table": "csv", "series": "csv"}


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    folder = tmp_path_factory.mktemp("before")
    with tarfile.open(Path(__file__).parents[1] / "data" / "made_before.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return Store(folder)


@pytest.mark.parametrize("form", SECTIONS)
@pytest.mark.parametrize("stage", ["raw", "prepared"])
def test_it_is_read_and_verified(before, form, stage):
    dataset = Dataset(before, f"{form}-{stage}")
    assert verify_dataset(dataset) == []
    version = dataset.latest()
    rows = version.read()
    assert {len(values) for values in rows.values()} == {version.rows}
    assert (
        version.rows
        == {"image": (60, 41), "table": (90, 80), "series": (80, 80)}[form][stage == "prepared"]
    )


@pytest.mark.parametrize("form", SECTIONS)
def test_the_same_rows_give_the_same_digests(before, form, tmp_path):
    write_inputs()
    workspace, data = Store(tmp_path), FORMS.find(form).spec.model_validate(SECTIONS[form])
    source = find_sources()[TYPES[form]](**SOURCES[form])
    raw = collect_rows(
        source, Dataset(workspace, f"{form}-raw"), spec=data, target_shard_bytes=SHARD_BYTES
    )
    prepared = prepare_rows(
        raw, data, Dataset(workspace, f"{form}-prepared"), target_shard_bytes=SHARD_BYTES
    )
    for version in (raw, prepared):
        old = Dataset(before, version.name).latest()
        assert version.manifest_digest == old.manifest_digest
        assert version.splits == old.splits
        known = {name: value for name, value in old.info.items() if name != "raw"}
        assert {name: version.info[name] for name in known} == known
    old = Dataset(before, prepared.name).latest().read("train")
    for name, values in prepared.read("train").items():
        np.testing.assert_array_equal(values, old[name])
