"""The contract of forms: rows of any form are collected, prepared and streamed."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.datasets.verify import verify_version
from storage.datasets.version import Version
from storage.forms.base import RowsSpec
from storage.forms.registry import find_form
from storage.pipeline.collecting import collect_rows
from storage.pipeline.fitted import Fitted
from storage.pipeline.preparing import prepare_rows
from storage.shards.row_ids import CONTENT_HASH, ROW_ID, VALID_SUFFIX, Rows, count_rows
from storage.sources.base import Source
from storage.stream.stream import Stream

SHARD_BYTES = 4096


class FormContract:
    """States what every form promises.

    A subclass gives the fixtures `data`, a data section of the form, and `source`, a source of at
    least 60 rows, most of them valid.
    """

    @pytest.fixture
    def raw(self, source: Source, data: RowsSpec, tmp_path: Path) -> Version:
        """The rows of the source, collected."""
        dataset = Dataset(Store(tmp_path), "rows-raw")
        return collect_rows(source, dataset, spec=data, target_shard_bytes=SHARD_BYTES)

    @pytest.fixture
    def prepared(self, raw: Version, data: RowsSpec, tmp_path: Path) -> Version:
        """The same, prepared."""
        dataset = Dataset(Store(tmp_path), "rows-prepared")
        return prepare_rows(raw, data, dataset, target_shard_bytes=SHARD_BYTES)

    def test_it_is_found_by_its_kind(self, data: RowsSpec) -> None:
        form = find_form(data)
        assert form.name == data.kind
        assert isinstance(data, form.spec)
        assert find_form(pickle.loads(pickle.dumps(data))) is form

    def test_a_recipe_can_hold_its_section(self, data: RowsSpec) -> None:
        assert find_form(data).spec.model_validate(data.model_dump(mode="json")) == data

    def test_its_section_answers_for_every_form(self, data: RowsSpec) -> None:
        for name in ("labels", "numbers", "texts", "columns", "missing"):
            assert all(isinstance(item, str) for item in getattr(data, name)), name
        for name in ("label", "target", "time_name", "entity", "time_format", "time_zone"):
            assert getattr(data, name) is None or isinstance(getattr(data, name), str), name

    def test_invalid_rows_are_marked(self, raw: Version, data: RowsSpec) -> None:
        rows = raw.read()
        for mask in find_form(data).find_invalid(rows, data):
            assert mask.dtype == np.bool_
            assert mask.shape == (raw.rows,)

    def test_prepared_rows_are_valid(self, prepared: Version, data: RowsSpec) -> None:
        rows = prepared.read()
        features, targets = find_form(data).find_invalid(rows, data)
        assert not features.any()
        assert not targets.any()
        assert verify_version(prepared) == []

    def test_every_raw_row_is_used_or_counted(self, raw: Version, prepared: Version) -> None:
        dropped = Fitted.model_validate(prepared.info["fitted"]).dropped
        assert prepared.rows + sum(dropped.values()) == raw.rows
        assert len(np.unique(prepared.read(fields=[ROW_ID])[ROW_ID])) == prepared.rows

    def test_preparing_again_gives_the_same(
        self, raw: Version, prepared: Version, data: RowsSpec, tmp_path: Path
    ) -> None:
        dataset = Dataset(Store(tmp_path), "rows-again")
        again = prepare_rows(raw, data, dataset, target_shard_bytes=SHARD_BYTES)
        assert again.manifest_digest == prepared.manifest_digest

    def test_fitted_is_what_the_training_rows_give(self, prepared: Version, data: RowsSpec) -> None:
        fitted = Fitted.model_validate(prepared.info["fitted"])
        measured = find_form(data).measure(prepared.read("train"), data)
        assert fitted.rows == measured.rows == prepared.splits["train"]
        assert fitted.mean == pytest.approx(measured.moments.mean)
        assert fitted.std == pytest.approx(measured.moments.std)
        assert tuple(fitted.class_counts.values()) == measured.class_counts

    def test_an_epoch_serves_each_row_once(self, prepared: Version) -> None:
        rows = prepared.read("train")
        served = _read_epoch(Stream(prepared, "train", batch_size=8, threads=0, drop_last=False))
        assert sorted(served[ROW_ID].tolist()) == sorted(rows[ROW_ID].tolist())
        places = {row: place for place, row in enumerate(rows[ROW_ID].tolist())}
        order = [places[row] for row in served[ROW_ID].tolist()]
        for name, values in served.items():
            np.testing.assert_array_equal(values, rows[name][order])

    def test_ordered_rows_stay_in_order(self, prepared: Version, data: RowsSpec) -> None:
        if not find_form(data).ordered:
            pytest.skip("rows of this form are shuffled")
        for split in prepared.splits:
            rows = prepared.read(split)
            order = np.lexsort((rows["time"], rows["series_id"]))
            assert order.tolist() == list(range(len(order)))

    def test_masks_belong_to_fields(self, raw: Version, prepared: Version) -> None:
        for version in (raw, prepared):
            names = {field.name for field in version.fields}
            assert {ROW_ID, CONTENT_HASH} <= names
            masks = {name for name in names if name.endswith(VALID_SUFFIX)}
            assert {name.removesuffix(VALID_SUFFIX) for name in masks} <= names


def _read_epoch(stream: Stream) -> Rows:
    """The rows of one epoch, in the order in which they are served, without padding."""
    parts: list[Rows] = []
    for batch in stream:
        kept = ~batch.pop("padding")
        parts.append({name: values[kept] for name, values in batch.items()})
    rows = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    assert count_rows(rows)
    return rows
