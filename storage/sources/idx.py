"""Reads IDX files, the format of MNIST (LeCun, Cortes and Burges, 1998).

A magic number, sizes, and big-endian values.
"""

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import ClassVar, Literal

import numpy as np

from storage.base.errors import SourceError
from storage.forms.base import RowsSpec
from storage.shards.row_ids import LABEL
from storage.sources.addresses import find_file, join_url
from storage.sources.base import Decoded, Part, PassedOver, SourceFile, UrlSource
from storage.sources.beside import find_beside
from storage.sources.cutting import MOST_ROW_BYTES, cut_evenly
from storage.sources.opening import SourceStream, open_stream

IDX_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MAX_DIMENSIONS = 4


class IdxSource(UrlSource):
    """Labelled images as pairs of IDX files, gzipped or not.

    A pair is the file of the images, (N, H, W) or (N, C, H, W), and the file of their labels, (N,)
    integers. Each name is looked for as it stands, with `.gz` added, and with `-idx` written as
    `.idx`.
    """

    type: Literal["idx"] = "idx"
    """Which source it is."""
    has_transparency: ClassVar[bool] = False
    train: tuple[str, str] = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
    """The pair that one learns from."""
    held_out: tuple[str, str] | None = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
    """The pair that is held out; None where there is one pair only, which is then split by the
    recipe."""

    def scan(
        self, spec: RowsSpec | None, target_bytes: int
    ) -> Iterator[Part | SourceFile | PassedOver]:
        """Walks the pairs; images and labels are read side by side."""
        pairs = [(self.train, "")]
        if self.held_out is not None:
            pairs = [(self.train, "train"), (self.held_out, "held_out")]
        read: list[str] = []
        for names, split in pairs:
            for item in self._scan_pair(names, split, target_bytes):
                if isinstance(item, SourceFile):
                    read.append(item.name)
                yield item
        yield from find_beside(self.url, self.options, read)

    def decode(self, part: Part, spec: RowsSpec | None) -> Decoded:
        """Decodes images (N, C, H, W) in the file's type, in native byte order; labels int64."""
        image_dtype, shape, label_dtype = part.detail
        count = part.stop - part.start
        values = count * math.prod(shape)
        images = np.frombuffer(part.payload, dtype=image_dtype, count=values)
        labels = np.frombuffer(part.payload, dtype=label_dtype, offset=images.nbytes, count=count)
        rows = images.reshape(count, *shape).astype(np.dtype(image_dtype).newbyteorder("="))
        return Decoded({"image": rows, LABEL: labels.astype(np.int64)})

    def _scan_pair(
        self, names: tuple[str, str], split: str, target_bytes: int
    ) -> Iterator[Part | SourceFile]:
        with ExitStack() as stack:
            images, labels = (stack.enter_context(self._open(name)) for name in names)
            image_dtype, image_sizes = read_header(images)
            label_dtype, label_sizes = read_header(labels)
            _check_pair(images, image_sizes, labels, label_sizes, label_dtype)
            total, *row_sizes = image_sizes
            shape = (1, *row_sizes) if len(row_sizes) == 2 else tuple(row_sizes)
            image_bytes = np.dtype(image_dtype).itemsize * math.prod(shape)
            label_bytes = np.dtype(label_dtype).itemsize
            _require_held(images, total, image_bytes, len(image_sizes), "images")
            _require_held(labels, total, label_bytes, 1, "labels")
            for start, stop in cut_evenly(total, image_bytes + 8, target_bytes):
                payload = images.read_exactly(
                    (stop - start) * image_bytes, f"images {start} to {stop} of {total}"
                )
                payload += labels.read_exactly(
                    (stop - start) * label_bytes, f"labels {start} to {stop} of {total}"
                )
                yield Part(
                    name=names[0].removesuffix(".gz"),
                    start=start,
                    stop=stop,
                    split=split,
                    detail=(image_dtype, shape, label_dtype),
                    payload=payload,
                )
            for stream in (images, labels):
                _check_end(stream, total)
                yield stream.finish()

    def _open(self, name: str) -> AbstractContextManager[SourceStream]:
        bare = name.removesuffix(".gz")
        candidates = dict.fromkeys(
            [
                name,
                bare,
                f"{bare}.gz",
                bare.replace("-idx", ".idx"),
                bare.replace("-idx", ".idx") + ".gz",
            ]
        )
        found = find_file(self.url, self.options, tuple(candidates))
        return open_stream(join_url(self.url, found), self.options, found)


def read_header(stream: SourceStream) -> tuple[str, tuple[int, ...]]:
    """Reads the magic number and the sizes of an IDX file.

    Returns:
        The numpy dtype of the values, big-endian, and the size of each dimension.

    Raises:
        SourceError: It is no IDX file, its type is unknown, or it ends inside the header.
    """
    magic = stream.read_exactly(4, "magic number")
    zeros, code, dimensions = magic[:2], magic[2], magic[3]
    if zeros != b"\0\0" or code not in IDX_DTYPES or not 1 <= dimensions <= MAX_DIMENSIONS:
        known = ", ".join(f"0x{known:02x}" for known in IDX_DTYPES)
        raise SourceError(
            f"file ({stream.display}) must begin with an IDX magic number: two zero bytes, a type "
            f"({known}), and 1 to {MAX_DIMENSIONS} dimensions; got 0x{magic.hex()}; check that it "
            "is the right file"
        )
    header = stream.read_exactly(4 * dimensions, "sizes")
    return IDX_DTYPES[code], tuple(int(size) for size in np.frombuffer(header, dtype=">u4"))


def _check_pair(
    images: SourceStream,
    image_sizes: tuple[int, ...],
    labels: SourceStream,
    label_sizes: tuple[int, ...],
    label_dtype: str,
) -> None:
    if len(image_sizes) not in (3, 4) or 0 in image_sizes[1:]:
        raise SourceError(
            f"file ({images.display}) must hold images of sizes (N, H, W) or (N, C, H, W); got "
            f"sizes {image_sizes}; check that images and labels are not swapped in the recipe"
        )
    if len(label_sizes) != 1 or label_dtype.startswith(">f"):
        raise SourceError(
            f"file ({labels.display}) must hold one integer label a row; got sizes {label_sizes} "
            f"of type {np.dtype(label_dtype).name}; check that images and labels are not swapped "
            "in the recipe"
        )
    if image_sizes[0] != label_sizes[0]:
        raise SourceError(
            f"file ({labels.display}) must hold one label for each of the {image_sizes[0]} images "
            f"in {images.display}; got {label_sizes[0]} labels; name the files that belong together"
        )


def _require_held(
    stream: SourceStream, rows: int, row_bytes: int, dimensions: int, what: str
) -> None:
    """Holds what a header states against the file's size, before anything is made of that size."""
    size, header = rows * row_bytes, 4 + 4 * dimensions
    held = None if stream.most_bytes is None else stream.most_bytes - header
    if row_bytes > MOST_ROW_BYTES or (held is not None and size > held):
        raise SourceError(
            f"file ({stream.display}) must hold {size} bytes of {what} 0 to {rows} of {rows}, each "
            f"of at most {MOST_ROW_BYTES}, as its header states; got at most {held} before its "
            "end; it is cut off or damaged: fetch it again"
        )


def _check_end(stream: SourceStream, total: int) -> None:
    if stream.read(1):
        raise SourceError(
            f"file ({stream.display}) must end after the {total} rows that its header states; got "
            "more bytes; fetch it again"
        )
