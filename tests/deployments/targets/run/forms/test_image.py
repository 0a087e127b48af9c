"""What a picture or an array becomes on its way into a model, and what is refused."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deployments.targets.errors import BadInput
from deployments.targets.run.inputs import load_samples
from deployments.targets.trust.card import Card

DIGIT = np.arange(64, dtype=np.uint8).reshape(8, 8) % 17


def with_input(card: Card, **changes: object) -> Card:
    return card.model_copy(update={"input": card.input.model_copy(update=changes)})


def save(image: Image.Image, path: Path, **options: object) -> str:
    image.save(path, **options)
    return str(path)


def save_array(array: np.ndarray, path: Path) -> str:
    np.save(path, array)
    return str(path)


def make_bomb(width: int, height: int) -> bytes:
    """A PNG of a few hundred bytes that claims a huge picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b"\0" * 100))
        + chunk(b"IEND", b"")
    )


def test_png_of_a_digit_comes_back_as_its_raw_values(card: Card, tmp_path: Path) -> None:
    file = save(
        Image.fromarray(np.rint(DIGIT * (255 / 16)).astype(np.uint8)), tmp_path / "a digit.png"
    )
    raw = load_samples(file, card).raw
    assert raw.dtype == np.uint8
    np.testing.assert_array_equal(raw, DIGIT[None, None])


def test_enlarged_digit_is_averaged_back(card: Card, tmp_path: Path) -> None:
    big = np.kron(DIGIT, np.ones((32, 32))) * (255 / 16)
    raw = load_samples(
        save(Image.fromarray(np.rint(big).astype(np.uint8)), tmp_path / "big.png"), card
    ).raw
    np.testing.assert_array_equal(raw, DIGIT[None, None])
    assert (
        load_samples(save(Image.new("L", (300, 200), 255), tmp_path / "w.png"), card).raw.min()
        == 16
    )


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK"])
def test_every_mode_becomes_the_cards_channels(card: Card, tmp_path: Path, mode: str) -> None:
    form = "jpg" if mode == "CMYK" else "png"
    file = save(Image.new("RGB", (20, 10), (255, 255, 255)).convert(mode), tmp_path / f"x.{form}")
    np.testing.assert_array_equal(load_samples(file, card).raw, np.full((1, 1, 8, 8), 16))
    colour = with_input(card, shape=(3, 4, 6))
    assert load_samples(file, colour).raw.shape == (1, 3, 4, 6)


def test_colours_keep_their_channels(card: Card, tmp_path: Path) -> None:
    file = save(Image.new("RGB", (9, 9), (255, 0, 128)), tmp_path / "x.png")
    raw = load_samples(file, with_input(card, shape=(3, 8, 8), value_range=(0, 255))).raw
    assert [int(channel.mean()) for channel in raw[0]] == [255, 0, 128]


def test_transparency_is_black_whatever_colour_hides_in_it(card: Card, tmp_path: Path) -> None:
    file = save(Image.new("RGBA", (8, 8), (255, 255, 255, 0)), tmp_path / "x.png")
    assert load_samples(file, card).raw.max() == 0


def test_sixteen_bits_are_scaled_not_clipped_and_never_cut(card: Card, tmp_path: Path) -> None:
    deep = np.full((8, 8), 32768, dtype=np.uint16)
    file = save(Image.fromarray(deep), tmp_path / "deep.png")
    for bounds in ((0, 1), (-1, 1)):
        wide = with_input(card, dtype="float32", value_range=bounds)
        wanted = np.float32(bounds[0] + (bounds[1] - bounds[0]) * 32768 / 65535)
        np.testing.assert_array_equal(load_samples(file, wide).raw, np.full((1, 1, 8, 8), wanted))
    for changes in ({}, {"dtype": "uint16"}, {"dtype": "int8"}):
        with pytest.raises(BadInput, match=r"deep\.png.*of which 8 would be lost; save it with 8"):
            load_samples(file, with_input(card, **changes))


def test_exif_orientation_is_followed(card: Card, tmp_path: Path) -> None:
    pixels = np.zeros((16, 16), dtype=np.uint8)
    pixels[:, :8] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # Rotate by 90 degrees clockwise: what is left comes to the top.
    raw = load_samples(
        save(Image.fromarray(pixels), tmp_path / "x.jpg", exif=exif, quality=100), card
    ).raw
    np.testing.assert_array_equal(raw[0, 0], np.repeat([16, 0], 4)[:, None] * np.ones((1, 8)))


def test_small_picture_is_enlarged(card: Card, tmp_path: Path) -> None:
    pixels = np.array([[0, 255], [0, 255]], dtype=np.uint8)
    raw = load_samples(save(Image.fromarray(pixels), tmp_path / "x.png"), card).raw
    assert list(raw[0, 0, 0]) == sorted(raw[0, 0, 0])
    assert (raw[0, 0, 0, 0], raw[0, 0, 0, -1]) == (0, 16)


def test_float_input_is_not_rounded(card: Card, tmp_path: Path) -> None:
    file = save(Image.new("L", (8, 8), 127), tmp_path / "x.png")
    raw = load_samples(file, with_input(card, dtype="float32", value_range=(-1, 1))).raw
    assert raw.dtype == np.float32
    assert raw[0, 0, 0, 0] == pytest.approx(-1 + 2 * 127 / 255)


@pytest.mark.parametrize("shape", [(8, 8), (1, 8, 8), (1, 1, 8, 8)])
@pytest.mark.parametrize("dtype", ["uint8", "int64", "float64", ">i2"])
def test_npy_of_raw_values(card: Card, tmp_path: Path, shape: tuple[int, ...], dtype: str) -> None:
    raw = load_samples(save_array(DIGIT.reshape(shape).astype(dtype), tmp_path / "x.npy"), card).raw
    assert raw.dtype == np.uint8
    np.testing.assert_array_equal(raw, DIGIT[None, None])


def test_npy_in_fortran_order(card: Card, tmp_path: Path) -> None:
    raw = load_samples(save_array(np.asfortranarray(DIGIT), tmp_path / "x.npy"), card).raw
    np.testing.assert_array_equal(raw, DIGIT[None, None])


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((5, 1, 8, 8), np.uint8), "save each sample in a file of its own"),
        (np.zeros((0, 1, 8, 8), np.uint8), "must"),
        (np.zeros((8, 9), np.uint8), r"got \(8, 9\)"),
        (np.zeros((), np.uint8), r"got \(\)"),
        (np.full((8, 8), 17), r"within 0\.\.16; got 17"),
        (np.full((8, 8), -1), "got -1"),
        (np.full((8, 8), np.nan), "got nan"),
        (np.full((8, 8), np.inf), "got inf"),
        (np.full((8, 8), 0.5), "with fractions, such as 0.5"),
        (np.zeros((8, 8), "U3"), "of numbers"),
        (np.zeros((8, 8), complex), "of numbers"),
        (np.zeros((8, 8), "M8[s]"), "of numbers"),
    ],
)
def test_npy_that_is_no_sample(card: Card, tmp_path: Path, array: np.ndarray, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        load_samples(save_array(array, tmp_path / "x.npy"), card)


def test_pickled_npy_never_runs(card: Card, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(BadInput, match="of numbers"):
        load_samples(str(tmp_path / "x.npy"), card)


def test_npy_header_that_claims_more_than_there_is(card: Card, tmp_path: Path) -> None:
    header = (
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000000, 1000), }".ljust(117)
        + b"\n"
    )
    (tmp_path / "x.npy").write_bytes(
        b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + b"\0" * 8
    )
    with pytest.raises(BadInput, match="with 8 bytes of data"):
        load_samples(str(tmp_path / "x.npy"), card)


@pytest.mark.parametrize("size", [(8000, 8000), (12_000, 12_000), (100_000, 100_000)])
def test_decompression_bombs(card: Card, tmp_path: Path, size: tuple[int, int]) -> None:
    (tmp_path / "bomb.png").write_bytes(make_bomb(*size))
    with pytest.raises(BadInput, match=r"(at most|more pixels than) 50000000"):
        load_samples(str(tmp_path / "bomb.png"), card)


@pytest.mark.parametrize("form", ["png", "jpg"])
@pytest.mark.parametrize("keep", [3, 20, 60, 0.5, 0.9])
def test_cut_off_pictures(card: Card, tmp_path: Path, form: str, keep: float) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8))
    path = Path(save(noise, tmp_path / f"x.{form}"))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep) if keep < 1 else int(keep)])
    with pytest.raises(BadInput):
        load_samples(str(path), card)


def test_flipped_bytes_give_an_answer_or_a_clear_error(card: Card, tmp_path: Path) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16), dtype=np.uint8))
    for form in ("png", "jpg"):
        data = Path(save(noise, tmp_path / f"x.{form}")).read_bytes()
        for position in range(0, len(data), 5):
            damaged = bytearray(data)
            damaged[position] ^= 0xFF
            (tmp_path / "bad").write_bytes(damaged)
            try:
                raw = load_samples(str(tmp_path / "bad"), card).raw
            except BadInput:
                continue
            assert raw.shape == (1, 1, 8, 8)
            assert raw.max() <= 16


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"GIF89a\x01\x00\x01\x00\x00\x00\x00;", b"\x93NUMPY", b"\x89PNG"]
)
def test_files_of_another_kind(card: Card, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(BadInput):
        load_samples(str(tmp_path / "x"), card)


def test_picture_for_a_model_of_tables(card: Card, tmp_path: Path) -> None:
    file = save(Image.new("L", (8, 8)), tmp_path / "x.png")
    with pytest.raises(BadInput, match=r"\.npy file"):
        load_samples(file, with_input(card, shape=(5,)))
