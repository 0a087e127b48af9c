"""Arrays that numpy saved."""

import numpy as np
import pytest

from storage.base.errors import SourceError
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.forms.image import ImageSpec
from storage.forms.series import SeriesSpec
from storage.forms.table import TableSpec
from storage.pipeline.collecting import collect_rows
from storage.pipeline.preparing import prepare_rows
from storage.sources.arrays import ArraysSource
from storage.stream.stream import Stream
from storage.stream.windows import Window
from storage.testing.sources import SourceContract, read_all


def make_arrays():
    random = np.random.default_rng(0)
    return {
        "x_train": random.integers(0, 255, (60, 5, 4)).astype(np.uint8),
        "y_train": np.arange(60) % 10,
        "x_test": random.integers(0, 255, (20, 5, 4)).astype(np.uint8),
        "y_test": np.arange(20) % 10,
    }


def save(folder, arrays):
    folder.mkdir(exist_ok=True)
    for name, values in arrays.items():
        np.save(folder / f"{name}.npy", values)
    return ArraysSource(url=str(folder))


class TestNpy(SourceContract):
    @pytest.fixture
    def source(self, tmp_path):
        return save(tmp_path, make_arrays())

    @pytest.fixture
    def expected_rows(self):
        return 80


class TestNpz(TestNpy):
    @pytest.fixture
    def source(self, tmp_path):
        np.savez_compressed(tmp_path / "mnist.npz", **make_arrays())
        return ArraysSource(url=str(tmp_path / "mnist.npz"))


def test_both_forms_hold_the_same_rows(tmp_path):
    np.savez(tmp_path / "all.npz", **make_arrays())
    packed, loose = (
        ArraysSource(url=str(tmp_path / "all.npz")),
        save(tmp_path / "npy", make_arrays()),
    )
    left, right = read_all(packed), read_all(loose)
    for name, values in left.items():
        np.testing.assert_array_equal(values, right[name])
    np.testing.assert_array_equal(left["image"][:60, 0], make_arrays()["x_train"])
    assert [part.split for part in loose.parts(1 << 20)] == ["train", "held_out"]


def test_channels_that_come_last_are_moved(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (30, 5, 4, 3)).astype(np.uint8)
    source = save(tmp_path, {"x_train": pixels, "y_train": np.zeros((30, 1), np.int32)})
    spec = ImageSpec(image={"shape": [3, 5, 4]}, labels=["a", "b"])
    rows = read_all(source.model_copy(update={"held_out": None}), spec)
    np.testing.assert_array_equal(rows["image"], np.moveaxis(pixels, -1, 1))


LABELS = {
    "texts": (["b", "a", "z"], ["a", "b"], [1, 0, -1]),
    "numbers that are names": ([7, 3, 4], ["3", "7"], [1, 0, -1]),
    "places": ([0, 1, 1], ["worn", "new"], [0, 1, 1]),
    "places in another order": ([0, 1, 1], ["1", "0"], [0, 1, 1]),
    "places that are names": ([0, 2, 12], ["0", "1", "2"], [0, 2, 12]),
}


@pytest.mark.parametrize("name", LABELS)
@pytest.mark.parametrize("form", ["image", "table"])
def test_labels_are_places_or_names(tmp_path, name, form):
    given, labels, wanted = LABELS[name]
    if form == "image":
        values, spec = np.zeros((3, 1, 4, 4), np.uint8), {"image": {"shape": [1, 4, 4]}}
        spec = ImageSpec(labels=labels, **spec)
    else:
        values, spec = np.zeros((3, 2)), TableSpec(numbers=["a", "b"], label="y", labels=labels)
    np.savez(tmp_path / "all.npz", x=values, y=np.array(given))
    source = ArraysSource(url=str(tmp_path / "all.npz"), train=("x", "y"), held_out=None)
    assert read_all(source, spec)["label"].tolist() == wanted


def test_texts_are_no_numbers_to_be_predicted(tmp_path):
    np.savez(tmp_path / "all.npz", x=np.zeros((3, 1)), y=np.array(["a", "b", "c"]))
    source = ArraysSource(url=str(tmp_path / "all.npz"), train=("x", "y"), held_out=None)
    with pytest.raises(SourceError, match=r"got texts; name them in data\.labels"):
        read_all(source, TableSpec(numbers=["a"], target="y"))


def test_rows_of_a_table(tmp_path):
    values = np.random.default_rng(0).normal(size=(30, 2)).astype(">f4")
    values[3, 1] = np.nan
    source = save(tmp_path, {"x_train": values, "y_train": np.arange(30.0)}).model_copy(
        update={"held_out": None}
    )
    rows = read_all(source, TableSpec(numbers=["a", "b"], target="y"))
    np.testing.assert_array_equal(rows["numbers"], values.astype(float))
    assert not rows["numbers__valid"][3, 1]
    assert rows["target"].tolist() == list(range(30))
    with pytest.raises(SourceError, match="3 numbers"):
        read_all(source, TableSpec(numbers=["a", "b", "c"], target="y"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"y_train": np.arange(59)}, "one value for each row"),
        ({"x_train": np.array([{}] * 60, dtype=object)}, "must hold numbers"),
    ],
)
def test_arrays_that_cannot_be_rows_are_refused(tmp_path, changes, words):
    source = save(tmp_path, {**make_arrays(), **changes})
    with pytest.raises(SourceError, match=words):
        read_all(source)


def test_damage_is_named(tmp_path):
    source = save(tmp_path, make_arrays())
    file = tmp_path / "x_test.npy"
    whole = file.read_bytes()
    for content, words in (
        (whole[:-1], "1 bytes short"),
        (whole[:50], "x_test"),
        (b"no array", "x_test"),
    ):
        file.write_bytes(content)
        with pytest.raises(SourceError, match=words):
            read_all(source)
    file.unlink()
    with pytest.raises(SourceError, match=r"x_test\.npy.*must exist"):
        read_all(source)
    (tmp_path / "all.npz").write_bytes(b"PK no zip")
    with pytest.raises(SourceError, match=r"all\.npz"):
        read_all(ArraysSource(url=str(tmp_path / "all.npz")))
    np.savez(tmp_path / "all.npz", x_train=np.ones((3, 2)))
    with pytest.raises(SourceError, match="y_train"):
        read_all(ArraysSource(url=str(tmp_path / "all.npz")))


@pytest.mark.parametrize("dtype", ["<f8", ">f4", "u1"])
def test_numbers_in_fortran_order_are_read(tmp_path, dtype):
    """A frame's columns lie so, and numpy saves them as they lie."""
    values = np.random.default_rng(0).integers(0, 99, (50, 3)).astype(dtype)
    spec = TableSpec(numbers=("a", "b", "c"), target="t")
    for turned in (np.ascontiguousarray(values), np.asfortranarray(values)):
        np.save(tmp_path / "x.npy", turned)
        np.save(tmp_path / "y.npy", np.arange(50.0))
        np.savez(tmp_path / "all.npz", x=turned, y=np.arange(50.0))
        for url in (tmp_path, tmp_path / "all.npz"):
            source = ArraysSource(url=str(url), train=("x", "y"), held_out=None)
            for target_bytes in (100, 1 << 20):
                found = read_all(source, spec, target_bytes)
                np.testing.assert_array_equal(found["numbers"], values)


def make_windows(count=40, steps=6, seed=0):
    random = np.random.default_rng(seed)
    return random.normal(size=(count, steps, 2)), np.arange(count) % 2, np.arange(count) // 5


WINDOWS = {
    "numbers": ["x", "y"],
    "entity": "window",
    "time": "step",
    "label": "label",
    "labels": ["still", "walking"],
}


def test_windows_of_a_series_are_entities_of_numbered_steps(tmp_path):
    values, labels, _ = make_windows()
    source = save(tmp_path, {"x_train": values, "y_train": labels})
    source = source.model_copy(update={"held_out": None})
    spec = SeriesSpec.model_validate(WINDOWS)
    whole = read_all(source, spec)
    np.testing.assert_array_equal(whole["numbers"].reshape(values.shape), values)
    np.testing.assert_array_equal(whole["label"].reshape(40, 6), np.repeat(labels[:, None], 6, 1))
    assert len(set(whole["series_id"].tolist())) == 40
    assert whole["time"][:7].tolist() == [step * 10**9 for step in (0, 1, 2, 3, 4, 5, 0)]
    # Ids do not depend on how the array was cut, and no two rows have the same one.
    parts = [source.read(part, spec) for part in source.parts(400, spec)]
    assert len(parts) > 5
    ids = np.concatenate([part["row_id"] for part in parts])
    np.testing.assert_array_equal(ids, whole["row_id"])
    assert len(set(ids.tolist())) == 240


def test_equal_windows_are_one_entity_wherever_they_lie(tmp_path):
    values, labels, _ = make_windows()
    values[30] = values[3]
    source = save(tmp_path, {"x_train": values, "y_train": labels})
    rows = read_all(
        source.model_copy(update={"held_out": None}), SeriesSpec.model_validate(WINDOWS)
    )
    assert len(set(rows["series_id"].tolist())) == 39


def test_a_third_array_says_whose_windows_they_are(tmp_path):
    values, labels, people = make_windows()
    save(tmp_path, {"x": values, "y": labels, "subject": people})
    source = ArraysSource(url=str(tmp_path), train=("x", "y", "subject"), held_out=None)
    split = {"by": "group", "field": "subject", "held_out": 0.3, "validation": 0.2}
    spec = SeriesSpec.model_validate(WINDOWS | {"metadata": ["subject"], "split": split})
    store = Store(str(tmp_path / "workspace"))
    raw = collect_rows(source, Dataset(store, "raw"), spec=spec)
    version = prepare_rows(raw, spec, Dataset(store, "prepared"))
    sides: dict[str, set[str]] = {}
    for entry in version.iter_shards():
        for person in version.read_shard(entry, ("subject",))["subject"].tolist():
            sides.setdefault(person, set()).add(entry.split)
    assert sorted(sides, key=int) == [str(person) for person in range(8)]
    assert all(len(found) == 1 for found in sides.values())
    window = Window(lookback=6)
    for split, rows in version.splits.items():
        assert len(Stream(version, split, batch_size=1, window=window, shuffle=False)) == rows // 6


@pytest.mark.parametrize(
    "groups", [[1700000000000000001, 1700000000000000002], [0.5, 0.25], [True, False]], ids=str
)
def test_groups_that_differ_stay_apart(tmp_path, groups):
    np.savez(tmp_path / "all.npz", x=np.zeros((2, 1)), y=np.zeros(2), who=np.array(groups))
    source = ArraysSource(url=str(tmp_path / "all.npz"), train=("x", "y", "who"), held_out=None)
    rows = read_all(source, TableSpec(numbers=["a"], target="y", metadata=["who"]))
    assert rows["who"].tolist() == [str(int(g) if g in (0, 1) else g) for g in groups]


@pytest.mark.parametrize("code", [0x7FFFFFFF, 0xD800])
@pytest.mark.parametrize("name", ["y", "who"])
def test_a_text_of_no_signs_is_damage(tmp_path, name, code):
    arrays = {"x": np.zeros((2, 1)), "y": np.array(["a", "b"]), "who": np.array(["p", "q"])}
    arrays[name] = np.array([code, 65], "<u4").view("<U1")
    np.savez(tmp_path / "all.npz", **arrays)
    source = ArraysSource(url=str(tmp_path / "all.npz"), train=("x", "y", "who"), held_out=None)
    spec = TableSpec(numbers=["a"], label="y", labels=["a", "b"], metadata=["who"])
    with pytest.raises(SourceError, match=r"all\.npz.*must hold texts.*save it again"):
        read_all(source, spec)


@pytest.mark.parametrize(
    ("arrays", "changes", "said"),
    [
        (("x", "y"), {"entity": None}, "data.entity: window"),
        (("x", "y"), {"texts": ["place"]}, r"got texts \(place\)"),
        (("x", "y"), {"numbers": ["x", "y", "z"]}, r"\(N, L, 3\).*\(6, 2\).*steps before columns"),
        (("x", "y"), {"metadata": ["subject"]}, "third array in source.train"),
        (("x", "y", "subject"), {}, "one column in data.metadata"),
    ],
)
def test_windows_that_are_not_what_the_recipe_says_are_refused(tmp_path, arrays, changes, said):
    values, labels, people = make_windows()
    save(tmp_path, {"x": values, "y": labels, "subject": people})
    source = ArraysSource(url=str(tmp_path), train=arrays, held_out=None)
    with pytest.raises(SourceError, match=said):
        read_all(source, SeriesSpec.model_validate(WINDOWS | changes))
