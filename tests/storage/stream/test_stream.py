"""The stream: the same batches for any ranks and threads, every row once, exact resume, bounded
memory, named faults.
"""

import gc
import itertools
import shutil
import threading
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.base.errors import Corrupt, InvalidInput, NotFound
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.datasets.version import Version
from storage.shards.writing import write_shard
from storage.stream.stream import Stream
from storage.stream.windows import Window
from tests.storage.object_store import Proxy

SHARD_ROWS = (*(3, 16, 9, 12, 1, 7) * 12, 5)
TOTAL = sum(SHARD_ROWS)


def make_rows(start, count, value=0):
    ids = np.arange(start, start + count)
    image = (ids[:, None, None, None] * 7 + np.arange(12).reshape(1, 3, 4) + value).astype(np.uint8)
    return {
        "image": image,
        "label": ids.astype(np.int64) % 10,
        "row_id": ids.astype(np.uint64),
        "content_hash": np.stack([ids, ids], axis=1).astype(np.uint64),
    }


def make_version(folder, shard_rows=SHARD_ROWS, name="digits", codec="auto"):
    dataset = Dataset(Store(folder), name)
    starts = np.cumsum((0, *shard_rows))
    entries = [
        write_shard(dataset.shards, make_rows(start, rows), split="train", codec=codec)
        for start, rows in zip(starts, shard_rows, strict=False)
    ]
    return dataset.commit(entries, kind="prepare", parent=None)


@pytest.fixture(scope="module", autouse=True)
def small_pages():
    """Pages and windows as small as the data of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("storage.stream.plan._PAGE_BYTES", 256)
        patch.setattr("storage.stream.plan._LEAST_WINDOW_BYTES", 512)
        yield


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    return make_version(tmp_path_factory.mktemp("workspace"))


@pytest.fixture
def own_version(tmp_path):
    """A version that a test may damage."""
    return make_version(tmp_path, codec="none")


@dataclass(frozen=True)
class Setting:
    """What a stream is asked for, ranks and threads left out."""

    batch_size: int = 24
    seed: int = 5
    epoch: int = 0
    shuffle: bool = True
    drop_last: bool = True
    canonical_streams: int | None = 8
    memory_bytes: int = 10**6

    def open(self, version: Version, **more):
        return Stream(version, "train", **(vars(self) | more))


def global_ids(version, setting, ranks=1, **more):
    """Row ids of every global batch, -1 for padding, put together from the ranks: shape (steps,
    batch size).
    """
    parts = []
    for rank in range(ranks):
        stream = setting.open(version, rank=rank, world_size=ranks, **more)
        parts.append(
            [np.where(b.get("padding", False), -1, b["row_id"].astype(np.int64)) for b in stream]
        )
    return np.array([np.concatenate(batches) for batches in zip(*parts, strict=True)])


settings_strategy = st.builds(
    Setting,
    batch_size=st.sampled_from([8, 24, 64]),
    seed=st.integers(0, 2),
    epoch=st.integers(0, 2),
    shuffle=st.booleans(),
    drop_last=st.booleans(),
    canonical_streams=st.just(8),
    memory_bytes=st.sampled_from([37_000, 10**6]),
)


@given(settings_strategy, st.sampled_from([1, 2, 4, 8]), st.integers(0, 4))
@settings(deadline=None, max_examples=25)
def test_any_ranks_and_threads_serve_the_same_global_batches(version, setting, ranks, threads):
    expected = global_ids(version, setting, threads=0)
    np.testing.assert_array_equal(global_ids(version, setting, ranks, threads=threads), expected)


@given(settings_strategy, st.sampled_from([1, 2, 4, 8]), st.integers(0, 2))
@settings(deadline=None, max_examples=20)
def test_every_row_is_served_once(version, setting, ranks, threads):
    ids = global_ids(version, setting, ranks, threads=threads)
    served = ids[ids >= 0]
    assert len(np.unique(served)) == len(served)
    assert TOTAL - len(served) == (TOTAL % setting.batch_size if setting.drop_last else 0)


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("shuffle", [True, False])
def test_all_rows_are_those_of_full_batches_and_the_few_behind_them(version, ranks, shuffle):
    setting, found = Setting(shuffle=shuffle, epoch=1), []
    for rank in range(ranks):
        stream = setting.open(version, rank=rank, world_size=ranks)
        full = [batch["row_id"] for batch in stream]
        stream.set_epoch(1)
        whole = [batch["row_id"][~batch["padding"]] for batch in stream.take_all()]
        # Whoever goes on with full batches finds the stream as it was.
        again = [batch["row_id"] for batch in stream]
        np.testing.assert_array_equal(again, full)
        found += np.concatenate(whole).tolist()
    assert sorted(found) == list(range(TOTAL))


@given(settings_strategy, st.integers(0, 60), st.integers(0, 2))
@settings(deadline=None, max_examples=30)
def test_a_stream_resumes_at_any_step(version, setting, step, threads):
    expected = global_ids(version, setting, threads=threads)
    stream = setting.open(version, threads=threads)
    step = min(step, len(stream))
    iterator = iter(stream)
    for _ in range(step):
        next(iterator)
    state = stream.state_dict()
    assert state == {"epoch": setting.epoch, "step": step}
    resumed = setting.open(version, threads=threads)
    resumed.load_state_dict(state)
    rest = [b["row_id"].astype(np.int64) for b in resumed]
    kept = [row[row >= 0] for row in expected[step:]]
    assert len(rest) == len(kept)
    for found, wanted in zip(rest, kept, strict=True):
        np.testing.assert_array_equal(
            found[: len(wanted)] if setting.drop_last else np.sort(found)[-len(wanted) :],
            wanted if setting.drop_last else np.sort(wanted),
        )


def test_resuming_reads_no_shard_of_the_steps_before(version, monkeypatch):
    setting = Setting(batch_size=8, shuffle=False, drop_last=False, canonical_streams=1)
    stream = setting.open(version, threads=0)
    stream.load_state_dict({"epoch": 0, "step": len(stream) - 1})
    read = []
    read_into = stream._source.read_into
    monkeypatch.setattr(
        stream._source,
        "read_into",
        lambda shard, *rest: (read.append(shard), read_into(shard, *rest)),
    )
    assert len(list(stream)) == 1
    assert 1 <= len(set(read)) <= len(SHARD_ROWS) / 6


def test_epochs_follow_one_another_and_differ(version):
    stream = Setting().open(version)
    epochs = [np.array([b["row_id"] for b in stream]) for _ in range(3)]
    assert stream.state_dict() == {"epoch": 3, "step": 0}
    for number, batches in enumerate(epochs):
        np.testing.assert_array_equal(batches, global_ids(version, Setting(epoch=number)))
    for one, other in itertools.combinations(epochs, 2):
        assert (one != other).any()
        assert set(one.ravel().tolist()) != set(other.ravel().tolist())


def test_an_unfinished_epoch_starts_again(version):
    stream = Setting().open(version)
    next(iter(stream))
    np.testing.assert_array_equal([b["row_id"] for b in stream], global_ids(version, Setting()))


def test_two_iterations_at_once_do_not_disturb_each_other(version):
    stream = Setting().open(version)
    for one, other in zip(stream, stream, strict=True):
        np.testing.assert_array_equal(one["row_id"], other["row_id"])


@pytest.mark.parametrize("codec", ["none", "lz4", "zstd"])
@pytest.mark.parametrize("drop_last", [True, False])
def test_batches_hold_the_rows_that_were_written(tmp_path, codec, drop_last):
    version = make_version(tmp_path, (300, 45), codec=codec)
    for batch in Stream(version, "train", batch_size=32, drop_last=drop_last):
        rows = ~batch.get("padding", np.zeros(32, bool))
        written = make_rows(0, 345)
        for name in ("image", "label", "row_id"):
            np.testing.assert_array_equal(
                batch[name][rows], written[name][batch["row_id"][rows].astype(int)]
            )
            assert batch[name].dtype == written[name].dtype
            assert not batch[name][~rows].any()
        assert "content_hash" not in batch


def test_batches_are_the_callers_own(version):
    batches = list(Setting().open(version))
    copies = [batch["image"].copy() for batch in batches]
    for batch in batches:
        assert all(array.flags.c_contiguous and array.flags.writeable for array in batch.values())
        batch["image"][:] = 0
    again = list(Setting().open(version))
    for batch, copy in zip(again, copies, strict=True):
        np.testing.assert_array_equal(batch["image"], copy)


def test_unshuffled_evaluation_on_one_rank_keeps_the_stored_order(version):
    batches = list(Stream(version, "train", batch_size=32, shuffle=False, drop_last=False))
    ids = np.concatenate([batch["row_id"][~batch["padding"]] for batch in batches])
    np.testing.assert_array_equal(ids, np.arange(TOTAL))
    assert [len(batch["row_id"]) for batch in batches] == [32] * len(batches)


@pytest.mark.parametrize("ranks", [2, 3, 5])
def test_unshuffled_evaluation_on_more_ranks_gives_each_a_run_of_rows(version, ranks):
    ids = []
    for rank in range(ranks):
        stream = Stream(
            version,
            "train",
            batch_size=30,
            shuffle=False,
            drop_last=False,
            rank=rank,
            world_size=ranks,
        )
        ids += [batch["row_id"][~batch["padding"]] for batch in stream]
    np.testing.assert_array_equal(np.concatenate(ids), np.arange(TOTAL))


def test_the_content_decides_the_order_not_the_name(tmp_path, version):
    twin = make_version(tmp_path, name="twin")
    np.testing.assert_array_equal(global_ids(twin, Setting()), global_ids(version, Setting()))
    other = make_version(tmp_path, (*SHARD_ROWS[:-1], SHARD_ROWS[-1] + 1), name="other")
    assert (global_ids(other, Setting()) != global_ids(version, Setting())).any()


def test_one_small_shard_is_enough_for_one_rank(tmp_path):
    version = make_version(tmp_path, (20,))
    assert len(np.unique(global_ids(version, Setting(batch_size=16, canonical_streams=None)))) == 16
    evaluation = Stream(version, "train", batch_size=64, shuffle=False, drop_last=False)
    (batch,) = evaluation
    assert batch["padding"].sum() == 44


@pytest.mark.parametrize("memory_bytes", [20_000, 30_000, 10**6])
@pytest.mark.parametrize("threads", [0, 2])
def test_memory_stays_within_the_budget(tmp_path, memory_bytes, threads):
    version = make_version(tmp_path, (64,) * 40)
    held = 0
    for rank in range(2):
        stream = Stream(
            version,
            "train",
            batch_size=16,
            memory_bytes=memory_bytes,
            threads=threads,
            rank=rank,
            world_size=2,
            canonical_streams=2,
        )
        for _ in stream:
            pass
        held += sum(array.nbytes for array in stream._memory.arrays.values())
    assert held <= memory_bytes
    assert held >= min(memory_bytes / 2, 64 * 40 * 28)


def test_rows_that_fit_the_budget_are_read_once_over_all_epochs(version, monkeypatch):
    stream = Setting().open(version)
    read = []
    read_into = stream._source.read_into
    monkeypatch.setattr(
        stream._source, "read_into", lambda *args: (read.append(args[:2]), read_into(*args))
    )
    for _ in range(3):
        for _ in stream:
            pass
    assert sorted(read) == sorted(itertools.product(range(len(SHARD_ROWS)), stream._source.fields))


def count_threads():
    return sum(thread.name.startswith("lepton-stream") for thread in threading.enumerate())


@pytest.mark.parametrize("steps", [0, 1, 5, None])
def test_no_thread_outlives_the_iterator(version, steps):
    iterator = iter(Setting(batch_size=8).open(version, threads=3))
    for _ in itertools.islice(iterator, steps):
        pass
    del iterator
    gc.collect()
    assert count_threads() == 0


def damage_by_flip(shards, entry, other):
    path = shards.local_path(entry.find_file("image"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    return path


def damage_by_truncation(shards, entry, other):
    path = shards.local_path(entry.find_file("image"))
    path.write_bytes(path.read_bytes()[:-1])
    return path


def damage_by_deletion(shards, entry, other):
    shutil.rmtree(shards.local_path(entry.digest))
    return shards.local_path(entry.find_file("image"))


def damage_by_swap(shards, entry, other):
    one, two = shards.local_path(entry.digest), shards.local_path(other.digest)
    spare = one.with_name("spare")
    one.rename(spare)
    two.rename(one)
    spare.rename(two)
    return shards.local_path(entry.find_file("image"))


@pytest.mark.parametrize(
    "damage", [damage_by_flip, damage_by_truncation, damage_by_deletion, damage_by_swap]
)
@pytest.mark.parametrize("threads", [0, 2])
def test_damage_is_found_and_the_file_named(own_version, damage, threads):
    shards = own_version.dataset.shards
    # Two shards of the same number of rows: the files of the one would fit the other.
    damage(shards, own_version.shards[1], own_version.shards[7])
    with pytest.raises(Corrupt) as error:
        list(Stream(own_version, "train", batch_size=24, threads=threads, fields=["image"]))
    digests = {own_version.shards[1].digest, own_version.shards[7].digest}
    assert any(digest in str(error.value) for digest in digests)
    assert "image/" in str(error.value)
    assert count_threads() == 0


def test_any_flipped_byte_is_found(tmp_path):
    version = make_version(tmp_path, (64,), codec="lz4")
    stream = Stream(version, "train", batch_size=8, threads=0)
    path = version.dataset.shards.local_path(version.shards[0].find_file("image"))
    data = path.read_bytes()
    for position in range(0, len(data), 7):
        path.write_bytes(data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :])
        with pytest.raises(Corrupt, match=version.shards[0].digest):
            list(stream)
    path.write_bytes(data)
    assert len(list(stream)) == 8


def test_after_a_fault_the_stream_can_be_used_again(own_version):
    shards = own_version.dataset.shards
    path = shards.local_path(own_version.shards[2].find_file("image"))
    data = path.read_bytes()
    path.write_bytes(data[:-1])
    stream = Setting().open(own_version)
    with pytest.raises(Corrupt):
        list(stream)
    path.write_bytes(data)
    np.testing.assert_array_equal([b["row_id"] for b in stream], global_ids(own_version, Setting()))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"batch_size": TOTAL + 1, "canonical_streams": None},
            f"use a batch_size of at most {TOTAL}",
        ),
        ({"batch_size": 0}, "batch_size >= 1"),
        ({"rank": 2, "world_size": 2}, "below world_size"),
        ({"threads": -1}, "threads >= 0"),
        ({"world_size": 3, "batch_size": 24}, "divide the canonical streams"),
        ({"world_size": 80, "batch_size": 80, "canonical_streams": 80}, "use fewer ranks"),
        ({"batch_size": 20}, "multiple of canonical_streams"),
        ({"memory_bytes": 900}, "raise it"),
        ({"fields": ["image", "depth"]}, "it has content_hash, image, label, row_id"),
        ({"window": Window(lookback=2)}, "series_id"),
    ],
)
def test_what_cannot_be_is_refused_with_the_remedy(version, wrong, message):
    with pytest.raises(InvalidInput, match=message):
        Setting().open(version, **wrong)


def test_an_unknown_split_is_refused(version):
    with pytest.raises(NotFound, match="train"):
        Stream(version, "test", batch_size=8)


def test_fewer_streams_are_used_where_memory_is_short(version):
    tight = Setting(batch_size=8, canonical_streams=None, memory_bytes=5000)
    np.testing.assert_array_equal(
        global_ids(version, tight),
        global_ids(version, Setting(batch_size=8, canonical_streams=1, memory_bytes=5000)),
    )


@pytest.mark.parametrize("threads", [0, 2])
def test_a_remote_store_is_asked_once_for_each_array(s3_url, s3_options, threads):
    """Requests are counted on the wire: one GET an array, and nothing else."""
    dataset = Dataset(Store(f"{s3_url}/workspace", s3_options), "digits")
    entries = [
        write_shard(dataset.shards, make_rows(start, rows), split="train")
        for start, rows in zip(np.cumsum((0, *SHARD_ROWS[:9])), SHARD_ROWS[:9], strict=False)
    ]
    dataset.commit(entries, kind="prepare", parent=None)
    with Proxy(s3_options["endpoint_url"]) as proxy:
        options = {**s3_options, "endpoint_url": proxy.endpoint}
        remote = Dataset(Store(f"{s3_url}/workspace", options), "digits").open()
        stored = sum(
            int(dataset.shards.size(entry.find_file(field)))
            for entry in remote.shards
            for field in ("image", "label", "row_id")
        )
        proxy.requests.clear()
        stream = Stream(remote, "train", batch_size=8, drop_last=False, threads=threads)
        ids = np.concatenate([batch["row_id"][~batch["padding"]] for batch in stream])
    np.testing.assert_array_equal(np.sort(ids), np.arange(sum(SHARD_ROWS[:9])))
    assert [method for method, _, _ in proxy.requests] == ["GET"] * 9 * 3
    assert len({path for _, path, _ in proxy.requests}) == 9 * 3
    assert sum(size for _, _, size in proxy.requests) == stored
