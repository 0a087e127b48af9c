"""One array as numpy saves it (NEP 1): its header is believed no further than its size."""

import io
import math
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from storage.base.errors import SourceError, describe_error
from storage.sources.faults import translated
from storage.sources.unpacking import read_pieces

SPOOL_BYTES = 64 * 2**20
MOST_HEADER_BYTES = 64 << 10
_START_BYTES = 10
_MAGIC = b"\x93NUMPY"


@dataclass
class ArrayFile:
    """A .npy file, or such a member of an archive.

    Attributes:
        display: Its name for messages.
        file: Its bytes, from the start.
        most_bytes: How many bytes there can be; None where nobody says.
        dtype: Type of its numbers.
        shape: Its shape, rows first.
    """

    display: str
    file: BinaryIO
    most_bytes: int | None = None
    dtype: np.dtype[Any] = field(default_factory=lambda: np.dtype(np.uint8))
    shape: tuple[int, ...] = ()
    _turned: NDArray[Any] | None = None
    _at: int = 0

    def read_header(self, *, texts: bool = False) -> None:
        """Reads type and shape, and holds them against the file's size.

        Numbers in Fortran order are put on the disk first: of these a row lies all over the file.

        Args:
            texts: Whether it may hold texts in place of numbers, as names of classes.

        Raises:
            SourceError: It is no such file, holds no numbers, or states more than there can be.
        """
        header = self._take_header()
        try:
            self.shape, fortran, self.dtype = _parse_header(header)
        except Exception as error:
            # numpy parses a header with Python's own parser, which raises what it does not expect.
            raise self._refuse(describe_error(error)) from error
        if (
            self.dtype.kind not in ("biufU" if texts else "biuf")
            or not self.shape
            or not _are_sizes(self.shape)
        ):
            raise SourceError(
                f"file ({self.display}) must hold numbers, rows first; got {self.dtype} of "
                f"{len(self.shape)} axes; save an array of numbers"
            )
        size = self.dtype.itemsize * math.prod(self.shape)
        if self.most_bytes is not None and len(header) + size > self.most_bytes:
            short = len(header) + size - self.most_bytes
            raise SourceError(
                f"file ({self.display}) must hold {self.shape[0]} rows of shape {self.shape[1:]}; "
                f"it ends before, at least {short} bytes short; it is cut off: fetch it again"
            )
        if fortran and len(self.shape) > 1:
            self._turned = self._spool(size)

    def read_rows(self, count: int) -> bytes:
        """Reads the next rows, in C order.

        Raises:
            SourceError: The file ends before.
        """
        if self._turned is not None:
            rows = self._turned[self._at : self._at + count]
            self._at += count
            return np.ascontiguousarray(rows).tobytes()
        size = count * self.row_bytes
        with translated_members(self.display):
            data = read_pieces(self.file, size)
        self._require_read(len(data), size)
        return data

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return self.dtype.itemsize * math.prod(self.shape[1:])

    def _take_header(self) -> bytes:
        """Return the header's bytes, of a length that a header can have."""
        with translated_members(self.display):
            start = read_pieces(self.file, _START_BYTES)
            if len(start) < _START_BYTES or not start.startswith(_MAGIC):
                raise self._refuse(f"the first bytes {start[:6]!r}")
            if start[6] != 1:
                start += read_pieces(self.file, 2)
            length = int.from_bytes(start[8:], "little")
            if length > MOST_HEADER_BYTES:
                raise self._refuse(f"a header of {length} bytes")
            return start + read_pieces(self.file, length)

    def _spool(self, size: int) -> NDArray[Any]:
        """Copies the numbers to the disk, which forgets them when the array goes."""
        with tempfile.TemporaryFile() as copy:
            with translated_members(self.display):
                shutil.copyfileobj(self.file, copy)
            self._require_read(copy.tell(), size)
            if not size:
                return np.empty(self.shape, self.dtype)
            return np.memmap(copy, self.dtype, "r", shape=self.shape, order="F")

    def _require_read(self, found: int, size: int) -> None:
        if found < size:
            raise SourceError(
                f"file ({self.display}) must hold {self.shape[0]} rows; it ends before, "
                f"{size - found} bytes short; it is cut off: fetch it again"
            )

    def _refuse(self, got: str) -> SourceError:
        return SourceError(
            f"file ({self.display}) must be a .npy file; got: {got[:200]}; save it with numpy.save"
        )


@contextmanager
def translated_members(display: str) -> Iterator[None]:
    """Gives faults of zip archives our name, and those of file systems.

    Raises:
        SourceError: The archive is damaged, encrypted, or packed in a way that is not known here.
    """
    with translated(display):
        try:
            yield
        except (
            zipfile.BadZipFile,
            NotImplementedError,
            RuntimeError,
            zipfile.LargeZipFile,
        ) as error:
            raise SourceError(
                f"file ({display}) must be a .npz file as numpy.savez writes it; got: "
                f"{describe_error(error)}; save it again, or fetch it again"
            ) from error


def _are_sizes(shape: tuple[int, ...]) -> bool:
    return all(0 <= size < 1 << 63 for size in shape)


def _parse_header(header: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    stream = io.BytesIO(header)
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(stream)
    return np.lib.format.read_array_header_2_0(stream)
