"""IDX files: every type, every place, every way to be wrong."""

import functools
import gzip
import hashlib
import http.server
import shutil
import struct
import threading
from pathlib import Path

import numpy as np
import pytest

from storage.base.errors import SourceError
from storage.shards.row_ids import hash_contents, hash_row_ids
from storage.sources.idx import IdxSource
from storage.testing.sources import SourceContract, read_all

MNIST = Path("../shared/data/mnist")
CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def make_idx(values, code=None):
    code = CODES[values.dtype.str[1:]] if code is None else code
    sizes = struct.pack(f">{values.ndim}I", *values.shape)
    return (
        bytes([0, 0, code, values.ndim])
        + sizes
        + values.astype(values.dtype.newbyteorder(">")).tobytes()
    )


def make_images(count, dtype="u1", shape=(3, 4), seed=0):
    return np.random.default_rng(seed).integers(0, 100, (count, *shape)).astype(dtype)


def make_labels(count, dtype="u1"):
    return (np.arange(count) % 10).astype(dtype)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(make_idx(make_images(50)))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(make_idx(make_labels(50)))
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(make_idx(make_images(20, seed=1)))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(make_idx(make_labels(20)))
    return tmp_path


class TestIdxSource(SourceContract):
    @pytest.fixture
    def source(self, folder):
        return IdxSource(url=str(folder))

    @pytest.fixture
    def expected_rows(self):
        return 70


@pytest.mark.parametrize("dtype", CODES)
def test_every_type_comes_back_as_it_was(folder, dtype):
    images = make_images(50, dtype)
    (folder / "train-images-idx3-ubyte").write_bytes(make_idx(images))
    rows = read_all(IdxSource(url=str(folder), held_out=None))
    assert rows["image"].dtype == np.dtype(dtype)
    assert rows["image"].dtype.isnative
    np.testing.assert_array_equal(rows["image"][:, 0], images)


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "i4"])
def test_labels_of_every_integer_type(folder, dtype):
    (folder / "train-labels-idx1-ubyte").write_bytes(make_idx(make_labels(50, dtype)))
    rows = read_all(IdxSource(url=str(folder), held_out=None))
    assert rows["label"].dtype == np.int64
    np.testing.assert_array_equal(rows["label"], make_labels(50))


def test_wrong_values_survive(folder):
    images = make_images(50, "f4")
    images[3, 0, 0], images[4, 1, 1] = np.nan, 1e9
    (folder / "train-images-idx3-ubyte").write_bytes(make_idx(images))
    (folder / "train-labels-idx1-ubyte").write_bytes(make_idx(np.full(50, -7, "i1")))
    rows = read_all(IdxSource(url=str(folder), held_out=None))
    np.testing.assert_array_equal(rows["image"][:, 0], images)
    assert (rows["label"] == -7).all()


def test_channels_come_first(folder):
    images = make_images(50, shape=(3, 4, 5))
    (folder / "train-images-idx3-ubyte").write_bytes(make_idx(images))
    np.testing.assert_array_equal(
        read_all(IdxSource(url=str(folder), held_out=None))["image"], images
    )


def test_splits_are_the_source_s(folder):
    parts = IdxSource(url=str(folder)).parts(100)
    assert {part.split for part in parts if part.name.startswith("train")} == {"train"}
    assert {part.split for part in parts if part.name.startswith("t10k")} == {"held_out"}
    assert {part.split for part in IdxSource(url=str(folder), held_out=None).parts(100)} == {""}


def test_gzip_changes_neither_rows_nor_ids(folder):
    plain = read_all(IdxSource(url=str(folder)))
    for file in list(folder.iterdir()):
        file.with_name(file.name.replace("-idx", ".idx") + ".gz").write_bytes(
            gzip.compress(file.read_bytes())
        )
        file.unlink()
    packed = read_all(IdxSource(url=str(folder)))
    for name, values in plain.items():
        np.testing.assert_array_equal(values, packed[name])


def test_a_file_unpacked_on_the_way_is_read_whatever_its_name(folder):
    for file in list(folder.iterdir()):
        file.rename(file.with_name(file.name + ".gz"))
    assert len(read_all(IdxSource(url=str(folder)))["label"]) == 70


def test_ids_and_hashes_follow_their_definition(folder):
    rows = read_all(IdxSource(url=str(folder), held_out=None))
    expected = hashlib.blake2b(b"train-images-idx3-ubyte:7", digest_size=8).digest()
    assert rows["row_id"][7] == int.from_bytes(expected, "little")
    assert hash_row_ids("train-images-idx3-ubyte", [7])[0] == rows["row_id"][7]
    head = b"image:|u1:(1, 3, 4);" + rows["image"][7].tobytes()
    expected = hashlib.blake2b(head, digest_size=16).digest()
    assert rows["content_hash"][7].tobytes() == expected
    np.testing.assert_array_equal(hash_contents({"image": rows["image"]}), rows["content_hash"])


def test_identity_is_that_of_the_stored_bytes(folder):
    file = folder / "train-images-idx3-ubyte"
    packed = gzip.compress(file.read_bytes())
    file.unlink()
    file.with_name(file.name + ".gz").write_bytes(packed)
    found = {file.name: file for file in IdxSource(url=str(folder)).identify().files}
    assert found["train-images-idx3-ubyte.gz"].sha256 == hashlib.sha256(packed).hexdigest()
    assert found["train-images-idx3-ubyte.gz"].size_bytes == len(packed)
    assert len(found) == 4


def damage_magic(folder):
    (folder / "train-images-idx3-ubyte").write_bytes(b"\x89PNG" + b"\0" * 99)
    return "train-images-idx3-ubyte", "magic number", "0x89504e47"


def damage_type(folder):
    (folder / "train-images-idx3-ubyte").write_bytes(make_idx(make_images(50), code=0x0A))
    return "train-images-idx3-ubyte", "0x0d", "0x00000a03"


def cut_images(folder):
    (folder / "train-images-idx3-ubyte").write_bytes(make_idx(make_images(50))[:-1])
    return "train-images-idx3-ubyte", "600 bytes", "599"


def cut_header(folder):
    (folder / "train-labels-idx1-ubyte").write_bytes(b"\0\0\x08")
    return "train-labels-idx1-ubyte", "4 bytes", "got 3"


def cut_gzip(folder):
    file = folder / "train-images-idx3-ubyte"
    packed = gzip.compress(file.read_bytes())
    file.write_bytes(packed[: len(packed) // 2])
    return "train-images-idx3-ubyte", "must unpack to its end", "fetch it again"


def break_gzip(folder):
    file = folder / "train-images-idx3-ubyte"
    packed = bytearray(gzip.compress(file.read_bytes()))
    packed[-6] ^= 1
    file.write_bytes(packed)
    return "train-images-idx3-ubyte", "must unpack to its end", "CRC"


def lose_labels(folder):
    (folder / "train-labels-idx1-ubyte").write_bytes(make_idx(make_labels(49)))
    return "train-labels-idx1-ubyte", "50 images", "49 labels"


def remove_file(folder):
    (folder / "t10k-labels-idx1-ubyte").unlink()
    return "t10k-labels-idx1-ubyte", "must exist", "t10k-labels-idx1-ubyte.gz"


def swap_files(folder):
    (folder / "train-images-idx3-ubyte").write_bytes(make_idx(make_labels(50)))
    return "train-images-idx3-ubyte", "(N, H, W)", "(50,)"


def write_float_labels(folder):
    (folder / "train-labels-idx1-ubyte").write_bytes(make_idx(make_labels(50, "f4")))
    return "train-labels-idx1-ubyte", "integer", "float32"


def lengthen(folder):
    with (folder / "train-labels-idx1-ubyte").open("ab") as file:
        file.write(b"\1")
    return "train-labels-idx1-ubyte", "must end after", "50 rows"


DAMAGES = [
    damage_magic,
    damage_type,
    cut_images,
    cut_header,
    cut_gzip,
    break_gzip,
    lose_labels,
    remove_file,
    swap_files,
    write_float_labels,
    lengthen,
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_what_is_wrong_is_named(folder, damage):
    words = damage(folder)
    with pytest.raises(SourceError) as caught:
        read_all(IdxSource(url=str(folder)))
    for word in words:
        assert word in str(caught.value)


@pytest.fixture
def server(folder):
    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def test_http_gives_the_same_rows(folder, server):
    local, remote = read_all(IdxSource(url=str(folder))), read_all(IdxSource(url=f"{server}/"))
    for name, values in local.items():
        np.testing.assert_array_equal(values, remote[name])


def test_chains_of_file_systems_give_the_same_rows(folder, server, tmp_path_factory):
    import fsspec

    fsspec.filesystem("memory").put(str(folder), "/idx-chain", recursive=True)
    archive = shutil.make_archive(
        str(tmp_path_factory.mktemp("zip") / "all"), "zip", folder.parent, folder.name
    )
    local = read_all(IdxSource(url=str(folder)))
    for url in (
        f"simplecache::{server}/",
        "simplecache::memory://idx-chain",
        f"filecache::file://{folder}",
        f"zip://{folder.name}::file://{archive}",
    ):
        remote = read_all(IdxSource(url=url))
        for name, values in local.items():
            np.testing.assert_array_equal(values, remote[name])
    with pytest.raises(SourceError, match=r"all\.zip.*check the source's url"):
        read_all(IdxSource(url=f"zip://elsewhere::file://{archive}"))


def test_http_errors_name_the_address_without_secrets(folder, server):
    (folder / "t10k-labels-idx1-ubyte").unlink()
    url = server.replace("://", "://me:hunter2@")
    with pytest.raises(SourceError, match="t10k-labels-idx1-ubyte") as caught:
        read_all(IdxSource(url=url))
    assert "hunter2" not in str(caught.value)


def test_a_host_that_is_not_there_is_a_source_error():
    with pytest.raises(SourceError, match=r"127\.0\.0\.1"):
        read_all(IdxSource(url="http://127.0.0.1:9/data"))


def test_an_unknown_protocol_is_a_source_error():
    with pytest.raises(SourceError, match="nosuch"):
        read_all(IdxSource(url="nosuch://bucket/data"))


@pytest.mark.skipif(not MNIST.is_dir(), reason="../shared/data/mnist is absent")
def test_mnist_is_read_whole():
    rows = read_all(IdxSource(url=str(MNIST)))
    assert rows["image"].shape == (70_000, 1, 28, 28)
    assert np.bincount(rows["label"][:60_000]).tolist() == [
        5923,
        6742,
        5958,
        6131,
        5842,
        5421,
        5918,
        6265,
        5851,
        5949,
    ]
    assert len(np.unique(rows["row_id"])) == 70_000


def test_s3_gives_the_same_rows(folder, s3_url, s3_options):
    import fsspec

    bucket = fsspec.filesystem("s3", **s3_options)
    for file in folder.iterdir():
        bucket.pipe_file(f"{s3_url}/digits/{file.name}", file.read_bytes())
    local = read_all(IdxSource(url=str(folder)))
    remote = read_all(IdxSource(url=f"{s3_url}/digits", options=s3_options))
    for name, values in local.items():
        np.testing.assert_array_equal(values, remote[name])
    with pytest.raises(SourceError, match="must exist"):
        read_all(IdxSource(url=f"{s3_url}/nothing", options=s3_options))


def test_s3_without_the_right_to_read_says_so(s3_url):
    options = {
        "endpoint_url": "http://127.0.0.1:9",
        "key": "id",
        "secret": "hunter2",
        "max_concurrency": 1,
    }
    options["config_kwargs"] = {"retries": {"max_attempts": 1}, "connect_timeout": 1}
    with pytest.raises(SourceError, match=r"s3://.*must") as caught:
        read_all(IdxSource(url=f"{s3_url}/digits", options=options))
    assert "hunter2" not in str(caught.value)
