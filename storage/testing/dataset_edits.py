"""The contract of datasets, of what changes and leaves them: edits, comparisons, exports."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from storage.base.errors import Conflict, InvalidInput, NotFound
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.datasets.diff import compare_versions
from storage.datasets.verify import verify_dataset, verify_version
from storage.datasets.version import Version
from storage.datasets.zarr_export import export_version, open_dask
from storage.testing.small_datasets import add_shard, make_rows, read_ids
from storage.upkeep.edits import delete_rows, replace_rows


class EditContract:
    """States what editing, comparing and exporting promise; part of `DatasetContract`."""

    def test_deleting_rows_rewrites_only_their_shards(self, filled: Dataset) -> None:
        before = filled.open()
        after = delete_rows(filled, [3, 7])
        assert read_ids(after) == sorted(set(read_ids(before)) - {3, 7})
        assert [old == new for old, new in zip(before.shards, after.shards, strict=True)] == [
            False,
            True,
            True,
        ]
        assert after.shards[0].split == "train"
        assert verify_version(after) == []
        assert read_ids(filled.open(2)) == read_ids(before)
        gone = delete_rows(filled, list(range(100, 120)))
        assert (len(gone.shards), gone.splits) == (2, {"train": 38})
        with pytest.raises(NotFound, match=r"\[3, 999\]"):
            delete_rows(filled, [3, 4, 999])
        with pytest.raises(InvalidInput, match="once each"):
            delete_rows(filled, [4, 4])

    def test_replacing_rows_rewrites_only_their_shards(self, filled: Dataset) -> None:
        before = filled.open()
        rows = make_rows(0, 220, seed=9)
        rows = {name: array[[210, 5, 0]] for name, array in rows.items()}
        after = replace_rows(filled, rows)
        read = after.read()
        for number, row_id in enumerate([210, 5, 0]):
            place = read["row_id"].tolist().index(row_id)
            assert all((read[name][place] == rows[name][number]).all() for name in rows)
        untouched = ~np.isin(read["row_id"], [210, 5, 0])
        np.testing.assert_array_equal(read["image"][untouched], before.read()["image"][untouched])
        assert [old == new for old, new in zip(before.shards, after.shards, strict=True)] == [
            False,
            True,
            False,
        ]
        with pytest.raises(InvalidInput, match="fields, types and shapes"):
            replace_rows(filled, {**rows, "label": rows["label"].astype(np.int8)})

    def test_a_change_costs_what_changes(
        self, filled: Dataset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One shard is written for one that changes."""
        written: list[str] = []
        write = Store.write_files

        def note(self: Store, files: Mapping[str, bytes]) -> None:
            written.extend(files)
            write(self, files)

        monkeypatch.setattr(Store, "write_files", note)
        delete_rows(filled, [3])
        assert len({path.partition("/")[0] for path in written if "/" in path}) == 1
        written.clear()
        filled.append([add_shard(filled, 300)])
        assert len({path.partition("/")[0] for path in written if "/" in path}) == 1

    def test_diff(self, filled: Dataset) -> None:
        diff = compare_versions(filled.open(0), delete_rows(filled, [3, 205]))
        assert (diff.old, diff.new, diff.shards_kept) == ("demo@0", "demo@3", 0)
        assert diff.rows_removed == (3,)
        assert diff.rows_added == (
            *range(100, 120),
            *(row for row in range(200, 220) if row != 205),
        )
        assert (diff.rows_changed, diff.fields_added, diff.fields_removed) == ((), (), ())
        changed = compare_versions(
            filled.open(),
            replace_rows(filled, {k: v[[1]] for k, v in make_rows(0, 20, seed=5).items()}),
        )
        assert (changed.rows_added, changed.rows_removed) == ((), ())
        assert (changed.rows_changed, changed.shards_kept) == ((1,), 2)
        same = compare_versions(filled.open(), filled.open())
        assert (same.shards_added, same.shards_removed, same.shards_kept) == ((), (), 3)

    def test_opens_in_dask(self, filled: Dataset) -> None:
        version = filled.open()
        array: Any = open_dask(version, "image")
        labels: Any = open_dask(version, "label", "train")
        assert array.chunks[0] == (20, 20, 20)
        np.testing.assert_array_equal(
            array.compute(scheduler="synchronous"), version.read()["image"]
        )
        np.testing.assert_array_equal(
            labels.compute(scheduler="threads"), version.read("train")["label"]
        )

    def test_verify_finds_nothing_wrong(self, filled: Dataset) -> None:
        filled.tag("gold")
        assert verify_dataset(filled) == verify_version(filled.open()) == []

    def test_edits_and_appends_at_once_lose_nothing(self, dataset: Dataset) -> None:
        dataset.append([add_shard(dataset, 0, 40)])

        def edit(row: int) -> Version:
            return (
                delete_rows(dataset, [row])
                if row % 2
                else dataset.append([add_shard(dataset, 100 * row + 100, 3)])
            )

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(edit, range(8)))
        expected = [row for row in range(40) if row not in (1, 3, 5, 7)] + [
            100 * w + 100 + r for w in (0, 2, 4, 6) for r in range(3)
        ]
        assert read_ids(dataset.open()) == sorted(expected)

    def test_exports_as_plain_zarr(self, filled: Dataset, tmp_path: Path) -> None:
        version = filled.open()
        export_version(version, Store(str(tmp_path / "out")))
        group: Any = zarr.open_group(tmp_path / "out", mode="r")
        assert group.attrs["lepton"] == {"dataset": "demo", "number": 2, "digest": version.digest}
        for split in version.splits:
            for name, array in version.read(split).items():
                np.testing.assert_array_equal(group[split][name][:], array)
        with pytest.raises(Conflict, match="must be empty"):
            export_version(version, Store(str(tmp_path / "out")))
