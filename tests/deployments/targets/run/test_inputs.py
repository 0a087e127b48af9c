"""Where files are read from, and which are refused before anything looks inside."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deployments.targets.errors import BadInput
from deployments.targets.run.inputs import MAX_FILE_BYTES, load_samples
from deployments.targets.trust.card import Card

DIGIT = np.arange(64, dtype=np.uint8).reshape(8, 8) % 17


def save(image: Image.Image, path: Path, **options: object) -> str:
    image.save(path, **options)
    return str(path)


def save_array(array: np.ndarray, path: Path) -> str:
    np.save(path, array)
    return str(path)


def test_file_url(card: Card, tmp_path: Path) -> None:
    save(Image.fromarray(DIGIT), tmp_path / "x.png")
    assert load_samples(f"file://{tmp_path}/x.png", card).raw.shape == (1, 1, 8, 8)


def test_memory_url(card: Card) -> None:
    fsspec = pytest.importorskip("fsspec")
    buffer = io.BytesIO()
    np.save(buffer, DIGIT)
    fsspec.filesystem("memory").pipe_file("/folder/x.npy", buffer.getvalue())
    np.testing.assert_array_equal(
        load_samples("memory://folder/x.npy", card).raw, DIGIT[None, None]
    )


def test_relative_path(card: Card, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_array(DIGIT, tmp_path / "x.npy")
    monkeypatch.chdir(tmp_path)
    np.testing.assert_array_equal(load_samples("x.npy", card).raw, DIGIT[None, None])


def test_missing_file_and_folder(card: Card, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"none\.png"):
        load_samples(str(tmp_path / "none.png"), card)
    with pytest.raises(BadInput):
        load_samples(str(tmp_path), card)
    with pytest.raises(BadInput):
        load_samples("", card)


def test_huge_file_is_not_read(card: Card, tmp_path: Path) -> None:
    with (tmp_path / "x.npy").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(BadInput, match="must be at most"):
        load_samples(str(tmp_path / "x.npy"), card)


def test_secrets_of_an_address_are_not_repeated(card: Card) -> None:
    with pytest.raises(BadInput) as caught:
        load_samples("nosuch://user:hunter2@host/x.png?token=hunter2", card)
    assert "hunter2" not in str(caught.value)
