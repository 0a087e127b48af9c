"""Pictures in folders and archives."""

import io
import shutil
import struct
import tarfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deployments.targets.errors import BadInput
from deployments.targets.run.forms.image import read_image
from deployments.targets.trust.card import InputSpec
from gates.specs.sections import GatesSpec
from storage.base.errors import SourceError
from storage.base.pictures import PictureFault
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.forms.image import ImageSpec
from storage.pipeline.collecting import collect_rows
from storage.shards.row_ids import LABEL
from storage.sources.images import ImagesSource
from storage.sources.pictures import decode_picture, decode_pictures
from storage.testing.sources import SourceContract, read_all
from tasks.gates.raw import judge_version

SHARED = Path("../shared/data")
SPEC = ImageSpec(image={"shape": [3, 8, 6]}, labels=["ant", "bee"])


def make_picture(seed, size=(6, 8), mode="RGB", kind="PNG", **options):
    channels = {"L": (), "RGB": (3,), "RGBA": (4,), "CMYK": (4,)}[mode]
    pixels = (
        np.random.default_rng(seed).integers(0, 256, (size[1], size[0], *channels)).astype(np.uint8)
    )
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue(), pixels


def make_members(count=20):
    names = [
        f"{split}/{label}/{number}.png"
        for split in ("test", "train")
        for label in ("ant", "bee")
        for number in range(count // 4)
    ]
    return {name: make_picture(seed)[0] for seed, name in enumerate(names)}


def write_tree(folder, members):
    for name, data in members.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def write_tar(path, members, extra=()):
    with tarfile.open(path, "w:xz" if path.name.endswith("xz") else "w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for info in extra:
            archive.addfile(info)
    return path


class TestFolder(SourceContract):
    @pytest.fixture
    def source(self, tmp_path):
        return ImagesSource(url=str(write_tree(tmp_path, make_members())))

    @pytest.fixture
    def spec(self):
        return SPEC

    @pytest.fixture
    def expected_rows(self):
        return 20


class TestArchive(TestFolder):
    @pytest.fixture
    def source(self, tmp_path):
        return ImagesSource(url=str(write_tar(tmp_path / "all.tar.xz", make_members())))


def test_folder_and_archive_hold_the_same_rows(tmp_path):
    members = make_members()
    folder = read_all(ImagesSource(url=str(write_tree(tmp_path / "tree", members))), SPEC)
    archive = read_all(ImagesSource(url=str(write_tar(tmp_path / "all.tar", members))), SPEC)
    for name, values in folder.items():
        np.testing.assert_array_equal(values, archive[name])
    assert folder["image"].shape == (20, 3, 8, 6)
    np.testing.assert_array_equal(folder["image"][0], np.moveaxis(make_picture(0)[1], -1, 0))
    np.testing.assert_array_equal(folder[LABEL], [0] * 5 + [1] * 5 + [0] * 5 + [1] * 5)


def test_folders_name_the_splits(tmp_path):
    splits = {"train": "train", "held_out": "test"}
    for url in (
        write_tree(tmp_path / "tree", make_members()),
        write_tar(tmp_path / "all.tar", make_members()),
    ):
        parts = ImagesSource(url=str(url), splits=splits).parts(1 << 20, SPEC)
        assert {part.split: part.stop - part.start for part in parts} == {
            "train": 10,
            "held_out": 10,
        }


def test_a_glob_chooses_files(tmp_path):
    write_tree(tmp_path, make_members())
    rows = read_all(ImagesSource(url=f"{tmp_path}/train/*/*.png"), SPEC)
    assert len(rows[LABEL]) == 10


def test_a_folder_that_is_no_class_is_left_for_the_gate_and_named(tmp_path):
    members = {**make_members(), "train/wasp/0.png": make_picture(99)[0]}
    for url in (write_tree(tmp_path / "tree", members), write_tar(tmp_path / "all.tar", members)):
        source = ImagesSource(url=str(url))
        assert sorted(set(read_all(source, SPEC)[LABEL].tolist())) == [0, 1, 2]
        version = collect_rows(source, Dataset(Store(tmp_path / "w"), url.name), spec=SPEC)
        assert version.info["undeclared"] == ["wasp"]
        (check,) = (
            check
            for check in judge_version(version, SPEC, GatesSpec()).checks
            if (check.rule, check.about) == ("expect_column_values_to_be_in_set", "label")
        )
        assert not check.passed
        says = "data.labels lacks 'wasp': add it, or mend the source; limited by data.labels"
        assert check.message.endswith(says)


def test_exif_rotation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6
    data, _ = make_picture(0, size=(8, 6), kind="JPEG", exif=exif)
    turned = decode_picture(data, (3, 8, 6), resize=False)
    plain = np.asarray(Image.open(io.BytesIO(data)))
    np.testing.assert_array_equal(turned, np.rot90(plain, -1))


def make_16_bit(step=1300, **options):
    file = io.BytesIO()
    values = (np.arange(48, dtype=np.uint16) * step).reshape(8, 6)
    Image.fromarray(values).save(file, "PNG", **options)
    return file.getvalue()


def make_deep_png(colour, channels, *, wide=1):
    """Write a PNG of 16 bits a value, which Pillow writes of grey alone."""
    values = np.random.default_rng(0).integers(0, 256, (8, 6 * channels)).astype(">u2") * wide
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    header = struct.pack(">IIBBBBB", 6, 8, 16, colour, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n"
    for kind, content in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        data += struct.pack(">I", len(content)) + kind + content
        data += struct.pack(">I", zlib.crc32(kind + content))
    return data


def make_deep_tiff(values, order):
    """Write a TIFF of grey in 16 bits, in either order of bytes, which Pillow writes of one."""
    mark = "<" if order[0] == "<" else ">"
    tags = [(256, 4, 6), (257, 4, 8), (258, 3, 16), (259, 3, 1), (262, 3, 1), (273, 4, 8)]
    tags += [(277, 3, 1), (278, 4, 8), (279, 4, 96)]
    data = struct.pack(f"{mark}2sHI", b"II" if mark == "<" else b"MM", 42, 8 + 96)
    data += values.astype(order).tobytes() + struct.pack(f"{mark}H", len(tags))
    for tag, kind, value in tags:
        cell = struct.pack(f"{mark}HH" if kind == 3 else f"{mark}I", *([value, 0][: 5 - kind]))
        data += struct.pack(f"{mark}HHI", tag, kind, 1) + cell
    return data + struct.pack(f"{mark}I", 0)


def make_palette():
    file = io.BytesIO()
    Image.fromarray(make_picture(5)[1]).quantize(8).save(file, "PNG", transparency=0)
    return file.getvalue()


PICTURES = {
    "larger": make_picture(1, size=(31, 50))[0],
    "smaller": make_picture(2, size=(3, 2))[0],
    "wider": make_picture(2, size=(30, 2))[0],
    "grey": make_picture(3, mode="L")[0],
    "transparent": make_picture(4, mode="RGBA", size=(12, 9))[0],
    "palette": make_palette(),
    "16 bit": make_16_bit(1285),
    "jpeg": make_picture(6, size=(40, 40), kind="JPEG")[0],
    "webp": make_picture(7, size=(40, 40), kind="WEBP")[0],
    "transparent webp": make_picture(7, mode="RGBA", kind="WEBP")[0],
    "gif": make_picture(8, kind="GIF")[0],
    "tiff": make_picture(8, kind="TIFF", compression="tiff_lzw")[0],
    "tiff of ink": make_picture(8, mode="CMYK", kind="TIFF")[0],
    "bmp": make_picture(8, kind="BMP")[0],
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", PICTURES)
def test_training_and_device_bring_pictures_to_shape_alike(name, channels):
    here, there = learn(PICTURES[name], (channels, 8, 6)), ask(PICTURES[name], (channels, 8, 6))
    np.testing.assert_array_equal(here, there)


def learn(data, shape, dtype="uint8"):
    images, _, faults = decode_pictures([("x.png", data)], shape, resize=True, dtype=dtype)
    if faults:
        raise PictureFault(faults[0][1])
    return images


def ask(data, shape, dtype="uint8"):
    bounds = (0, int(np.iinfo(dtype).max))
    spec = InputSpec(form="image", name="image", dtype=dtype, shape=shape, value_range=bounds)
    return read_image(data, spec, "x.png")


@pytest.mark.parametrize("size", [(8, 6), (3, 4), (20, 31)])
def test_grey_of_16_bits_is_read_to_its_full_worth(size):
    values = (np.arange(48, dtype=np.uint16) * 1300).reshape(8, 6)
    shape = (1, *size)
    here, there = (reads(make_16_bit(), shape, "uint16") for reads in (learn, ask))
    np.testing.assert_array_equal(here, there)
    assert here.dtype == np.uint16
    if size == (8, 6):
        np.testing.assert_array_equal(here[0, 0], values)
    assert len(np.unique(here % 257)) > 1
    gone = learn(make_16_bit(transparency=1300 * 7), (1, 8, 6), "uint16")
    np.testing.assert_array_equal(gone[0, 0], np.where(values == 1300 * 7, 0, values))


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_of_8_bits_are_values_of_16_bits_alike(name):
    here, there = (reads(PICTURES[name], (1, 8, 6), "uint16") for reads in (learn, ask))
    np.testing.assert_array_equal(here, there)
    if name != "16 bit":
        np.testing.assert_array_equal(here, learn(PICTURES[name], (1, 8, 6)).astype(int) * 257)


DEEP = {
    "grey": (make_16_bit(), "of which 8 would be lost; save it with 8 bits, or learn .* uint16"),
    "colours": (make_deep_png(2, 3), r"8 bits alone can be read; .* as a \.npy file"),
    "colours of 8 bits written wider": (make_deep_png(2, 3, wide=257), r"8 bits alone"),
    "grey with transparency": (make_deep_png(4, 2), "8 bits alone"),
    "colours with transparency": (make_deep_png(6, 4), "8 bits alone"),
}


@pytest.mark.parametrize("kind", ["WEBP", "TIFF", "GIF", "BMP"])
def test_kinds_without_loss_hold_what_was_saved(kind):
    data, pixels = make_picture(9, kind=kind, **({"lossless": True} if kind == "WEBP" else {}))
    learned = learn(data, (3, 8, 6))[0].transpose(1, 2, 0)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    np.testing.assert_array_equal(learned, expected)
    if kind != "GIF":  # It holds 256 colours.
        np.testing.assert_array_equal(learned, pixels)


@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_tiff_of_16_bits_is_read_to_its_full_worth(order):
    values = (np.arange(48, dtype=np.uint16) * 1300).reshape(8, 6)
    data = make_deep_tiff(values, order)
    for reads in (learn, ask):
        np.testing.assert_array_equal(reads(data, (1, 8, 6), "uint16")[0, 0], values)
        with pytest.raises((PictureFault, BadInput), match="of which 8 would be lost"):
            reads(data, (1, 8, 6))


@pytest.mark.parametrize("values", [np.ones((8, 6), np.float32), np.ones((8, 6), np.int32)])
def test_values_of_32_bits_are_refused(values):
    file = io.BytesIO()
    Image.fromarray(values).save(file, "TIFF")
    for reads in (learn, ask):
        with pytest.raises((PictureFault, BadInput), match=r"has 32 bits a value.*a \.npy file"):
            reads(file.getvalue(), (1, 8, 6))


@pytest.mark.parametrize("kind", ["WEBP", "TIFF", "GIF"])
def test_a_film_is_no_picture(kind):
    file = io.BytesIO()
    first, *others = (Image.fromarray(make_picture(seed)[1]) for seed in range(3))
    first.save(file, kind, save_all=True, append_images=others)
    for reads in (learn, ask):
        with pytest.raises((PictureFault, BadInput), match=r"several pictures.*a file of its own"):
            reads(file.getvalue(), (3, 8, 6))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", DEEP)
def test_no_bit_of_a_picture_is_lost_in_silence(name, channels):
    data, says = DEEP[name]
    with pytest.raises(PictureFault, match=f"^has 16 bits a value.*{says}"):
        learn(data, (channels, 8, 6))
    with pytest.raises(BadInput, match=rf"x\.png.*has 16 bits a value.*{says}"):
        ask(data, (channels, 8, 6))


def test_8_bits_that_are_written_as_16_are_read():
    values = (np.arange(48, dtype=np.uint16) * 5).reshape(8, 6)
    for reads in (learn, ask):
        np.testing.assert_array_equal(reads(make_16_bit(1285), (1, 8, 6))[0, 0], values)


@pytest.mark.parametrize(
    "image",
    [
        {"shape": [3, 8, 6], "dtype": "uint16", "value_range": [0, 65535]},
        {"shape": [1, 8, 6], "dtype": "uint16"},
        {"shape": [1, 8, 6], "value_range": [0, 16]},
        {"shape": [1, 8, 6], "dtype": "float32"},
        {"shape": [2, 8, 6]},
    ],
)
def test_what_pictures_cannot_become_is_told(tmp_path, image):
    source = ImagesSource(url=str(write_tree(tmp_path, make_members())))
    spec = ImageSpec(image=image, labels=["ant", "bee"])
    with pytest.raises(SourceError, match=r"uint16 with 1 channel and \[0, 65535\]; got"):
        source.parts(1 << 20, spec)


def test_deep_pictures_become_rows(tmp_path):
    members = {
        f"{label}/{n}.png": make_16_bit(1300 + n) for label in ("ant", "bee") for n in (0, 1)
    }
    image = {"shape": [1, 8, 6], "dtype": "uint16", "value_range": [0, 65535]}
    spec = ImageSpec(image=image, labels=["ant", "bee"])
    rows = read_all(ImagesSource(url=str(write_tree(tmp_path, members))), spec)
    assert rows["image"].dtype == np.uint16
    assert rows["image"][1].max() == 47 * 1301
    strict = ImagesSource(url=str(tmp_path), mismatch="refuse")
    np.testing.assert_array_equal(read_all(strict, spec)["image"], rows["image"])


def test_other_sizes_and_modes_can_be_refused(tmp_path):
    members = {
        "ant/0.png": make_picture(0)[0],
        "ant/1.png": PICTURES["larger"],
        "bee/2.png": PICTURES["grey"],
    }
    source = ImagesSource(url=str(write_tree(tmp_path / "tree", members)), mismatch="refuse")
    version = collect_rows(source, Dataset(Store(str(tmp_path / "ws")), "raw"), spec=SPEC)
    assert version.rows == 1
    assert [fault["name"] for fault in version.info["faults"]] == ["ant/1.png", "bee/2.png"]
    assert "31 x 50" in version.info["faults"][0]["reason"]


def damage(data, kind):
    return {
        "empty": b"",
        "text": b"no picture",
        "cut": data[: len(data) // 2],
        "head": b"\0" + data[1:],
    }[kind]


@pytest.mark.parametrize("kind", ["empty", "text", "cut", "head"])
@pytest.mark.parametrize("place", ["tree", "all.tar"])
def test_damaged_files_are_quarantined_and_listed(tmp_path, kind, place):
    members = make_members()
    members["train/ant/0.png"] = damage(members["train/ant/0.png"], kind)
    url = (
        write_tree(tmp_path / place, members)
        if place == "tree"
        else write_tar(tmp_path / place, members)
    )
    version = collect_rows(
        ImagesSource(url=str(url)), Dataset(Store(str(tmp_path / "ws")), "raw"), spec=SPEC
    )
    assert version.rows == 19
    assert [fault["name"] for fault in version.info["faults"]] == ["train/ant/0.png"]


def test_hostile_members_are_left_out_and_listed(tmp_path):
    link = tarfile.TarInfo("train/ant/link.png")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    members = {
        **make_members(4),
        "../out/ant/1.png": b"x",
        "/abs/ant/2.png": b"x",
        "train/ant/" + "a" * 2000: b"x",
    }
    source = ImagesSource(url=str(write_tar(tmp_path / "all.tar", members, [link])))
    version = collect_rows(source, Dataset(Store(str(tmp_path / "ws")), "raw"), spec=SPEC)
    assert version.rows == 4
    assert version.info["fault_count"] == 4
    assert all(
        word in str(version.info["faults"]) for word in ("leads out", "link", "more than 1024")
    )


@pytest.mark.parametrize(
    ("bound", "value", "words"),
    [("max_files", 3, "at most 3 files"), ("max_total_bytes", 100, "at most 100 bytes")],
)
def test_archives_have_bounds(tmp_path, bound, value, words):
    source = ImagesSource(
        url=str(write_tar(tmp_path / "all.tar", make_members())), **{bound: value}
    )
    with pytest.raises(SourceError, match=words):
        read_all(source, SPEC)


def test_a_file_that_is_too_large_is_listed(tmp_path):
    members = {"ant/0.png": make_picture(0)[0], "ant/1.png": make_picture(1, size=(200, 200))[0]}
    for url in (write_tree(tmp_path / "tree", members), write_tar(tmp_path / "all.tar", members)):
        source = ImagesSource(url=str(url), max_file_bytes=10_000)
        version = collect_rows(
            source, Dataset(Store(str(tmp_path / "ws")), url.name.replace(".", "")), spec=SPEC
        )
        assert (version.rows, version.info["fault_count"]) == (1, 1)


def test_a_picture_of_too_many_pixels_is_a_fault(monkeypatch):
    monkeypatch.setattr("storage.base.pictures.MAX_PIXELS", 100)
    with pytest.raises(ValueError, match="200 x 200"):
        decode_picture(make_picture(1, size=(200, 200))[0], (3, 8, 6), resize=True)


@pytest.mark.parametrize("content", [b"not a tar at all" * 100, None])
def test_a_broken_archive_is_an_error(tmp_path, content):
    path = tmp_path / "all.tar"
    whole = write_tar(path, make_members()).read_bytes()
    path.write_bytes(whole[: len(whole) // 3] if content is None else content)
    with pytest.raises(SourceError, match=r"all\.tar"):
        read_all(ImagesSource(url=str(path)), SPEC)


def test_an_empty_folder_and_a_missing_one_are_errors(tmp_path):
    for url in (tmp_path, tmp_path / "nowhere", tmp_path / "nowhere.tar"):
        with pytest.raises(SourceError, match="check the source"):
            read_all(ImagesSource(url=str(url)), SPEC)


def test_pictures_need_a_data_section(tmp_path):
    write_tree(tmp_path, make_members())
    with pytest.raises(SourceError, match=r"data\.image"):
        read_all(ImagesSource(url=str(tmp_path)))


def test_s3_holds_the_same_rows(tmp_path, s3_url, s3_options):
    import fsspec

    bucket = fsspec.filesystem("s3", **s3_options)
    members = make_members()
    for name, data in members.items():
        bucket.pipe_file(f"{s3_url}/data/{name}", data)
    remote = read_all(ImagesSource(url=f"{s3_url}/data", options=s3_options), SPEC)
    local = read_all(ImagesSource(url=str(write_tree(tmp_path, members))), SPEC)
    for name, values in local.items():
        np.testing.assert_array_equal(values, remote[name])


@pytest.mark.skipif(
    not (SHARED / "photos-ants-bees").is_dir(), reason="../shared/data/photos-ants-bees is absent"
)
def test_photos_of_odd_sizes(tmp_path):
    spec = ImageSpec(image={"shape": [3, 64, 64]}, labels=["ants", "bees"])
    source = ImagesSource(url=str(SHARED / "photos-ants-bees"))
    version = collect_rows(source, Dataset(Store(str(tmp_path)), "raw"), spec=spec)
    assert version.statistics()[LABEL].distinct == {"0": 15, "1": 15}
    assert version.info["fault_count"] == 0


@pytest.mark.parametrize("style", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_tar_format_is_read(tmp_path, style):
    deep = "train/" + "/".join(["folder" * 4] * 4) + "/ant/0.png"
    long = "train/" + "x" * 60 + "/" + "y" * 80 + "/bee/0.png"
    members = {
        "train/ant/été.png": make_picture(0)[0],
        deep: make_picture(1)[0],
        long: make_picture(2)[0],
    }
    with tarfile.open(tmp_path / "all.tar", "w", format=style) as archive:
        for name, data in members.items():
            folder = tarfile.TarInfo(name.rpartition("/")[0])
            folder.type = tarfile.DIRTYPE
            archive.addfile(folder)
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    source = ImagesSource(url=str(tmp_path / "all.tar"))
    parts = source.parts(1 << 20, SPEC)
    assert [name for name, *_ in parts[0].detail["pictures"]] == list(members)
    assert read_all(source, SPEC)[LABEL].tolist() == [0, 0, 1]


@pytest.mark.parametrize("cut", [512, 700, 1024, 5000, -1024])
def test_an_archive_cut_anywhere_is_an_error(tmp_path, cut):
    path = write_tar(tmp_path / "all.tar", make_members(200))
    body = path.read_bytes().rstrip(b"\0")
    whole = body + bytes(-len(body) % 512) + bytes(1024)
    path.write_bytes(whole[:cut])
    with pytest.raises(SourceError, match="cut off"):
        read_all(ImagesSource(url=str(path)), SPEC)


def test_a_zip_archive_is_a_folder_behind_a_chain(tmp_path):
    folder = write_tree(tmp_path / "tree", make_members())
    shutil.make_archive(str(tmp_path / "all"), "zip", folder)
    for url in (f"zip://::file://{tmp_path}/all.zip", f"simplecache::file://{folder}"):
        local, chained = (
            read_all(ImagesSource(url=str(folder)), SPEC),
            read_all(ImagesSource(url=url), SPEC),
        )
        for name, values in local.items():
            np.testing.assert_array_equal(values, chained[name])
