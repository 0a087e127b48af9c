"""Manifests: trees of small files that share what is equal; a commit costs what changes."""

import json
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.base.errors import Corrupt, InvalidInput
from storage.base.store import Store, canonical_json, sha256_bytes
from storage.datasets.dataset import Dataset
from storage.datasets.manifest import cut_nodes, name_manifest, read_manifest, write_manifest
from storage.datasets.verify import verify_dataset
from storage.shards.reading import read_shard
from storage.shards.row_ids import ROW_ID
from storage.shards.writing import write_shard
from storage.testing.small_datasets import make_rows, read_ids
from storage.upkeep.edits import delete_rows
from storage.upkeep.gc import collect_garbage
from storage.upkeep.purge import purge_rows


@pytest.fixture(scope="module")
def entry(tmp_path_factory):
    return write_shard(Store(tmp_path_factory.mktemp("one")), make_rows(0), split="train")


def make_entries(entry, numbers):
    """Entries as if of other shards; their files do not exist."""
    return [
        entry.model_copy(update={"digest": sha256_bytes(str(number).encode()), "rows": 20})
        for number in numbers
    ]


class CountingStore(Store):
    """A store that remembers what it wrote and read."""

    def __init__(self, url):
        super().__init__(url)
        self.written, self.fetched = {}, []

    def write_files(self, files):
        self.written |= files
        super().write_files(files)

    def read(self, path):
        self.fetched.append(path)
        return super().read(path)


@given(st.lists(st.integers(0, 2**64), unique=True, max_size=400))
def test_a_list_is_cut_into_all_of_its_items(numbers):
    digests = [sha256_bytes(str(number).encode()) for number in numbers]
    runs = cut_nodes(digests)
    assert [digest for start, stop in runs for digest in digests[start:stop]] == digests
    assert all(1 <= stop - start <= 64 for start, stop in runs) or not digests
    # Else a list of nodes might never get shorter.
    assert len(runs) == 1 or len(runs) <= 1 + len(digests) // 2


def test_a_list_of_which_every_item_ends_a_node_still_gets_shorter():
    assert len(cut_nodes(["f" * 56 + "0" * 8] * 100)) == 50


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 700), st.randoms(use_true_random=False))
def test_what_was_written_comes_back_whatever_it_follows(tmp_path_factory, count, chance):
    entry = write_shard(Store(tmp_path_factory.mktemp("one")), make_rows(0, 2))
    store = CountingStore(tmp_path_factory.mktemp("manifests"))
    shards = make_entries(entry, range(count))
    first = write_manifest(store, shards)
    kept = [shard for shard in first.shards if chance.random() > 0.02]
    chance.random() < 0.5 and kept.extend(make_entries(entry, range(1000, 1003)))
    second = write_manifest(store, kept, first)
    alone = write_manifest(CountingStore(tmp_path_factory.mktemp("alone")), kept)
    assert second.digest == alone.digest
    assert second.nodes == alone.nodes
    for manifest, listed in ((first, shards), (second, kept)):
        found = read_manifest(store, manifest.digest)
        assert list(found.shards) == listed
        assert found.nodes == manifest.nodes


@pytest.mark.parametrize("change", ["append", "delete", "replace"])
def test_a_change_costs_the_same_among_many_shards(tmp_path, entry, change):
    """Bytes written for one shard of 200 and for one of 4,000; and what a reader who knows the rest
    must read.
    """
    written = {}
    for count in (200, 4000):
        costs = []
        store = CountingStore(tmp_path / f"{count}")
        base = write_manifest(store, make_entries(entry, range(count)))
        for turn in range(25):
            store.written.clear()
            shards, place = list(base.shards), random.Random(turn).randrange(count - 30)
            if change == "append":
                shards += make_entries(entry, [10_000 + turn])
            elif change == "delete":
                del shards[place]
            else:
                shards[place : place + 1] = make_entries(entry, [10_000 + turn])
            before, base = base, write_manifest(store, shards, base)
            costs.append(sum(map(len, store.written.values())))
            store.fetched.clear()
            read_manifest(store, base.digest, before.nodes)
            assert sorted(store.fetched) == sorted(store.written)
        written[count] = sum(costs) / len(costs)
    size = len(canonical_json(entry.model_dump(mode="json")))
    # Some twenty entries of a leaf, and one short node a level above.
    assert written[4000] < 64 * size + 10_000
    assert written[4000] < 2 * written[200]


@pytest.fixture
def many(tmp_path):
    """A dataset of 80 shards of 3 rows: a manifest of two levels."""
    dataset = Dataset(Store(tmp_path), "demo")
    dataset.append(
        [
            write_shard(dataset.shards, make_rows(10 * number, 3), codec="none")
            for number in range(80)
        ]
    )
    assert len(dataset.read_manifest(dataset.latest().manifest_digest).nodes) > 3
    return dataset


def list_manifests(dataset):
    return {name.removesuffix(".json") for name in dataset.manifests.list()}


def list_nodes(dataset):
    return {
        node
        for v in dataset.iter_versions()
        for node in read_manifest(dataset.manifests, v.manifest_digest).nodes
    }


def test_versions_of_many_shards_are_edited_purged_and_collected(many):
    delete_rows(many, [401])
    many.append([write_shard(many.shards, make_rows(5000, 3), codec="none")])
    other = Dataset(many.workspace, "demo")
    delete_rows(other, [11, 790])
    assert [version.rows for version in many.iter_versions()] == [240, 239, 242, 240]
    abandoned = write_manifest(many.manifests, list(many.latest().shards)[:50])
    collected = collect_garbage(many, 0)
    assert set(collected.manifests) == set(abandoned.nodes) - list_nodes(many)
    assert list_manifests(many) == list_nodes(many)
    purged = purge_rows(many, np.array([402, 5001], np.uint64), reason="asked")
    assert len(purged.versions) == 4
    assert [version.rows for version in many.iter_versions()] == [239, 238, 240, 238]
    assert list_manifests(many) == list_nodes(many)
    assert verify_dataset(many) == []
    assert not {402, 5001} & set(read_ids(many.open(0))) | {402, 5001} & set(
        read_ids(many.latest())
    )
    digests = {path.partition("/")[0] for path in many.shards.list()}
    assert digests == {shard.digest for version in many.iter_versions() for shard in version.shards}


def test_what_a_killed_purge_left_of_a_manifest_is_collected_without_grace(many, monkeypatch):
    many.append([write_shard(many.shards, make_rows(5000, 3), codec="none")])
    monkeypatch.setattr("storage.upkeep.purge._Purge.delete_files", lambda _: None)
    purge_rows(many, np.array([402], np.uint64), reason="asked")
    assert list_manifests(many) > list_nodes(many)
    collect_garbage(many, 3600)
    assert list_manifests(many) == list_nodes(many)
    held = [shard for v in many.iter_versions() for shard in v.shards]
    assert not any(402 in read_shard(many.shards, shard, [ROW_ID])[ROW_ID] for shard in held)


@pytest.mark.parametrize("harm", ["flip", "delete"])
def test_damage_to_any_node_is_found_and_named(many, harm):
    nodes = read_manifest(many.manifests, many.latest().manifest_digest).nodes
    for digest in nodes:
        name = name_manifest(digest)
        data = many.manifests.read(name)
        if harm == "flip":
            many.manifests.write(name, data[:9] + bytes([data[9] ^ 1]) + data[10:])
        else:
            many.manifests.delete(name)
        assert [name in fault.file for fault in verify_dataset(many)] == [True]
        with pytest.raises(Corrupt, match=name):
            many.latest().read()
        with pytest.raises(Corrupt, match=name):
            collect_garbage(many, 0)
        many.manifests.write(name, data)
    assert verify_dataset(many) == []


def test_the_first_format_is_still_read_and_a_newer_one_refused_by_name(tmp_path, entry):
    store = Store(tmp_path)

    def put(document):
        data = canonical_json(document)
        store.write(name_manifest(sha256_bytes(data)), data)
        return sha256_bytes(data)

    listed = entry.model_dump(mode="json")
    assert read_manifest(store, put({"format": 1, "shards": [listed]})).shards == (entry,)
    with pytest.raises(Corrupt, match=r"format 2 or older.*update Lepton"):
        read_manifest(store, put({"format": 3, "shards": [listed]}))


def test_equal_shards_of_two_splits_are_one_each_and_twice_in_a_split_is_refused(tmp_path, entry):
    other = entry.model_copy(update={"split": "held_out"})
    written = write_manifest(Store(tmp_path), [entry, other])
    assert (
        json.loads(Store(tmp_path).read(name_manifest(written.digest)))["shards"][1]["split"]
        == "held_out"
    )
    with pytest.raises(InvalidInput, match="twice"):
        write_manifest(Store(tmp_path), [entry, other, entry])
