"""Where files are read from, and which are refused before anything looks inside."""

import bz2
import gzip
import io
import lzma
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deployments.targets.errors import BadInput
from deployments.targets.run.forms import packed
from deployments.targets.run.forms.packed import unpack
from deployments.targets.run.inputs import MAX_FILE_BYTES, load_samples, read_values
from deployments.targets.trust.card import Card, InputSpec
from deployments.targets.trust.card_columns import ColumnSpec
from storage.base.text_style import TextStyle
from tests.deployments.targets.run.forms.test_rows import make_card

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


def test_the_name_of_a_file_is_read_as_where_it_was_learned_from(tmp_path: Path) -> None:
    columns = (ColumnSpec(name="x"), ColumnSpec(name="site", vocabulary=("north", "south")))
    card = make_card(
        InputSpec(
            form="table",
            name="row",
            dtype="float64",
            shape=(2,),
            columns=columns,
            file_style=TextStyle(path_columns="{site}/{year}.csv"),
        )
    )
    path = tmp_path / "south" / "2024.csv"
    path.parent.mkdir()
    path.write_text("x\n1\n2\n")
    np.testing.assert_array_equal(load_samples(str(path), card).raw, [[1, 1], [2, 1]])
    path.with_name("own.csv").write_text("x,site\n1,north\n")
    np.testing.assert_array_equal(load_samples(str(path.parent / "own.csv"), card).raw, [[1, 0]])
    (tmp_path / "rows.txt").write_text("x\n1\n")
    with pytest.raises(BadInput, match=r"got no site; .* call the file as {site}/{year}\.csv"):
        load_samples(str(tmp_path / "rows.txt"), card)
    with pytest.raises(BadInput, match="got no site"):
        read_values([{"x": 1}], card, "request")


def pack_zstd(data: bytes) -> bytes:
    zstandard = pytest.importorskip("zstandard")
    return bytes(zstandard.ZstdCompressor().compress(data))


PACKINGS = {"gz": gzip.compress, "xz": lzma.compress, "bz2": bz2.compress, "zst": pack_zstd}


@pytest.mark.parametrize("ending", PACKINGS)
def test_a_file_of_many_frames_costs_what_its_bytes_do(
    ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes handed to readers are counted, since a time would say what the machine does."""
    handed: list[int] = []

    class Counting:
        def __init__(self) -> None:
            self._reader = packing.open_reader()

        def decompress(self, data: bytes, most: int) -> bytes:
            handed.append(len(data))
            return bytes(self._reader.decompress(data, most))

        def __getattr__(self, name: str) -> object:
            return getattr(self._reader, name)

    frame = PACKINGS[ending](b"1\n")
    magic = next(magic for magic in packed._PACKINGS if frame.startswith(magic))
    packing = packed._PACKINGS[magic]
    monkeypatch.setitem(packed._PACKINGS, magic, packing._replace(open_reader=Counting))
    for frames, size in ((250, 2), (4, 50_000)):
        content = np.random.default_rng(7).bytes(size - 1) + b"\n"
        frame = PACKINGS[ending](content)
        handed.clear()
        assert unpack(frame * frames, 2**24, "rows.csv") == content * frames
        assert sum(handed) <= frames * (2 * len(frame) + packed.FIRST_STEP_BYTES)
    monkeypatch.setattr(packed, "MOST_FRAMES", 5)
    frame = PACKINGS[ending](b"1\n")
    assert unpack(frame * 5, 2**24, "rows.csv") == b"1\n" * 5
    with pytest.raises(BadInput, match="packed in at most 5 frames"):
        unpack(frame * 6, 2**24, "rows.csv")


@pytest.mark.parametrize("ending", PACKINGS)
def test_a_packed_file_is_asked_as_the_plain_one(tmp_path: Path, ending: str) -> None:
    card = make_card(
        InputSpec(
            form="table",
            name="row",
            dtype="float64",
            shape=(1,),
            columns=(ColumnSpec(name="x"),),
            file_style=TextStyle(path_columns="{site}.csv.gz"),
        )
    )
    pack = PACKINGS[ending]
    path = tmp_path / f"rows.csv.{ending}"
    path.write_bytes(pack(b"x\n1\n") + pack(b"2\n"))
    np.testing.assert_array_equal(load_samples(str(path), card).raw, [[1], [2]])
    path.write_bytes(pack(b"x\n1\n2\n")[:-5])
    with pytest.raises(BadInput, match=r"must unpack to its end"):
        load_samples(str(path), card)
    with pytest.raises(BadInput, match=r"unpack to at most 9999 bytes"):
        unpack(pack(bytes(10_000)), 9_999, "rows.csv")
    assert unpack(pack(bytes(9_999)), 9_999, "rows.csv") == bytes(9_999)
    # Some tools fill a file up to the size of a block.
    assert unpack(pack(b"a,b\n") + bytes(512), 9_999, "rows.csv") == b"a,b\n"
    path.write_bytes(pack(b"x\n")[:6] + b"\xff" * 40)
    with pytest.raises(BadInput, match=r"must unpack to its end"):
        load_samples(str(path), card)
