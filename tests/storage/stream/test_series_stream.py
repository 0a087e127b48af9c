"""Windows of a version as a stream: complete, inside an entity, never over a gap, and never of rows
still to come.
"""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.base.errors import InvalidInput
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.forms.series import SeriesSpec
from storage.pipeline.collecting import collect_rows
from storage.pipeline.preparing import prepare_rows
from storage.shards.writing import write_shard
from storage.sources.csv import CsvSource
from storage.stream.stream import Stream
from storage.stream.windows import Window

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"
HOUR_NS = 3600 * 10**9


def make_series(folder, lengths, shard_rows):
    dataset = Dataset(Store(folder), "series")
    total = sum(lengths)
    rows = {
        "value": np.arange(total * 2, dtype=np.float32).reshape(total, 2),
        "series_id": np.repeat(np.arange(len(lengths)), lengths),
        "row_id": np.arange(total, dtype=np.uint64),
    }
    bounds = np.cumsum((0, *shard_rows))
    entries = [
        write_shard(
            dataset.shards, {name: array[start:stop] for name, array in rows.items()}, split="train"
        )
        for start, stop in itertools.pairwise(bounds)
    ]
    return dataset.commit(entries, kind="prepare", parent=None), rows


@pytest.mark.parametrize("threads", [0, 2])
@pytest.mark.parametrize("ranks", [1, 2, 4])
@pytest.mark.parametrize("stride", [1, 3])
def test_windows_are_complete_and_stay_inside_an_entity(tmp_path, threads, ranks, stride):
    lengths, shard_rows = (50, 4, 90, 31), (20, 35, 3, 60, 57)
    version, rows = make_series(tmp_path, lengths, shard_rows)
    window = Window(lookback=5, horizon=3, stride=stride)
    seen = []
    for rank in range(ranks):
        stream = Stream(
            version,
            "train",
            batch_size=16,
            drop_last=False,
            window=window,
            rank=rank,
            world_size=ranks,
            threads=threads,
        )
        for batch in stream:
            assert batch["value"].shape == (16 // ranks, 5, 2)
            assert batch["value__future"].shape == (16 // ranks, 3, 2)
            for number in np.flatnonzero(~batch["padding"]):
                origin = int(batch["row_id"][number])
                np.testing.assert_array_equal(
                    batch["value"][number], rows["value"][origin - 4 : origin + 1]
                )
                np.testing.assert_array_equal(
                    batch["value__future"][number], rows["value"][origin + 1 : origin + 4]
                )
                assert len(set(rows["series_id"][origin - 4 : origin + 4].tolist())) == 1
                seen.append(origin - 4)
    begins = np.cumsum((0, *lengths))
    expected = [
        start
        for begin, end in itertools.pairwise(begins.tolist())
        for start in range(begin, end - window.length + 1, stride)
    ]
    assert sorted(seen) == expected


def test_windows_without_a_horizon_have_no_future(tmp_path):
    version, _ = make_series(tmp_path, (40,), (40,))
    batch = next(iter(Stream(version, "train", batch_size=8, window=Window(lookback=4))))
    assert sorted(batch) == ["row_id", "series_id", "value"]


def write_splits(folder, splits, info=None):
    """A version of given splits: name -> (series, hours), cut into shards of at most 7 rows."""
    dataset = Dataset(Store(folder), "series")
    entries = []
    for split, (series, hours) in splits.items():
        order = np.lexsort((hours, series))
        series, hours = np.asarray(series)[order], np.asarray(hours)[order]
        for start in range(0, len(series), 7):
            part = slice(start, start + 7)
            rows = {
                "series_id": series[part].astype(np.int64),
                "time": hours[part].astype(np.int64) * HOUR_NS,
                "row_id": (series[part] * 1000 + hours[part]).astype(np.uint64),
                "value": (series[part] * 1000 + hours[part]).astype(np.float64),
            }
            entries.append(write_shard(dataset.shards, rows, split=split))
    return dataset.commit(entries, kind="prepare", parent=None, info=info or {})


def read_windows(version, split, window, **options):
    """Values of all windows (lookback and horizon), sorted."""
    found = []
    for batch in Stream(
        version, split, batch_size=4, drop_last=False, window=window, threads=0, **options
    ):
        parts = [batch["value"]] + ([batch["value__future"]] if window.horizon else [])
        found += np.concatenate(parts, axis=1)[~batch["padding"]].astype(int).tolist()
    return sorted(found)


def test_windows_do_not_bridge_a_gap(tmp_path):
    hours = np.array([0, 1, 2, 3, 5, 6, 7, 8, 9])
    version = write_splits(tmp_path, {"train": (np.zeros(9, int), hours)})
    assert read_windows(version, "train", Window(lookback=2, horizon=1)) == [
        [0, 1, 2],
        [1, 2, 3],
        [5, 6, 7],
        [6, 7, 8],
        [7, 8, 9],
    ]
    assert read_windows(version, "train", Window(lookback=2, horizon=1, max_gap_steps=None)) == [
        hours[start : start + 3].tolist() for start in range(7)
    ]
    assert len(read_windows(version, "train", Window(lookback=2, horizon=1, max_gap_steps=2))) == 7


def test_the_step_is_the_one_that_preparing_found(tmp_path):
    """Two rows every two hours are no gap where the report says so."""
    version = write_splits(
        tmp_path,
        {"train": (np.zeros(6, int), np.array([0, 2, 4, 6, 9, 11]))},
        {"series": {"step_ns": 2 * HOUR_NS}},
    )
    assert read_windows(version, "train", Window(lookback=2)) == [
        [0, 2],
        [2, 4],
        [4, 6],
        [6, 9],
        [9, 11],
    ]
    assert read_windows(version, "train", Window(lookback=2, max_gap_steps=1)) == [
        [0, 2],
        [2, 4],
        [4, 6],
        [9, 11],
    ]


def test_a_series_without_a_whole_window_is_refused_with_the_remedy(tmp_path):
    version = write_splits(
        tmp_path, {"train": (np.zeros(9, int), np.array([0, 1, 2, 4, 5, 6, 8, 9, 10]))}
    )
    with pytest.raises(
        InvalidInput, match=r"\(3 \+ 1 rows\).*'train'.*longest such run has 3 rows.*max_gap_steps"
    ):
        Stream(version, "train", batch_size=1, window=Window(lookback=3, horizon=1))


def test_a_split_too_short_for_the_horizon_is_named_though_its_context_is_long(tmp_path):
    splits = {
        "train": (np.zeros(30, int), np.arange(30)),
        "validation": (np.zeros(4, int), np.arange(30, 34)),
    }
    version = write_splits(tmp_path, splits)
    said = (
        r"asked for \(6\) must lie in the split 'validation' .*longest such run has 4 rows; "
        "shorten the horizon"
    )
    with pytest.raises(InvalidInput, match=said):
        Stream(
            version,
            "validation",
            batch_size=1,
            window=Window(lookback=5, horizon=6),
            context=("train",),
        )


def test_context_lets_the_first_rows_of_a_split_be_asked_for(tmp_path):
    splits = {
        "train": (np.repeat([1, 2], 10), np.tile(np.arange(10), 2)),
        "validation": (np.repeat([1, 2], 4), np.tile(np.arange(10, 14), 2)),
        "held_out": (np.repeat([1, 2], 5), np.tile(np.arange(14, 19), 2)),
    }
    version = write_splits(tmp_path, splits)
    window = Window(lookback=5, horizon=2)
    with pytest.raises(InvalidInput, match="longest such run has 4 rows"):
        Stream(version, "validation", batch_size=1, window=window)
    asked = [
        [entity * 1000 + hour for hour in range(first - 5, first + 2)]
        for entity in (1, 2)
        for first in (10, 11, 12)
    ]
    assert read_windows(version, "validation", window, context=("train",)) == asked
    last = read_windows(version, "held_out", window, context=("train", "validation"))
    assert [found[5:] for found in last] == [
        [entity * 1000 + hour, entity * 1000 + hour + 1]
        for entity in (1, 2)
        for hour in range(14, 18)
    ]
    # Without the rows in between, the lookback would bridge them.
    short = Window(lookback=2, horizon=1)
    assert read_windows(version, "held_out", short, context=("train",)) == read_windows(
        version, "held_out", short
    )
    strided = read_windows(
        version, "validation", Window(lookback=5, horizon=1, stride=3), context=("train",)
    )
    assert [found[-1] for found in strided] == [1010, 1013, 2010, 2013]


def test_impossible_context_is_refused(tmp_path):
    version = write_splits(tmp_path, {"train": (np.zeros(20, int), np.arange(20))})
    for options in (
        {"window": None},
        {"window": Window(lookback=2), "split": None},
        {"window": Window(lookback=2)},
    ):
        arguments = {"split": "train", **options}
        with pytest.raises(InvalidInput, match="context"):
            Stream(
                version,
                arguments["split"],
                batch_size=1,
                window=arguments["window"],
                context=("train",),
            )
    timeless, _ = make_series(tmp_path / "timeless", (40,), (40,))
    entries = [
        shard.model_copy(update={"split": split})
        for split in ("train", "held_out")
        for shard in timeless.shards
    ]
    timeless = timeless.dataset.replace(entries)
    with pytest.raises(InvalidInput, match="must have a field time"):
        Stream(timeless, "held_out", batch_size=1, window=Window(lookback=2), context=("train",))


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_windows_are_those_of_a_plain_loop(tmp_path_factory, data):
    """Any splits by row, gaps, strides and context against the definition written out."""
    spots = st.tuples(
        st.integers(0, 2), st.integers(0, 14), st.sampled_from(["train", "validation"])
    )
    rows = sorted(
        {
            (entity, hour): split for entity, hour, split in data.draw(st.lists(spots, min_size=12))
        }.items()
    )
    window = Window(
        lookback=data.draw(st.integers(1, 3)),
        horizon=data.draw(st.integers(0, 2)),
        max_gap_steps=data.draw(st.sampled_from([None, 1, 2.5])),
    )
    context = data.draw(st.sampled_from([(), ("train",)]))
    usable = [row for row in rows if row[1] == "validation" or row[1] in context]
    expected = []
    for chosen in (
        usable[start : start + window.length] for start in range(len(usable) - window.length + 1)
    ):
        keys = [key for key, _ in chosen]
        steps = [after[1] - before[1] for before, after in itertools.pairwise(keys)]
        if (
            len({entity for entity, _ in keys}) == 1
            and all(split == "validation" for _, split in chosen[-window.asked :])
            and all(step <= (window.max_gap_steps or 99) for step in steps)
        ):
            expected.append([entity * 1000 + hour for entity, hour in keys])
    splits = {
        split: tuple(
            np.array([key[place] for key, name in rows if name == split], int) for place in (0, 1)
        )
        for split in ("train", "validation")
        if any(name == split for _, name in rows)
    }
    if "validation" not in splits:
        return
    version = write_splits(
        tmp_path_factory.mktemp("series"), splits, {"series": {"step_ns": HOUR_NS}}
    )
    if not expected:
        with pytest.raises(InvalidInput):
            Stream(version, "validation", batch_size=1, window=window, context=context)
        return
    assert read_windows(version, "validation", window, context=context) == sorted(expected)


@pytest.mark.skipif(not (SHARED / "ett").is_dir(), reason="../shared/data/ett is absent")
def test_ett_has_the_windows_of_its_usual_protocol(tmp_path):
    """8,449, 2,785 and 2,785 windows of 96 -> 96, as in the literature since Informer (Zhou et al.,
    AAAI 2021).
    """
    spec = SeriesSpec(
        numbers=["HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT"],
        time="date",
        split={
            "by": "time",
            "validation_from": "2017-06-26",
            "held_out_from": "2017-10-24",
            "end": "2018-02-21",
        },
    )
    store = Store(tmp_path)
    raw = collect_rows(
        CsvSource(url=str(SHARED / "ett" / "ETTh1.csv.gz")), Dataset(store, "raw"), spec=spec
    )
    version = prepare_rows(raw, spec, Dataset(store, "prepared"))
    window, counts = Window(lookback=96, horizon=96), []
    for split, context in (
        ("train", ()),
        ("validation", ("train",)),
        ("held_out", ("train", "validation")),
    ):
        stream = Stream(
            version,
            split,
            batch_size=64,
            drop_last=False,
            window=window,
            context=context,
            fields=["time"],
        )
        counts.append(0)
        first = np.iinfo(np.int64).max
        for batch in stream:
            kept = ~batch["padding"]
            assert (np.diff(batch["time"][kept], axis=1) == HOUR_NS).all()
            counts[-1] += int(kept.sum())
            first = min(first, int(batch["time__future"][kept].min()))
        assert first == version.read(split, ["time"])["time"].min() + (
            0 if context else 96 * HOUR_NS
        )
    assert counts == [8449, 2785, 2785]


@pytest.mark.parametrize("horizon", [0, 2])
def test_the_last_window_of_each_entity_is_the_only_one_if_asked(tmp_path, horizon):
    hours = {1: range(9), 2: [0, 1, 2, 3, 4, 9, 10], 3: range(20), 4: range(2)}
    series = np.concatenate([np.full(len(found), entity) for entity, found in hours.items()])
    times = np.concatenate([np.array(list(found)) for found in hours.values()])
    version = write_splits(tmp_path, {"train": (series, times)})
    window = Window(lookback=4 - horizon, horizon=horizon, stride=5, last_only=True)
    last = [[1005, 1006, 1007, 1008], [2001, 2002, 2003, 2004], [3016, 3017, 3018, 3019]]
    assert read_windows(version, "train", window) == last
