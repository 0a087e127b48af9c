"""Files that strangers make to fill a memory, to hang a reader, or to end it in a traceback."""

import bz2
import gzip
import io
import lzma
import os
import struct
import tarfile
import zipfile
import zlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from storage.base.errors import SourceError
from storage.base.limits import MAX_PIXELS
from storage.forms.image import ImageSpec
from storage.forms.table import TableSpec
from storage.sources.arrays import ArraysSource
from storage.sources.csv import CsvSource
from storage.sources.idx import IdxSource
from storage.sources.images import ImagesSource
from storage.sources.parquet import ParquetSource

IMAGES = ImageSpec(image={"shape": [1, 28, 28]}, labels=["a", "b"])
TABLE = TableSpec(numbers=("x",), label="y", labels=("a", "b"))
ZEROS = bytes(4 << 20)
FILES = {}
LARGE = {}
"""Files that are read, however much they unpack to."""


def hostile(function):
    FILES[function.__name__] = function
    return function


def large(function):
    LARGE[function.__name__] = function
    return function


def read_source(source, spec):
    """Reads a source as a run would; what is left out as a fault is raised, too."""
    for part in source.parts(1 << 20, spec):
        faults = source.decode(part, spec).faults
        if faults:
            raise SourceError(f"{faults[0].name}: {faults[0].reason}")


def idx(folder, images, labels=b"\0\0\x08\x01\0\0\0\x01\0", name="images"):
    (folder / name).write_bytes(images)
    (folder / "labels").write_bytes(labels)
    return IdxSource(url=str(folder), train=("images", "labels"), held_out=None), None, name


def state(*sizes):
    return b"\0\0\x08" + bytes([len(sizes)]) + struct.pack(f">{len(sizes)}I", *sizes)


@hostile
def idx_states_everything(folder):
    return idx(folder, state(2**32 - 1, 2**32 - 1, 2**32 - 1) + bytes(8))


@hostile
def idx_states_one_giant(folder):
    return idx(folder, state(1, 2**32 - 1, 2**32 - 1))


@hostile
def idx_states_many_small(folder):
    most = 2**32 - 1
    return idx(folder, state(most, 1, 1), state(most))


@hostile
def idx_of_many_dimensions(folder):
    return idx(folder, b"\0\0\x08\xff" + bytes(1020))


def pack_idx(folder, pack):
    rows = 50 * len(ZEROS) // 10**6
    packed = pack(state(rows, 1000, 1000)) + pack(ZEROS) * 50
    return idx(folder, packed, state(rows) + bytes(rows))


@hostile
def idx_gzip_bomb(folder):
    return pack_idx(folder, gzip.compress)


@hostile
def idx_xz_bomb(folder):
    return pack_idx(folder, lzma.compress)


@hostile
def idx_bzip2_bomb(folder):
    return pack_idx(folder, bz2.compress)


@hostile
def idx_zstd_bomb(folder):
    return pack_idx(folder, lambda data: pa.compress(data, "zstd", asbytes=True))


@hostile
def idx_gzip_of_one_giant(folder):
    return idx(folder, gzip.compress(state(1, 2**15, 2**15)) + gzip.compress(ZEROS) * 20)


@hostile
def idx_pipe(folder):
    source = idx(folder, b"")
    (folder / "images").unlink()
    os.mkfifo(folder / "images")
    return source


def npy(folder, values, labels=None):
    (folder / "x.npy").write_bytes(values)
    stream = io.BytesIO()
    np.save(stream, np.zeros(4))
    (folder / "y.npy").write_bytes(labels or stream.getvalue())
    return ArraysSource(url=str(folder), train=("x", "y"), held_out=None), TABLE, "x.npy"


def head(text, version=1, stated=None):
    data = text.encode()
    length = len(data) if stated is None else stated
    pack = struct.pack("<H" if version == 1 else "<I", length)
    return b"\x93NUMPY" + bytes([version, 0]) + pack + data


def describe(shape, dtype="<f8", fortran=False):
    return repr({"descr": dtype, "fortran_order": fortran, "shape": shape}) + "\n"


@hostile
def npy_states_everything(folder):
    return npy(folder, head(describe((2**40, 4))).ljust(128))


@hostile
def npy_of_a_giant_header(folder):
    return npy(folder, head(describe((4, 1)), 2, 2**32 - 1))


@hostile
def npy_of_brackets(folder):
    return npy(folder, head("(" * 60_000))


@hostile
def npy_of_minus_signs(folder):
    return npy(folder, head("-" * 60_000 + "1"))


@hostile
def npy_of_negative_sizes(folder):
    return npy(folder, head(describe((-4, -(2**40)))))


@hostile
def npy_of_a_giant_number(folder):
    return npy(
        folder, head("{'descr': '<f8', 'fortran_order': False, 'shape': (1" + "0" * 9000 + ",)}")
    )


@hostile
def npy_of_objects(folder):
    return npy(folder, head(describe((4, 1), "|O")) + b"cos\nsystem\n(S'true'\ntR.")


@hostile
def npy_in_fortran_order_states_everything(folder):
    return npy(folder, head(describe((2**20, 2**20), fortran=True)))


@hostile
def npy_of_one_giant_row(folder):
    source = npy(folder, head(describe((1, 2**28))), head(describe((1,))) + bytes(8))
    with (folder / "x.npy").open("r+b") as file:
        file.truncate(2**31 + 1000)
    return source


@hostile
def npy_pipe(folder):
    source = npy(folder, b"")
    (folder / "x.npy").unlink()
    os.mkfifo(folder / "x.npy")
    return source


def npz(folder, data, method=zipfile.ZIP_DEFLATED):
    path = folder / "all.npz"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("x.npy", data)
        archive.writestr("y.npy", head(describe((4,))) + bytes(32))
    return ArraysSource(url=str(path), train=("x", "y"), held_out=None), TABLE, "all.npz"


@hostile
def npz_bomb(folder):
    return npz(folder, head(describe((2**23, 1))) + ZEROS * 16)


@hostile
def npz_encrypted(folder):
    source = npz(folder, head(describe((4, 1))) + bytes(32))
    path = folder / "all.npz"
    data = bytearray(path.read_bytes())
    for mark, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.index(mark) + place] |= 1
    path.write_bytes(data)
    return source


@hostile
def npz_packed_in_an_unknown_way(folder):
    source = npz(folder, head(describe((4, 1))) + bytes(32))
    path = folder / "all.npz"
    data = bytearray(path.read_bytes())
    for mark, place in ((b"PK\3\4", 8), (b"PK\1\2", 10)):
        data[data.index(mark) + place] = 97
    path.write_bytes(data)
    return source


@hostile
def npz_that_states_everything(folder):
    return npz(folder, head(describe((2**40, 4))))


@hostile
def npz_cut_off(folder):
    source = npz(folder, head(describe((4, 1))) + bytes(32))
    path = folder / "all.npz"
    path.write_bytes(path.read_bytes()[:-30])
    return source


def parquet(folder, table, **options):
    pq.write_table(table, folder / "a.parquet", **options)
    return ParquetSource(url=str(folder / "a.parquet")), TABLE, "a.parquet"


def repeat(text, rows):
    return pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), [text])


@hostile
def parquet_of_one_text_15_million_times(folder):
    rows = 15_000_000
    table = pa.table({"x": repeat("17.25", rows), "y": repeat("a", rows)})
    return parquet(folder, table, row_group_size=rows)


@hostile
def parquet_of_long_texts(folder):
    table = pa.table({"x": np.arange(20_000.0), "y": repeat("a" * 2**20, 20_000)})
    return parquet(folder, table)


@hostile
def parquet_page_bomb(folder):
    table = pa.table({"x": np.arange(400.0), "y": ["a" * 2**18] * 400})
    return parquet(folder, table, use_dictionary=False, compression="zstd")


@hostile
def parquet_of_nothing_but_nulls(folder):
    rows, names = 1_000_000, [f"x{n}" for n in range(40)]
    columns = dict.fromkeys(names, pa.nulls(rows, pa.float64())) | {"y": repeat("a", rows)}
    source, _, file = parquet(folder, pa.table(columns))
    return source, TABLE.model_copy(update={"numbers": tuple(names)}), file


def tail(folder, data, length, mark=b"PAR1"):
    path = folder / "a.parquet"
    path.write_bytes(b"PAR1" + data + struct.pack("<I", length) + mark)
    return ParquetSource(url=str(path)), TABLE, "a.parquet"


@hostile
def parquet_of_a_giant_footer(folder):
    return tail(folder, bytes(100), 2**32 - 1)


@hostile
def parquet_of_a_senseless_footer(folder):
    return tail(folder, b"\x19\xfc" + b"\xff" * 98, 100)


@hostile
def parquet_encrypted(folder):
    return tail(folder, bytes(100), 100, b"PARE")


@hostile
def parquet_without_its_middle(folder):
    source = parquet(
        folder, pa.table({"x": np.random.default_rng(0).random(9999), "y": ["a"] * 9999})
    )
    path = folder / "a.parquet"
    data = path.read_bytes()
    path.write_bytes(data[:4] + data[-2000:])
    return source


@hostile
def parquet_pipe(folder):
    os.mkfifo(folder / "a.parquet")
    return ParquetSource(url=str(folder / "a.parquet")), TABLE, "a.parquet"


def csv(folder, data, name="a.csv"):
    (folder / name).write_bytes(data)
    return CsvSource(url=str(folder / name)), TABLE, name


@hostile
def csv_gzip_bomb(folder):
    row = gzip.compress(b"1,a\n" * 2**20)
    return csv(folder, gzip.compress(b"x,y\n") + row * 30, "a.csv.gz")


@hostile
def csv_pipe(folder):
    os.mkfifo(folder / "a.csv")
    return CsvSource(url=str(folder / "a.csv")), TABLE, "a.csv"


@hostile
def csv_of_one_giant_record(folder):
    return csv(folder, b'x,y\n1,"' + ZEROS.replace(b"\0", b"a") * 15)


@hostile
def csv_of_one_giant_record_without_a_quote(folder):
    return csv(folder, b"x,y\n1," + ZEROS.replace(b"\0", b"a") * 15 + b"\n")


@hostile
def csv_of_quotes(folder):
    return csv(folder, b'x,y\n1,"' + ZEROS.replace(b"\0", b'"') * 15)


@hostile
def csv_of_torn_quotes(folder):
    return csv(folder, b'x,y\n1,a"' + ZEROS.replace(b"\0\0", b'",') * 15)


@hostile
def csv_header_of_many_columns(folder):
    return csv(folder, b"x" + b",y" * (3 << 20) + b"\n")


def picture(folder, data, name="a/hostile.png"):
    (folder / "a").mkdir()
    (folder / name).write_bytes(data)
    return ImagesSource(url=str(folder)), IMAGES, "hostile"


def png(width, height, *chunks, bits=8, colour=0):
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n"
    for kind, content in ((b"IHDR", header), *chunks, (b"IEND", b"")):
        data += struct.pack(">I", len(content)) + kind + content
        data += struct.pack(">I", zlib.crc32(kind + content))
    return data


@hostile
def png_of_many_pixels(folder):
    return picture(folder, png(50_000, 50_000, (b"IDAT", zlib.compress(ZEROS))))


@hostile
def png_of_every_pixel(folder):
    return picture(folder, png(2**31 - 1, 2**31 - 1, (b"IDAT", b"")))


@hostile
def png_with_a_text_that_unpacks(folder):
    text = b"Comment\0\0" + zlib.compress(ZEROS * 20)
    return picture(folder, png(28, 28, (b"zTXt", text), (b"IDAT", zlib.compress(b"\0"))))


@hostile
def png_of_too_few_rows(folder):
    return picture(folder, png(8000, 8000, (b"IDAT", zlib.compress(b"\0"))))


def most_pixels(folder, *chunks, bits=8, colour=0, pixel=b"\1"):
    side = int(MAX_PIXELS**0.5)
    rows = zlib.compress((b"\0" + pixel * side) * side, 1)
    return picture(folder, png(side, side, *chunks, (b"IDAT", rows), bits=bits, colour=colour))


@hostile
def png_of_16_bits_of_most_pixels(folder):
    return most_pixels(folder, bits=16, pixel=b"\0\1")


@large
def png_of_16_bits_written_wider(folder):
    return most_pixels(folder, bits=16, pixel=b"\1\1")


@large
def png_of_16_bits_and_transparency(folder):
    return most_pixels(folder, (b"tRNS", b"\1\1"), bits=16, pixel=b"\1\1")


@large
def png_of_grey(folder):
    return most_pixels(folder)


@large
def png_of_grey_and_transparency(folder):
    return most_pixels(folder, colour=4, pixel=b"\1\2")


@large
def png_of_colours(folder):
    return most_pixels(folder, colour=2, pixel=b"\1\2\3")


@large
def png_of_colours_and_transparency(folder):
    return most_pixels(folder, colour=6, pixel=b"\1\2\3\4")


@hostile
def jpeg_of_many_pixels(folder):
    frame = b"\xff\xd8\xff\xc0\0\x0b\x08" + struct.pack(">HH", 65500, 65500) + b"\x01\x01\x11\0"
    return picture(folder, frame + b"\xff\xda\0\x08\x01\x01\0\0\x3f\0", "a/hostile.jpg")


@hostile
def picture_pipe(folder):
    (folder / "a").mkdir()
    os.mkfifo(folder / "a/hostile.png")
    return ImagesSource(url=str(folder)), IMAGES, "hostile"


def tar(folder, data, name="all.tar"):
    (folder / name).write_bytes(data)
    return ImagesSource(url=str(folder / name)), IMAGES, name


def member(name, size, kind=tarfile.REGTYPE):
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


@hostile
def tar_gzip_bomb(folder):
    data = gzip.compress(member("notes", 50 * len(ZEROS))) + gzip.compress(ZEROS) * 50
    return tar(folder, data, "all.tar.gz")


@hostile
def tar_of_a_giant_member(folder):
    return tar(folder, member("a/1.png", 2**62) + bytes(1024))


@hostile
def tar_of_a_giant_name(folder):
    return tar(folder, member("x", 8 << 20, tarfile.GNUTYPE_LONGNAME) + b"a" * (8 << 20))


@hostile
def tar_of_records_without_end(folder):
    records = b"6 a=b\n" * 100_000
    padded = records + bytes(-len(records) % 512)
    return tar(folder, member("x", len(records), tarfile.XHDTYPE) + padded + member("a/1.png", 9))


@hostile
def folders_that_link_to_each_other(folder):
    for one in range(14):
        (folder / f"data/{one}").mkdir(parents=True)
        for other in range(14):
            (folder / f"data/{one}/to{other}").symlink_to(folder / f"data/{other}")
    return ImagesSource(url=str(folder / "data")), IMAGES, "data"
