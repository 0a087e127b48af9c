"""Pictures and arrays that nobody has described."""

import io
import tarfile

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits, load_wine

from flows.recipe.model import Recipe
from tasks.drafting.guesses import DraftError
from tasks.drafting.looking import look_and_draft
from tests.flows.material import write_digits


def write_pictures(folder, classes=("cat", "dog"), count=40, size=(20, 24), mode="RGB"):
    draws = np.random.default_rng(0)
    shape = (*size, 3) if mode == "RGB" else size
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for n in range(count):
            pixels = draws.integers(0, 120, shape) + 100 * number
            Image.fromarray(pixels.astype(np.uint8), mode).save(folder / name / f"{n}.png")


def test_idx_files_are_paired_and_their_range_is_seen(tmp_path):
    write_digits(tmp_path / "digits")
    draft = look_and_draft(str(tmp_path / "digits"))
    source, data = draft.document["source"], draft.document["data"]
    assert draft.kind == "image-classification"
    assert source["train"][0].startswith("train-images")
    assert source["held_out"][1].startswith("t10k-labels")
    assert data["image"] == {"shape": [1, 8, 8], "dtype": "uint8", "value_range": [0, 16]}
    assert data["labels"] == [str(digit) for digit in range(10)]
    assert data["split"]["by"] == "source"
    assert draft.document["gates"]["model"]["min_accuracy"] > 0.8


@pytest.mark.parametrize("last", [False, True])
def test_arrays_are_images_or_rows_by_their_shape(tmp_path, last):
    digits, wine = load_digits(), load_wine()
    images = digits.images.astype(np.uint8)
    images = np.repeat(images[..., None], 3, axis=3) if last else images
    np.savez(tmp_path / "digits.npz", x=images, y=digits.target)
    draft = look_and_draft(str(tmp_path / "digits.npz"))
    assert draft.document["data"]["image"]["shape"] == ([3, 8, 8] if last else [1, 8, 8])
    assert draft.document["source"]["held_out"] is None
    (tmp_path / "wine").mkdir()
    np.save(tmp_path / "wine" / "x.npy", wine.data)
    np.save(tmp_path / "wine" / "labels.npy", wine.target)
    draft = look_and_draft(str(tmp_path / "wine"))
    assert draft.kind == "tabular-classification"
    assert len(draft.document["data"]["numbers"]) == wine.data.shape[1]


def test_folders_are_classes_and_one_size_is_kept(tmp_path):
    write_pictures(tmp_path / "pets")
    draft = look_and_draft(str(tmp_path / "pets"))
    data = draft.document["data"]
    assert data["labels"] == ["cat", "dog"]
    assert data["image"]["shape"] == [3, 20, 24]
    assert draft.document["train"]["augmentation"]["flip"]
    write_pictures(tmp_path / "signs", mode="L")
    draft = look_and_draft(str(tmp_path / "signs"))
    assert draft.document["data"]["image"]["shape"] == [1, 20, 24]
    assert "flip" not in draft.document["train"]["augmentation"]


def test_folders_of_splits_are_found_in_folders_and_archives(tmp_path):
    for split in ("train", "val"):
        write_pictures(tmp_path / "pets" / split)
    draft = look_and_draft(str(tmp_path / "pets"))
    assert draft.document["source"]["splits"] == {"train": "train", "held_out": "val"}
    (tmp_path / "packed").mkdir()
    packed = tmp_path / "packed" / "pets.tar.gz"
    with tarfile.open(packed, "w:gz") as archive:
        archive.add(tmp_path / "pets", "pets")
        note = tarfile.TarInfo("pets/readme.md")
        archive.addfile(note, io.BytesIO())
    for url in (packed, packed.parent):
        draft = look_and_draft(str(url))
        assert draft.document["source"]["url"].endswith("pets.tar.gz")
        assert draft.document["data"]["split"]["by"] == "source"


@pytest.mark.parametrize("ending", [".webp", ".tif", ""])
def test_a_table_beside_pictures_says_their_classes(tmp_path, ending):
    write_pictures(tmp_path / "made")
    (tmp_path / "pets" / "all").mkdir(parents=True)
    lines = ["photo;weight;species"]
    for number, file in enumerate(sorted((tmp_path / "made").glob("*/*.png"))):
        kind = ending or ".png"
        Image.open(file).save(tmp_path / "pets" / "all" / f"{number}{kind}")
        lines.append(f"{number}{ending};{number * 7};{file.parent.name}")
    (tmp_path / "pets" / "species.csv").write_text("\n".join(lines))
    for target in (None, "species"):
        draft = look_and_draft(str(tmp_path / "pets"), target=target)
        found = {"file": "species.csv", "name": "photo", "label": "species", "delimiter": ";"}
        assert draft.document["source"]["labels"] == found
        assert draft.document["data"]["labels"] == ["cat", "dog"]
        assert draft.document["gates"]["model"]["min_accuracy"] > 0.6
    recipe = Recipe.model_validate(draft.document)
    source, spec = recipe.source, recipe.data
    assert sum(len(source.read(part, spec)["label"]) for part in source.parts(1 << 20, spec)) == 80


def test_grey_of_16_bits_is_drafted_as_such(tmp_path):
    for number, name in enumerate(("dark", "light")):
        (tmp_path / name).mkdir()
        for n in range(30):
            values = np.random.default_rng(n).integers(0, 30000, (16, 16)) + 30000 * number
            Image.fromarray(values.astype(np.uint16)).save(tmp_path / name / f"{n}.png")
    image = look_and_draft(str(tmp_path)).document["data"]["image"]
    assert image == {"shape": [1, 16, 16], "dtype": "uint16", "value_range": [0, 65535]}


def test_pictures_without_classes_are_refused_with_the_remedy(tmp_path):
    write_pictures(tmp_path / "pets", classes=("all",))
    with pytest.raises(DraftError, match="into a folder of its name"):
        look_and_draft(str(tmp_path / "pets"))


@pytest.mark.parametrize("dark", [True, False])
def test_behind_dark_drawings_on_nothing_the_draft_puts_white(tmp_path, dark):
    draw = np.random.default_rng(0)
    for label in ("lying", "standing"):
        (tmp_path / label).mkdir()
        for number in range(40):
            values = np.zeros((16, 16, 4), np.uint8)
            place = draw.integers(2, 12)
            rows = (slice(place, place + 3), slice(2, 14))
            values[rows if label == "lying" else rows[::-1]] = [10 if dark else 240] * 3 + [255]
            Image.fromarray(values).save(tmp_path / label / f"{number}.png")
    image = look_and_draft(str(tmp_path)).document["data"]["image"]
    assert image["background"] == ([255, 255, 255] if dark else [0, 0, 0])
