"""Purges: rows are gone from every version and file, and the history proves itself."""

import numpy as np
import pytest

from storage.base.errors import Conflict, NotFound
from storage.base.store import Store, canonical_json, sha256_bytes
from storage.datasets.dataset import Dataset
from storage.datasets.verify import verify_dataset
from storage.shards.reading import read_shard
from storage.shards.row_ids import ROW_ID
from storage.shards.writing import write_shard
from storage.testing.small_datasets import add_shard, make_rows, read_ids
from storage.upkeep import purge
from storage.upkeep.edits import delete_rows
from storage.upkeep.gc import collect_garbage
from storage.upkeep.purge import find_models, purge_rows


@pytest.fixture
def dataset(tmp_path):
    dataset = Dataset(Store(tmp_path), "demo")
    dataset.append([add_shard(dataset, 0), add_shard(dataset, 100)])
    dataset.append([add_shard(dataset, 200)])
    delete_rows(dataset, [3])
    dataset.replace([add_shard(dataset, 500)])
    return dataset


def find_everywhere(dataset, row_id):
    """Shards on disk, live or not, that hold a row."""
    entries = {
        shard.digest: shard for version in dataset.iter_versions() for shard in version.shards
    }
    on_disk = {path.partition("/")[0] for path in dataset.shards.list()}
    assert on_disk == set(entries)
    return [
        d for d in on_disk if row_id in read_shard(dataset.shards, entries[d], [ROW_ID])[ROW_ID]
    ]


def test_a_purged_row_is_in_no_version_and_no_file(dataset):
    digests = [version.digest for version in dataset.iter_versions()]
    entries = [dataset.history.files.read(f"{number:020d}.json") for number in range(4)]
    purged = purge_rows(dataset, [3, 7], reason="request 17")
    assert (purged.number, purged.row_ids, purged.versions, purged.shards) == (
        4,
        (3, 7),
        (0, 1, 2),
        2,
    )
    assert find_everywhere(dataset, 3) == find_everywhere(dataset, 7) == []
    assert [len(read_ids(version)) for version in dataset.iter_versions()] == [38, 58, 58, 20]
    # The log is as it was: what a receipt names is still there, and the chain holds.
    assert [version.digest for version in dataset.iter_versions()] == digests
    assert [dataset.history.files.read(f"{number:020d}.json") for number in range(4)] == entries
    assert verify_dataset(dataset) == []
    assert dataset.latest().ref == "demo@3"
    assert dataset.log()[-1].info["reason"] == "request 17"
    assert collect_garbage(dataset, 0).shards == ()


def test_other_rows_stay_as_they_were(dataset):
    before = dataset.open(1).read()
    purge_rows(dataset, [7, 205], reason="x")
    kept = ~np.isin(before["row_id"], [7, 205])
    after = dataset.open(1).read()
    assert all((after[name] == before[name][kept]).all() for name in before)


def test_purges_add_up(dataset):
    purge_rows(dataset, [7], reason="x")
    dataset.append([add_shard(dataset, 700)])
    purged = purge_rows(dataset, [8, 701], reason="y")
    assert purged.versions == (0, 1, 2, 5)
    assert [len(read_ids(version)) for version in dataset.iter_versions()] == [38, 58, 57, 20, 39]
    assert verify_dataset(dataset) == []
    assert find_everywhere(dataset, 7) == find_everywhere(dataset, 8) == []


def test_a_shard_of_only_purged_rows_disappears(dataset):
    purge_rows(dataset, list(range(500, 520)), reason="x")
    assert dataset.open(3).rows == 0
    assert read_ids(dataset.open(0))[0] == 0
    assert dataset.append([add_shard(dataset, 900)]).rows == 20


def test_an_unknown_row_is_refused_and_nothing_changes(dataset):
    files = dataset.files.list()
    with pytest.raises(NotFound, match="9999"):
        purge_rows(dataset, [7, 9999], reason="x")
    assert set(files) <= set(dataset.files.list())
    assert len(dataset.log()) == 4
    assert 7 in read_ids(dataset.open(0))


def test_purged_rows_do_not_come_back(dataset):
    purge_rows(dataset, [7], reason="x")
    for rows in (make_rows(0), make_rows(5)):
        entry = write_shard(dataset.shards, rows)
        with pytest.raises(Conflict, match=r"deleted for good.*\[7\]"):
            dataset.append([entry])
    assert dataset.append([add_shard(dataset, 8, 5)]).rows == 25


def test_a_commit_that_overtakes_a_purge_is_purged_too(dataset, monkeypatch):
    rival = Dataset(dataset.workspace, "demo")
    put, done = type(dataset.history).put, []

    def overtake(self, head, **changes):
        if changes["kind"] == "purge" and not done:
            done.append(
                rival.append([add_shard(rival, 600), write_shard(rival.shards, make_rows(7, 1))])
            )
        return put(self, head, **changes)

    monkeypatch.setattr(type(dataset.history), "put", overtake)
    purged = purge_rows(dataset, [7], reason="x")
    assert (purged.number, purged.versions) == (5, (0, 1, 2, 4))
    assert find_everywhere(dataset, 7) == []
    assert verify_dataset(dataset) == []


def test_what_a_killed_purge_left_is_collected_without_grace(dataset, monkeypatch):
    monkeypatch.setattr(purge._Purge, "delete_files", lambda _: None)
    held = [shard.digest for shard in dataset.open(1).shards if 7 in make_ids(dataset, shard)]
    purge_rows(dataset, [7], reason="x")
    assert set(collect_garbage(dataset, 3600).shards) >= set(held)
    assert find_everywhere(dataset, 7) == []
    assert verify_dataset(dataset) == []


def test_a_kept_shard_that_equals_a_rewritten_one_stays(dataset):
    """The rest of a purged shard can be a shard that a version has already."""
    rest = {name: array[1:] for name, array in make_rows(500).items()}
    dataset.append([write_shard(dataset.shards, rest, split="x")])
    purge_rows(dataset, [500], reason="x")
    collect_garbage(dataset, 0)
    assert verify_dataset(dataset) == []


def make_ids(dataset, shard):
    return read_shard(dataset.shards, shard, [ROW_ID])[ROW_ID].tolist()


def test_all_datasets_of_a_row_and_the_models_that_saw_it(dataset):
    prepared = Dataset(dataset.workspace, "demo-prepared")
    prepared.append([add_shard(prepared, 0, split="train")])
    other = Dataset(dataset.workspace, "other")
    other.append([add_shard(other, 900)])
    model = write_receipt(dataset.workspace, {"raw": dataset.open(0), "prepared": prepared.open(0)})
    unaware = write_receipt(dataset.workspace, {"raw": dataset.open(3)})
    done = [purge_rows(data, [7], reason="x") for data in (dataset, prepared)]
    assert [(purged.dataset, purged.versions, purged.models) for purged in done] == [
        ("demo", (0, 1, 2), (model,)),
        ("demo-prepared", (0,), (model,)),
    ]
    assert find_models(dataset.workspace, "demo", [3]) == (unaware,)
    with pytest.raises(NotFound, match=r"\[7\]"):
        purge_rows(other, [7], reason="x")


def write_receipt(workspace, versions):
    from storage.records.receipt_files import write_receipt as write
    from storage.records.receipts import (
        CodeRecord,
        DatasetRecord,
        ModelRecord,
        Receipt,
    )

    model = sha256_bytes(canonical_json({name: version.ref for name, version in versions.items()}))
    records = {
        name: DatasetRecord(
            name=version.name,
            number=version.number,
            digest=version.digest,
            manifest=version.manifest_digest,
            rows={},
        )
        for name, version in versions.items()
    }
    receipt = Receipt(
        run="run",
        flow="lifecycle",
        required_gates=("raw", "prepared", "model", "artifact"),
        status="promoted",
        created_at=next(iter(versions.values())).created_at,
        lepton=CodeRecord(version="0", digest="0"),
        packages={},
        machine={},
        recipe={},
        datasets=records,
        model=ModelRecord(id=model, checkpoint="0"),
    )
    write(
        workspace,
        receipt,
        lambda body: {"keyid": "k", "method": "ed25519", "signature": sha256_bytes(body)},
    )
    return model
