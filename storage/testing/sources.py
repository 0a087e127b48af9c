"""The contract of sources: what every source must do."""

import pickle

import numpy as np
import pytest
from pydantic import TypeAdapter

from storage.forms.base import RowsSpec
from storage.shards.row_ids import CONTENT_HASH, ROW_ID, Rows, count_rows
from storage.sources import AnySource
from storage.sources.base import Part, PassedOver, Source, SourceFile

SECRET = "hunter2"


def read_all(source: Source, spec: RowsSpec | None = None, target_bytes: int = 1 << 23) -> Rows:
    """Read all rows of a source, in order, as one dict of arrays."""
    parts = [source.read(part, spec) for part in source.parts(target_bytes, spec)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


class SourceContract:
    """States what every source promises.

    A subclass gives the fixtures `source` and `expected_rows`, and `spec` where the source needs a
    data section.
    """

    @pytest.fixture
    def spec(self) -> RowsSpec | None:
        """The data section; None where the source needs none."""
        return None

    def test_every_row_is_read_once(
        self, source: Source, spec: RowsSpec | None, expected_rows: int
    ) -> None:
        rows = read_all(source, spec)
        assert count_rows(rows) == expected_rows
        assert len(np.unique(rows[ROW_ID])) == expected_rows

    def test_rows_do_not_depend_on_how_they_are_cut(
        self, source: Source, spec: RowsSpec | None
    ) -> None:
        whole, cut = read_all(source, spec), read_all(source, spec, target_bytes=2000)
        assert list(whole) == list(cut)
        for name, values in whole.items():
            assert values.dtype == cut[name].dtype
            np.testing.assert_array_equal(values, cut[name])

    def test_ids_and_hashes_have_their_types(self, source: Source, spec: RowsSpec | None) -> None:
        rows = read_all(source, spec)
        assert rows[ROW_ID].dtype == np.uint64
        assert rows[ROW_ID].ndim == 1
        assert rows[CONTENT_HASH].dtype == np.uint64
        assert rows[CONTENT_HASH].shape == (count_rows(rows), 2)

    def test_a_part_can_be_sent_and_read_twice(self, source: Source, spec: RowsSpec | None) -> None:
        part = source.parts(1 << 23, spec)[0]
        sent, reader = pickle.loads(pickle.dumps((part, source)))
        for name, values in reader.read(sent, spec).items():
            np.testing.assert_array_equal(values, source.read(part, spec)[name])

    def test_parts_come_close_to_the_target(
        self, source: Source, spec: RowsSpec | None, expected_rows: int
    ) -> None:
        few, many = source.parts(1 << 30, spec), source.parts(2000, spec)
        assert len(few) <= len(many)
        assert len({(part.name, part.start, part.split) for part in many}) == len(many)

    def test_files_are_hashed_whatever_the_cut(self, source: Source, spec: RowsSpec | None) -> None:
        identity = source.identify(spec)
        assert identity.file_count >= 1
        assert identity.size_bytes == sum(file.size_bytes for file in identity.files)
        assert all(len(file.sha256) == 64 for file in identity.files)
        assert source.identify(spec) == identity

    def test_a_recipe_can_hold_it(self, source: Source) -> None:
        again = TypeAdapter(AnySource).validate_python(source.model_dump())
        assert again == source

    def test_secrets_are_not_shown(self, source: Source) -> None:
        if "url" not in type(source).model_fields:
            pytest.skip("this source has no address")
        url = f"s3://user:{SECRET}@bucket/data?X-Amz-Signature={SECRET}"
        options = {"secret": SECRET, "client_kwargs": {"token": SECRET}}
        hidden = source.model_copy(update={"url": url, "options": options})
        assert SECRET not in repr(hidden)
        assert SECRET not in str(hidden)
        assert SECRET not in str(hidden.display)
        assert SECRET not in str(hidden.make_identity([]))
        assert SECRET not in str(hidden.model_dump(mode="json")["options"])

    def test_scan_yields_what_it_may(self, source: Source, spec: RowsSpec | None) -> None:
        assert all(
            isinstance(item, Part | SourceFile | PassedOver) for item in source.scan(spec, 1 << 23)
        )
