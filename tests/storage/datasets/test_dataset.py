"""Versions: immutable, found by number, tag and date, changed at the cost of what changes, and
never lost to a rival.
"""

import json
import subprocess
import sys
import threading

import numpy as np
import pytest
import zarr

from storage.base.errors import Conflict, Corrupt, InvalidInput
from storage.base.store import Store, canonical_json, sha256_bytes
from storage.datasets.dataset import Dataset
from storage.datasets.files import list_datasets
from storage.datasets.log import CommitLog, encode_entry, name_entry
from storage.datasets.zarr_export import export_version
from storage.shards.entry import Span
from storage.shards.writing import write_shard
from storage.testing.datasets import DatasetContract
from storage.testing.small_datasets import add_shard, make_rows, read_ids
from storage.upkeep.edits import delete_rows
from tests.storage.object_store import Proxy, describe_options


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
from storage.base.store import Store
from storage.shards.writing import write_shard
from storage.datasets.dataset import Dataset

url, options = sys.argv[1], json.loads(sys.argv[2])
writer, commits = int(sys.argv[3]), int(sys.argv[4])
dataset = Dataset(Store(url, options), "demo")
sys.stdin.readline()
for turn in range(commits):
    rows = {"row_id": np.array([1000 * writer + turn], np.uint64)}
    entry = write_shard(dataset.shards, rows, codec="none")
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
