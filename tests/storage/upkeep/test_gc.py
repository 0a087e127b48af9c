"""Collection: what nobody needs goes, what anybody needs or is about to publish stays."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from storage.base.errors import BeingCollected, Conflict, Corrupt
from storage.base.store import Store, sha256_bytes
from storage.datasets import files, guards
from storage.datasets.dataset import Dataset
from storage.datasets.log import name_entry
from storage.datasets.manifest import write_manifest
from storage.datasets.scratch import SCRATCH, open_scratch
from storage.datasets.verify import verify_dataset, verify_version
from storage.testing.small_datasets import add_shard, read_ids
from storage.upkeep import gc
from storage.upkeep.edits import delete_rows
from storage.upkeep.gc import collect_garbage
from tests.storage.base.test_store import find_dead_pid, name_left_file
from tests.storage.object_store import describe_options


def wait_for_clock(seconds=0.02):
    """Until the dates of new files differ from those of old ones."""
    time.sleep(seconds)


class CollectionContract:
    """Subclasses give a fixture `store`, and how long its dates take to tell two writes apart."""

    tick_s = 0.02

    @pytest.fixture
    def dataset(self, store):
        dataset = Dataset(store, "demo")
        dataset.append([add_shard(dataset, 0)])
        dataset.append([add_shard(dataset, 100)])
        return dataset

    def test_abandoned_files_go(self, dataset):
        live = dataset.files.list()
        abandoned = add_shard(dataset, 500)
        manifest = write_manifest(dataset.manifests, [abandoned]).digest
        wait_for_clock(self.tick_s)
        preview = collect_garbage(dataset, 0, dry_run=True)
        assert (preview.shards, preview.manifests) == ((abandoned.digest,), (manifest,))
        assert preview.size_bytes > abandoned.size_bytes
        assert len(dataset.files.list()) == len(live) + len(abandoned.files) + 1
        assert collect_garbage(dataset, 0) == preview
        assert set(dataset.files.list()) == {*live, f"log/{name_entry(2)}", f"log/{name_entry(3)}"}
        assert [entry.kind for entry in dataset.log()] == ["append", "append", "gc", "gc-end"]
        assert verify_dataset(dataset) == []

    def test_a_half_written_shard_goes(self, dataset):
        partial = add_shard(dataset, 500)
        dataset.shards.delete(partial.find_file("image"))
        dataset.shards.delete(f"{partial.digest}/zarr.json")
        wait_for_clock(self.tick_s)
        assert collect_garbage(dataset, 0).shards == (partial.digest,)

    def test_young_files_stay(self, dataset):
        entry = add_shard(dataset, 500)
        collected = collect_garbage(dataset, 3600)
        assert (collected.shards, collected.manifests) == ((), ())
        assert dataset.append([entry]).number == 2

    def test_scratch_of_killed_runs_goes(self, dataset):
        live = dataset.files.list()
        with open_scratch(dataset) as scratch:
            scratch.write("00000001.rows", b"rows")
            left = dataset.files.child(SCRATCH, "0123")
            left.write("00000001.rows", b"rows of a run that was killed")
            wait_for_clock(self.tick_s)
            assert collect_garbage(dataset, 3600).temporary == 0
            assert collect_garbage(dataset, 0, dry_run=True).temporary == 2
            assert left.list() == ["00000001.rows"]
            assert collect_garbage(dataset, 0).temporary == 2
            assert dataset.files.list() == live

    def test_nothing_to_do_leaves_no_trace(self, dataset):
        before = dataset.files.list()
        collect_garbage(dataset, 0)
        assert dataset.files.list() == before

    def test_every_version_stays(self, dataset):
        dataset.tag("gold", 0)
        delete_rows(dataset, [1, 101])
        dataset.replace([add_shard(dataset, 900)])
        wait_for_clock(self.tick_s)
        assert collect_garbage(dataset, 0).shards == ()
        assert [read_ids(version)[0] for version in dataset.iter_versions()] == [0, 0, 0, 900]
        assert verify_dataset(dataset) == []

    def test_a_shard_that_was_collected_is_not_committed(self, dataset):
        entry = add_shard(dataset, 500)
        wait_for_clock(self.tick_s)
        collect_garbage(dataset, 0)
        with pytest.raises(Conflict, match="write it again"):
            dataset.append([entry])
        assert add_shard(dataset, 500) == entry
        assert dataset.append([entry]).number == 4
        assert verify_dataset(dataset) == []

    def test_a_shard_that_is_being_collected_is_not_committed(self, dataset, monkeypatch):
        """A commit between the two records of a collection: the files are still there, and written
        again, but listed.
        """
        entry = add_shard(dataset, 500)
        wait_for_clock(self.tick_s)
        monkeypatch.setattr(gc, "_end", lambda _: None)
        monkeypatch.setattr(gc, "_delete_file", lambda *_: 0)
        collect_garbage(dataset, 0)
        monkeypatch.setattr(files, "_ATTEMPTS", 3)
        with pytest.raises(BeingCollected, match="write it again"):
            dataset.append([add_shard(dataset, 500)])
        with pytest.raises(Conflict, match="one garbage collection at a time"):
            collect_garbage(dataset, 0)
        assert verify_version(dataset.append([add_shard(dataset, 600)])) == []
        # A collection that was killed gives up in the end.
        monkeypatch.setattr(guards, "find_collecting", lambda _: ())
        assert verify_version(dataset.append([entry])) == []

    def test_a_writer_waits_for_a_collection(self, dataset):
        entry = add_shard(dataset, 500)
        dataset.history.put(
            dataset.history.find_head(),
            kind="gc",
            collecting=(f"shards/{entry.digest}",),
            collecting_until=datetime.now(UTC) + timedelta(minutes=1),
        )
        with ThreadPoolExecutor(1) as threads:
            writing = threads.submit(dataset.append, [entry])
            time.sleep(0.2)
            assert not writing.done()
            gc._end(dataset)
            assert verify_version(writing.result()) == []

    def test_a_commit_before_the_record_is_seen(self, dataset, monkeypatch):
        """A commit between the first look of a collection and its record."""
        entry = add_shard(dataset, 500)
        wait_for_clock(self.tick_s)
        record = Dataset.record
        rival = Dataset(dataset.workspace, "demo")

        def commit_first(self, change):
            if self is dataset:
                rival.append([entry])
            return record(self, change)

        monkeypatch.setattr(Dataset, "record", commit_first)
        assert collect_garbage(dataset, 0).shards == ()
        assert verify_version(rival.latest()) == []

    def test_a_shard_of_an_old_version_can_come_back(self, dataset):
        (first, second) = dataset.latest().shards
        dataset.replace([second])
        add_shard(dataset, 500)
        wait_for_clock(self.tick_s)
        assert len(collect_garbage(dataset, 0).shards) == 1
        assert verify_version(dataset.append([first])) == []

    def test_nothing_is_deleted_when_a_manifest_cannot_be_read(self, dataset):
        add_shard(dataset, 500)
        name = f"{dataset.open(0).manifest_digest}.json"
        data = dataset.manifests.read(name)
        wait_for_clock(self.tick_s)
        dataset.manifests.write(name, data[:-1])
        files = dataset.shards.list()
        with pytest.raises(Corrupt, match=name):
            collect_garbage(dataset, 0)
        assert dataset.shards.list() == files

    @pytest.mark.parametrize("number", [0, 1])
    def test_nothing_is_deleted_when_an_entry_of_the_log_is_missing(self, dataset, number):
        dataset.append([add_shard(dataset, 200)])
        name = name_entry(number)
        dataset.history.files.delete(name)
        files = dataset.shards.list()
        with pytest.raises(Corrupt, match=name):
            collect_garbage(dataset, 0)
        assert dataset.shards.list() == files


class TestLocal(CollectionContract):
    @pytest.fixture
    def store(self, tmp_path):
        return Store(tmp_path)

    def test_temporary_files_go(self, dataset):
        left = dataset.shards.local_path() / name_left_file(find_dead_pid())
        left.write_bytes(b"half")
        wait_for_clock()
        assert collect_garbage(dataset, 3600).temporary == 0
        assert collect_garbage(dataset, 0).temporary == 1
        assert not left.exists()

    def test_temporary_files_beside_datasets_go_and_so_do_empty_folders(self, dataset):
        left = dataset.workspace.local_path("models") / "0123" / name_left_file(find_dead_pid())
        left.parent.mkdir(parents=True)
        left.write_bytes(b"half")
        empty = dataset.shards.local_path() / ("0" * 64) / "image"
        empty.mkdir(parents=True)
        wait_for_clock()
        assert collect_garbage(dataset, 3600).temporary == 0
        assert (left.exists(), empty.exists()) == (True, True)
        assert collect_garbage(dataset, 0).temporary == 1
        assert (left.exists(), empty.parent.exists()) == (False, False)
        assert verify_dataset(dataset) == []

    def test_collections_amid_writers_never_hurt(self, dataset):
        """With no grace at all writers may have to write again, but no version misses a file."""
        stop = threading.Event()

        def collect():
            rounds = 0
            while not stop.is_set():
                collect_garbage(dataset, 0)
                rounds += 1
            return rounds

        def write(writer):
            refused = 0
            for turn in range(6):
                while True:
                    entry = add_shard(dataset, 10_000 * writer + 100 * turn, 3)
                    try:
                        dataset.append([entry])
                        break
                    except Conflict:
                        refused += 1
            return refused

        with ThreadPoolExecutor(4) as threads:
            collecting = threads.submit(collect)
            try:
                list(threads.map(write, (1, 2, 3)))
            finally:
                stop.set()
            assert collecting.result() > 0
        assert len(read_ids(dataset.latest())) == 40 + 3 * 6 * 3
        assert verify_dataset(dataset) == []


@pytest.mark.slow
class TestS3(CollectionContract):
    tick_s = 1.1  # S3 dates have no fractions of a second

    @pytest.fixture
    def store(self, endpoint, request):
        return Store(
            f"s3://bucket/{sha256_bytes(request.node.nodeid.encode())[:12]}",
            describe_options(endpoint),
        )
