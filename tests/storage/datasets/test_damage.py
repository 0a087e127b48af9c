"""Whatever happens to the files or to the writer, it is seen, named, and nothing half-made is
published.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from storage.base.errors import Corrupt, StorageError
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.datasets.verify import verify_dataset
from storage.stream.stream import Stream
from storage.testing.small_datasets import add_shard, read_ids
from storage.upkeep.edits import delete_rows
from storage.upkeep.purge import purge_rows
from tests.storage.dataset_material import assert_live_only
from tests.storage.object_store import describe_options


@pytest.fixture
def dataset(tmp_path):
    dataset = Dataset(Store(tmp_path), "demo")
    dataset.append(
        [add_shard(dataset, 0, split="train"), add_shard(dataset, 100, split="held_out")]
    )
    dataset.tag("gold")
    dataset.append([add_shard(dataset, 200, split="train")])
    delete_rows(dataset, [3])
    purge_rows(dataset, [4], reason="request")
    dataset.append([add_shard(dataset, 300, split="train")])
    return dataset


def list_named(faults):
    return " ".join(str(fault) for fault in faults)


def test_one_flipped_byte_in_any_file_is_found_and_the_file_named(dataset):
    rng = np.random.default_rng(0)
    files = dataset.files.list()
    assert {path.partition("/")[0] for path in files} == {"log", "manifests", "shards"}
    for path in files:
        data = dataset.files.read(path)
        for position in rng.integers(0, len(data), 3):
            changed = bytearray(data)
            changed[position] ^= 1 << int(rng.integers(8))
            dataset.files.write(path, bytes(changed))
            assert path in list_named(verify_dataset(dataset)), (path, position)
        dataset.files.write(path, data)
    assert verify_dataset(dataset) == []


def test_one_flipped_byte_in_each_of_a_hundred_files_is_found_by_verify_and_by_the_stream(tmp_path):
    dataset = Dataset(Store(tmp_path), "demo")
    version = dataset.append(
        [add_shard(dataset, 100 * number, split="train") for number in range(25)]
    )
    files = {
        shard.find_file(field.name): field.name
        for shard in version.shards
        for field in shard.fields
    }
    assert len(files) == 100
    rng = np.random.default_rng(0)
    intact = {path: dataset.shards.read(path) for path in files}
    damaged = {path: bytearray(data) for path, data in intact.items()}
    for data in damaged.values():
        data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
    for path, field in files.items():
        dataset.shards.local_path(path).write_bytes(damaged[path])
        with pytest.raises(Corrupt) as caught:
            list(Stream(version, "train", batch_size=50, threads=2, fields=[field]))
        shard, _, file = path.partition("/")
        assert shard in str(caught.value)
        assert file in str(caught.value)
        dataset.shards.local_path(path).write_bytes(intact[path])
    assert len(list(Stream(version, "train", batch_size=50))) == 10
    for path, data in damaged.items():
        dataset.shards.local_path(path).write_bytes(data)
    named = list_named(verify_dataset(dataset))
    assert [path for path in files if path not in named] == []


def test_any_deleted_truncated_or_emptied_file_is_found_and_named(dataset):
    last = f"log/{dataset.history.list_numbers()[-1]:020d}.json"
    for path in dataset.files.list():
        data = dataset.files.read(path)
        for damaged in (b"", data[: len(data) // 2], data + b" "):
            dataset.files.write(path, damaged)
            assert path in list_named(verify_dataset(dataset)), (path, len(damaged))
        if path != last:
            # Without its last entry a log is a shorter log: only a receipt, which names the entry,
            # can tell.
            dataset.files.delete(path)
            assert path in list_named(verify_dataset(dataset)), path
        dataset.files.write(path, data)
    assert verify_dataset(dataset) == []


def test_damage_to_the_shards_of_a_version_is_found_by_reading_it(dataset):
    version = dataset.latest()
    for shard in version.shards:
        for field in shard.fields:
            path = shard.find_file(field.name)
            data = dataset.shards.read(path)
            dataset.shards.write(path, data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
            with pytest.raises(StorageError, match=shard.digest):
                version.read()
            dataset.shards.write(path, data)


def test_swapped_shards_are_found(dataset):
    first, second = (
        dataset.shards.local_path(shard.digest) for shard in dataset.latest().shards[-2:]
    )
    shutil.move(first, f"{first}-x")
    shutil.move(second, first)
    shutil.move(f"{first}-x", second)
    faults = list_named(verify_dataset(dataset))
    assert first.name in faults
    assert second.name in faults
    with pytest.raises(StorageError):
        dataset.latest().read()


def test_swapped_manifests_are_found(dataset):
    names = [f"{dataset.open(number).manifest_digest}.json" for number in (2, 5)]
    first, second = (dataset.manifests.read(name) for name in names)
    dataset.manifests.write_files({names[0]: second, names[1]: first})
    assert all(name in list_named(verify_dataset(dataset)) for name in names)
    with pytest.raises(StorageError, match=names[1]):
        dataset.latest().read()


NURSERY = """
import json
import os
import sys
import time

import s3fs

from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.testing.small_datasets import add_shard


def write_on(turn):
    dataset = Dataset(Store(sys.argv[1], json.loads(sys.argv[2])), "demo")
    dataset.latest()
    print("ready", os.getpid(), flush=True)
    while True:
        start = time.monotonic()
        shards = [add_shard(dataset, 100 * turn + start, 50) for start in (0, 50)]
        version = dataset.append(shards)
        print(turn, time.monotonic() - start, flush=True)
        turn += 1


add_shard(Dataset(Store("memory://warm"), "demo"), 0)  # what is imported late
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        write_on(int(line))
    os.waitpid(child, 0)
    print("gone", flush=True)
"""


def kill_writers(store, times):
    """Starts a writer, kills it at a random moment, and does so again; gives the acknowledged
    commits.

    Writers are forked off a process that has imported everything, which is what takes the time. The
    first one tells how long a writer's first commit takes here; the others live for up to one and a
    half times as long.
    """
    acknowledged, durations = set(), []

    def take(line):
        turn, duration_s = line.split()
        acknowledged.add(int(turn))
        durations.append(float(duration_s))

    with subprocess.Popen(
        [sys.executable, "-c", NURSERY, store.url, json.dumps(store.options)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as nursery:
        for number in range(times):
            nursery.stdin.write(f"{1000 * number + 1}\n")
            nursery.stdin.flush()
            ready, pid = nursery.stdout.readline().split()
            assert ready == "ready"
            if number:
                time.sleep(random.Random(number).uniform(0, 1.5) * durations[0])
            else:
                take(nursery.stdout.readline())
            os.kill(int(pid), signal.SIGKILL)
            # A line this short is written whole or not at all.
            while (line := nursery.stdout.readline()) != "gone\n":
                take(line)
        nursery.stdin.close()
    return acknowledged


def check_killed(store, times, tick_s=0.02):
    """Kills writers; counts the acknowledged commits, all of which are there, and whole."""
    dataset = Dataset(store, "demo")
    acknowledged = kill_writers(store, times)
    assert verify_dataset(dataset) == []
    known, published = {}, set()
    for version in dataset.iter_versions():
        for shard in version.shards:
            if shard.digest not in known:
                known[shard.digest] = version.read_shard(shard, ["row_id"])["row_id"].tolist()
        # A version holds whole commits: of each, both shards and all of its rows.
        ids = [row for shard in version.shards for row in known[shard.digest]]
        turns = {row // 100 for row in ids}
        assert len(set(ids)) == len(ids) == 100 * len(turns)
        published |= turns
    assert acknowledged <= published
    latest = dataset.latest()
    assert published == ({row // 100 for row in read_ids(latest)} if latest else set())
    assert_live_only(dataset, tick_s)
    return len(acknowledged)


# Some writers live for longer than their first commit takes: with none acknowledged, kills would
# have met no commit.
KILLS = [pytest.param(4, id="bounded"), pytest.param(200, marks=pytest.mark.slow, id="long")]


@pytest.mark.parametrize("kills", KILLS)
def test_killed_writers_publish_nothing_half_made(tmp_path, kills):
    assert check_killed(Store(tmp_path), kills) >= max(1, kills // 20)


@pytest.mark.parametrize("kills", KILLS)
def test_killed_writers_to_an_object_store_publish_nothing_half_made(endpoint, kills):
    store = Store(f"s3://bucket/killed-{kills}", describe_options(endpoint))
    assert check_killed(store, kills, tick_s=1.1) >= max(1, kills // 20)
