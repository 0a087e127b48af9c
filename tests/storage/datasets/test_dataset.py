"""Versions: immutable, found by number, tag and date, changed at the cost of what changes, and
never lost to a rival.
"""

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import zarr

from storage.base.errors import Conflict, Corrupt, InvalidInput, NotFound
from storage.base.store import Store, canonical_json, sha256_bytes
from storage.datasets.dataset import Dataset
from storage.datasets.diff import compare_versions
from storage.datasets.files import list_datasets
from storage.datasets.log import CommitLog, encode_entry, name_entry
from storage.datasets.verify import verify_dataset, verify_version
from storage.datasets.zarr_export import export_version, open_dask
from storage.shards.shard import Span, write_shard
from storage.shards.statistics import compute_statistics
from storage.upkeep.edits import delete_rows, replace_rows
from tests.storage.dataset_material import add_shard, make_rows, read_ids
from tests.storage.object_store import Proxy, describe_options


class DatasetContract:
    """What a dataset promises on every store. Subclasses give a fixture `store`, empty and fresh."""

    @pytest.fixture
    def dataset(self, store):
        return Dataset(store, "demo")

    @pytest.fixture
    def filled(self, dataset):
        """Three versions: 0..20 (train), + 100..120 (held_out), + 200..220 (train)."""
        dataset.commit(
            [add_shard(dataset, 0, split="train")],
            kind="collect",
            parent=None,
            info={"source": "x"},
        )
        dataset.append([add_shard(dataset, 100, split="held_out")])
        dataset.append([add_shard(dataset, 200, split="train")])
        return dataset

    def test_a_dataset_without_a_version(self, dataset):
        assert dataset.latest() is None
        assert dataset.log() == verify_dataset(dataset) == []
        with pytest.raises(NotFound, match="collect data first"):
            dataset.open()
        with pytest.raises(NotFound, match="collect data first"):
            dataset.tag("gold")

    def test_a_commit_is_there(self, filled):
        version = filled.open(0)
        assert (version.ref, version.number, version.rows, version.splits) == (
            "demo@0",
            0,
            20,
            {"train": 20},
        )
        assert version.info == {"source": "x"}
        assert [field.name for field in version.fields] == [
            "content_hash",
            "image",
            "label",
            "row_id",
        ]
        assert version.digest == sha256_bytes(filled.history.files.read(name_entry(0)))
        assert version.entry.manifest == version.manifest_digest
        for name, array in make_rows(0).items():
            np.testing.assert_array_equal(version.read("train")[name], array)

    def test_a_version_never_changes(self, filled):
        first = filled.open(0)
        shards = first.shards
        delete_rows(filled, [0, 1])
        filled.replace([add_shard(filled, 500)])
        assert filled.open(0).shards == shards == first.shards
        assert read_ids(filled.open(0)) == read_ids(first) == list(range(20))

    def test_append_adds_to_what_is_there(self, filled):
        latest = filled.latest()
        assert (latest.number, latest.splits) == (2, {"held_out": 20, "train": 40})
        assert latest.info == {"source": "x"}
        assert read_ids(latest) == [*range(20), *range(100, 120), *range(200, 220)]

    def test_appending_again_changes_nothing(self, filled):
        again = filled.append([add_shard(filled, 200, split="train")])
        assert again.ref == filled.latest().ref == "demo@2"

    def test_commit_wants_the_latest_parent(self, filled):
        entry = add_shard(filled, 300)
        for parent in (None, 0, 1, 3):
            with pytest.raises(Conflict, match="latest"):
                filled.commit([entry], kind="x", parent=parent)
        assert filled.commit([entry], kind="x", parent=2).number == 3

    def test_opens_by_number_tag_and_time(self, filled):
        filled.tag("gold", 1)
        later = filled.append([add_shard(filled, 300)])
        assert later.number == 4
        times = [entry.created_at for entry in filled.log()]
        assert times == sorted(times)
        assert [
            filled.open(asked).number
            for asked in (None, "latest", 0, "0", "gold", "demo@1", "demo@gold")
        ] == [
            4,
            4,
            0,
            0,
            1,
            1,
            1,
        ]
        assert filled.open(times[1]).number == 1
        assert filled.open(times[1].isoformat()).number == 1
        assert filled.open(times[3]).number == 2
        assert filled.open(datetime.now(UTC).date().isoformat()).number == 4
        assert filled.open((times[0] - timedelta(days=-900)).replace(tzinfo=None)).number == 4
        with pytest.raises(NotFound, match="the first came later"):
            filled.open(times[0] - timedelta(seconds=1))
        for nothing in (3, 5, 99, -1, "silver", "2026-99-99", "demo@9"):
            with pytest.raises(NotFound, match="demo"):
                filled.open(nothing)

    def test_tags(self, filled):
        filled.tag("gold", 0)
        filled.tag("gold", 0)
        assert len(filled.log()) == 4
        with pytest.raises(Conflict, match="move it on purpose"):
            filled.tag("gold")
        filled.tag("gold", move=True)
        assert filled.open("gold").number == 2
        filled.untag("gold")
        with pytest.raises(NotFound):
            filled.open("gold")
        with pytest.raises(NotFound, match="tag gold"):
            filled.untag("gold")
        assert filled.open(2).entry.tags == {}
        for name in ("latest", "7", "a/b", ""):
            with pytest.raises(InvalidInput, match="a tag"):
                filled.tag(name)

    def test_deleting_rows_rewrites_only_their_shards(self, filled):
        before = filled.latest()
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

    def test_replacing_rows_rewrites_only_their_shards(self, filled):
        before = filled.latest()
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

    def test_a_change_costs_what_changes(self, filled, monkeypatch):
        """One shard is written for one that changes; tests/storage/datasets/test_manifest.py counts
        what the list of shards costs.
        """
        written = []
        write = Store.write_files
        monkeypatch.setattr(
            Store, "write_files", lambda self, files: written.extend(files) or write(self, files)
        )
        delete_rows(filled, [3])
        assert len({path.partition("/")[0] for path in written if "/" in path}) == 1
        written.clear()
        filled.append([add_shard(filled, 300)])
        assert len({path.partition("/")[0] for path in written if "/" in path}) == 1

    def test_diff(self, filled):
        diff = compare_versions(filled.open(0), delete_rows(filled, [3, 205]))
        assert (diff.old, diff.new, diff.shards_kept) == ("demo@0", "demo@3", 0)
        assert diff.rows_removed == (3,)
        assert diff.rows_added == (
            *range(100, 120),
            *(row for row in range(200, 220) if row != 205),
        )
        assert diff.rows_changed == diff.fields_added == diff.fields_removed == ()
        changed = compare_versions(
            filled.latest(),
            replace_rows(filled, {k: v[[1]] for k, v in make_rows(0, 20, seed=5).items()}),
        )
        assert (
            changed.rows_added,
            changed.rows_removed,
            changed.rows_changed,
            changed.shards_kept,
        ) == (
            (),
            (),
            (1,),
            2,
        )
        same = compare_versions(filled.latest(), filled.latest())
        assert (same.shards_added, same.shards_removed, same.shards_kept) == ((), (), 3)

    def test_statistics_come_from_the_manifest(self, filled, monkeypatch):
        version = filled.latest()
        rows = {split: version.read(split) for split in version.splits}
        everything = version.read()
        version.shards  # noqa: B018 - the manifest
        monkeypatch.setattr(Store, "read", lambda *_: pytest.fail("a file was read"))
        for split, data in [*rows.items(), (None, everything)]:
            found, expected = version.statistics(split)["image"], compute_statistics(data["image"])
            assert (found.count, found.min, found.max, found.histogram) == (
                expected.count,
                expected.min,
                expected.max,
                expected.histogram,
            )
            assert found.mean == pytest.approx(expected.mean)
            assert found.std == pytest.approx(expected.std)

    def test_opens_in_dask(self, filled):
        version = filled.latest()
        array = open_dask(version, "image")
        assert array.chunks[0] == (20, 20, 20)
        np.testing.assert_array_equal(
            array.compute(scheduler="synchronous"), version.read()["image"]
        )
        np.testing.assert_array_equal(
            open_dask(version, "label", "train").compute(scheduler="threads"),
            version.read("train")["label"],
        )

    def test_an_unknown_split_is_refused(self, filled):
        with pytest.raises(NotFound, match=r"'test'.*held_out.*train"):
            filled.latest().read("test")

    def test_shards_that_cannot_be_one_version_are_refused(self, filled):
        other = write_shard(filled.shards, {"image": np.zeros((2, 1, 4, 4), np.float32)})
        with pytest.raises(InvalidInput, match="fields of all shards"):
            filled.append([other])
        twice = add_shard(filled, 300)
        with pytest.raises(InvalidInput, match="once"):
            filled.append([twice, twice])
        with pytest.raises(InvalidInput, match="canonical JSON"):
            filled.append([twice], info={"x": float("nan")})
        assert filled.latest().number == 2

    def test_a_shard_that_is_not_there_is_refused(self, filled):
        entry = add_shard(filled, 300)
        filled.shards.delete(entry.find_file("label"))
        with pytest.raises(Conflict, match="write it again"):
            filled.append([entry])
        assert filled.latest().number == 2
        assert filled.append([add_shard(filled, 300)]).number == 3

    def test_verify_finds_nothing_wrong(self, filled):
        filled.tag("gold")
        assert verify_dataset(filled) == verify_version(filled.latest()) == []

    def test_writers_lose_nothing(self, dataset):
        """A bounded form of 8 writers x 60 commits, in threads."""

        def write(writer):
            return [
                dataset.append([add_shard(dataset, 1000 * writer + 10 * turn, 5)]).number
                for turn in range(4)
            ]

        with ThreadPoolExecutor(4) as threads:
            numbers = sorted(number for found in threads.map(write, range(4)) for number in found)
        assert numbers == list(range(16))
        assert dataset.history.list_numbers() == numbers
        expected = sorted(
            1000 * w + 10 * t + r for w in range(4) for t in range(4) for r in range(5)
        )
        assert read_ids(dataset.latest()) == expected
        assert verify_dataset(dataset) == []

    def test_edits_and_appends_at_once_lose_nothing(self, dataset):
        dataset.append([add_shard(dataset, 0, 40)])

        def edit(row):
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
        assert read_ids(dataset.latest()) == sorted(expected)

    def test_a_reader_travels_to_another_process(self, filled):
        import pickle

        if filled.workspace.url.startswith("memory"):
            pytest.skip("memory is one process's own")
        assert read_ids(pickle.loads(pickle.dumps(filled.latest()))) == read_ids(filled.latest())

    def test_exports_as_plain_zarr(self, filled, tmp_path):
        version = filled.latest()
        export_version(version, Store(str(tmp_path / "out")))
        group = zarr.open_group(tmp_path / "out", mode="r")
        assert group.attrs["lepton"] == {"dataset": "demo", "number": 2, "digest": version.digest}
        for split in version.splits:
            for name, array in version.read(split).items():
                np.testing.assert_array_equal(group[split][name][:], array)
        with pytest.raises(Conflict, match="must be empty"):
            export_version(version, Store(str(tmp_path / "out")))


class TestLocal(DatasetContract):
    @pytest.fixture
    def store(self, tmp_path):
        return Store(tmp_path / "work space")

    def test_lists_datasets(self, filled, store):
        Dataset(store, "other").append([add_shard(Dataset(store, "other"), 0)])
        assert list_datasets(store) == ["demo", "other"]
        assert list_datasets(store.child("none")) == []

    @pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "a b", "x" * 200])
    def test_refuses_a_name(self, store, name):
        with pytest.raises(InvalidInput, match="name of a dataset"):
            Dataset(store, name)

    def test_export_without_splits_and_with_text_and_columns(self, store, tmp_path):
        dataset = Dataset(store, "table")
        rows = {
            "x": np.arange(6.0).reshape(3, 2),
            "name": np.array(["a", "", "ü"]),
            "x__valid": np.ones((3, 2), bool),
        }
        for count in (3, 2):
            dataset.append(
                [
                    write_shard(
                        dataset.shards,
                        {k: v[:count] for k, v in rows.items()},
                        columns={"x": ["l", "r"]},
                    )
                ]
            )
        export_version(dataset.latest(), Store(str(tmp_path / "out")))
        group = zarr.open_group(tmp_path / "out", mode="r")
        assert group["name"][:].tolist() == ["a", "", "ü", "a", ""]
        assert group["x"].attrs["columns"] == ["l", "r"]

    @pytest.mark.slow
    def test_eight_processes_lose_no_acknowledged_commit(self, store):
        numbers = run_writers(store.url, {}, writers=8, commits=60)
        dataset = Dataset(store, "demo")
        assert sorted(numbers) == dataset.history.list_numbers() == list(range(480))
        assert read_ids(dataset.latest()) == sorted(
            1000 * w + t for w in range(8) for t in range(60)
        )
        assert dataset.history.find_faults(dataset.history.list_numbers()) == []

    def test_processes_lose_no_acknowledged_commit(self, store):
        numbers = run_writers(store.url, {}, writers=3, commits=5)
        dataset = Dataset(store, "demo")
        assert sorted(numbers) == dataset.history.list_numbers() == list(range(15))
        assert read_ids(dataset.latest()) == sorted(
            1000 * w + t for w in range(3) for t in range(5)
        )


class TestMemory(DatasetContract):
    @pytest.fixture
    def store(self):
        import fsspec

        fsspec.filesystem("memory").store.clear()
        yield Store("memory://workspace")
        fsspec.filesystem("memory").store.clear()


@pytest.mark.slow
class TestS3(DatasetContract):
    @pytest.fixture
    def store(self, endpoint, request):
        return Store(
            f"s3://bucket/{sha256_bytes(request.node.nodeid.encode())[:12]}",
            describe_options(endpoint),
        )

    def test_lost_replies_lose_and_double_nothing(self, store, endpoint):
        with Proxy(endpoint) as proxy:
            dataset = Dataset(Store(store.url, describe_options(proxy.endpoint)), "demo")
            dataset.append([add_shard(dataset, 0, 5)])
            seen = {}

            def lose(method, path):
                seen[path] = seen.get(path, 0) + 1
                return method == "PUT" and "/log/" in path and seen[path] == 1

            proxy.lose = lose
            for turn in range(1, 4):
                assert dataset.append([add_shard(dataset, 10 * turn, 5)]).number == turn
        dataset = Dataset(store, "demo")
        assert [entry.kind for entry in dataset.log()] == ["append"] * 4
        assert len(read_ids(dataset.latest())) == 20

    def test_opening_and_reading_costs_few_requests(self, store, endpoint):
        dataset = Dataset(store, "demo")
        for turn in range(5):
            dataset.append([add_shard(dataset, 10 * turn, 5)])
        with Proxy(endpoint) as proxy:
            version = Dataset(Store(store.url, describe_options(proxy.endpoint)), "demo").open()
            version.read(fields=["image", "label"])
            assert len([path for method, path, _ in proxy.requests if method == "GET"]) <= 3 + 2 * 5

    def test_processes_lose_no_acknowledged_commit(self, store, endpoint):
        numbers = run_writers(store.url, describe_options(endpoint), writers=3, commits=4)
        dataset = Dataset(store, "demo")
        assert sorted(numbers) == dataset.history.list_numbers() == list(range(12))
        assert read_ids(dataset.latest()) == sorted(
            1000 * w + t for w in range(3) for t in range(4)
        )


WRITER = """
import json, sys
import numpy as np
from storage.files import Store
from storage.shards import write_shard
from storage.versions import Dataset

url, options, writer, commits = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
dataset = Dataset(Store(url, options), "demo")
sys.stdin.readline()
for turn in range(commits):
    entry = write_shard(dataset.shards, {"row_id": np.array([1000 * writer + turn], np.uint64)}, codec="none")
    print(dataset.append([entry]).number, flush=True)
"""


def run_writers(url, options, writers, commits):
    """Starts processes that append at once; gives the numbers of all acknowledged commits."""
    command = [sys.executable, "-c", WRITER, url, json.dumps(options)]
    processes = [
        subprocess.Popen(
            [*command, str(number), str(commits)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(writers)
    ]
    outputs = [None] * writers
    threads = [
        threading.Thread(
            target=lambda i, p: outputs.__setitem__(i, p.communicate("go\n")[0]), args=(i, p)
        )
        for i, p in enumerate(processes)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [process.returncode for process in processes] == [0] * writers
    return [int(line) for output in outputs for line in output.split()]


class TestLog:
    """The chain of entries, whatever they say."""

    @pytest.fixture
    def log(self, tmp_path):
        return CommitLog(Store(tmp_path / "log"), "demo")

    @pytest.fixture
    def long(self, log):
        head = None
        for number in range(5):
            head = log.put(
                head, kind="x", version=number, manifest="0" * 64, message=f"entry {number}"
            )
        return log

    def test_entries_form_a_chain(self, long):
        assert long.list_numbers() == list(range(5))
        assert long.find_faults(long.list_numbers()) == []
        entries = [long.read(number) for number in range(5)]
        assert [logged.entry.parent for logged in entries] == [
            None,
            *(logged.digest for logged in entries[:-1]),
        ]
        assert entries[4].digest == sha256_bytes(long.files.read(name_entry(4)))

    def test_only_one_writer_gets_a_number(self, long):
        head = long.find_head()
        long.put(head, kind="x")
        with pytest.raises(Conflict, match="another writer was first"):
            long.put(head, kind="x")

    def test_what_later_entries_need_is_carried_forward(self, long):
        long.put(long.find_head(), kind="tag", tags={"gold": 2}, purges=(1,))
        entry = long.put(long.find_head(), kind="y").entry
        assert (entry.tags, entry.purges, entry.version) == ({"gold": 2}, (1,), 4)

    @pytest.mark.parametrize("number", range(5))
    def test_every_changed_byte_is_found(self, long, number):
        data = long.files.read(name_entry(number))
        for position in range(0, len(data), 7):
            changed = bytearray(data)
            changed[position] ^= 0x11
            long.files.write(name_entry(number), bytes(changed))
            with pytest.raises(Corrupt, match=name_entry(number)):
                long.read(number)
            assert name_entry(number) in str(long.find_faults(range(5)))

    def test_a_rewritten_entry_is_found_by_the_next(self, long):
        forged = long.read(2).entry.model_copy(update={"message": "forged", "check": ""})
        long.files.write(name_entry(2), encode_entry(forged))
        assert long.read(2).entry.message == "forged"
        assert [fault[0].endswith(name_entry(3)) for fault in long.find_faults(range(5))] == [True]

    def test_a_missing_entry_is_found(self, long):
        long.files.delete(name_entry(2))
        assert [
            fault[0].endswith(name_entry(2)) for fault in long.find_faults(long.list_numbers())
        ] == [True]
        long.files.delete(name_entry(0))
        assert [fault[0][-25:] for fault in long.find_faults(long.list_numbers())] == [
            name_entry(0),
            name_entry(2),
        ]

    def test_swapped_entries_are_found(self, long):
        first, second = long.files.read(name_entry(1)), long.files.read(name_entry(3))
        long.files.write_files({name_entry(1): second, name_entry(3): first})
        assert {fault[0][-25:] for fault in long.find_faults(range(5))} >= {
            name_entry(1),
            name_entry(3),
        }

    def test_a_newer_format_is_refused_by_name(self, long):
        body = json.loads(long.files.read(name_entry(4)))
        long.files.write(name_entry(4), canonical_json({**body, "format": 2}))
        with pytest.raises(Corrupt, match="update Lepton"):
            long.read(4)

    def test_other_files_are_no_entries(self, long):
        long.files.write_files({"notes.txt": b"", "7.json": b"", f"{'x' * 20}.json": b""})
        assert long.list_numbers() == list(range(5))


def test_source_spans_stay_with_rewritten_shards(tmp_path):
    dataset = Dataset(Store(tmp_path), "demo")
    spans = (Span(name="images.gz", start=0, stop=20),)
    dataset.append([write_shard(dataset.shards, make_rows(0), codec="zstd", source=spans)])
    (shard,) = delete_rows(dataset, [3]).shards
    assert shard.source == spans
    assert {encoding.codec for encoding in shard.encodings.values()} == {"zstd"}
