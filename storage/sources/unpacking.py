"""Unpacks what a file's first bytes say that it is, within bounds, and hashes what is stored."""

import bz2
import gzip
import hashlib
import io
import lzma
from typing import BinaryIO, cast

from typing_extensions import Buffer

from storage.base.errors import SourceError
from storage.sources.base import SourceFile

CHUNK_BYTES = 1 << 20
PIECE_BYTES = 16 << 20
MOST_UNPACKED_BYTES = 32 << 20
"""What any file may unpack to, however small it is."""
MOST_UNPACKED_RATIO = 250
"""Times its stored size that a larger file may unpack to: numbers, texts and pictures stay far
below, a file made to fill a memory comes to 1,000 (deflate) and more."""

_MAGICS = {
    b"\x1f\x8b": "gzip",
    b"\xfd7zXZ\x00": "xz",
    b"BZh": "bzip2",
    b"\x28\xb5\x2f\xfd": "zstd",
}


class HashingReader(io.RawIOBase):
    """Passes on the bytes of a file, and counts and hashes them."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self.size_bytes = 0

    def readable(self) -> bool:
        """Says yes: reading is all it does."""
        return True

    def readinto(self, buffer: Buffer) -> int:
        """Fills a buffer with the next bytes; 0 at the end."""
        view = memoryview(buffer)
        data = self._file.read(len(view))
        view[: len(data)] = data
        self._digest.update(data)
        self.size_bytes += len(data)
        return len(data)

    def finish(self, name: str) -> SourceFile:
        """Reads what is left, and says what the whole file was."""
        while data := self._file.read(CHUNK_BYTES):
            self._digest.update(data)
            self.size_bytes += len(data)
        return SourceFile(name=name, size_bytes=self.size_bytes, sha256=self._digest.hexdigest())


class Unpacked:
    """What a decompressor gives, as long as it is in proportion to what it was given."""

    def __init__(self, file: BinaryIO, raw: HashingReader, display: str) -> None:
        self._file = file
        self._raw = raw
        self._display = display
        self._size_bytes = 0

    def read(self, size: int = -1) -> bytes:
        """Reads up to `size` bytes, fewer only at the end.

        Raises:
            SourceError: The file unpacks to far more than files do.
        """
        data = self._file.read(PIECE_BYTES if size < 0 else min(size, PIECE_BYTES))
        self._size_bytes += len(data)
        most = limit_unpacked(self._raw.size_bytes)
        if self._size_bytes > most:
            raise SourceError(
                f"file ({self._display}) must unpack to at most {MOST_UNPACKED_RATIO} times its "
                f"size; got more than {most} bytes of {self._raw.size_bytes}; store it unpacked if "
                "it is right"
            )
        return data


def limit_unpacked(stored_bytes: int) -> int:
    """Return how many bytes a compressed file of a size may unpack to."""
    return max(MOST_UNPACKED_BYTES, MOST_UNPACKED_RATIO * stored_bytes)


def read_pieces(file: BinaryIO, size: int) -> bytes:
    """Reads up to `size` bytes, fewer only at the end; no memory is taken before there are any."""
    pieces: list[bytes] = []
    while size > 0 and (piece := file.read(min(size, PIECE_BYTES))):
        pieces.append(piece)
        size -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def decompress(file: "io.BufferedReader[HashingReader]") -> BinaryIO | None:
    """Return the decompressor that a file's first bytes ask for; None where they ask for none."""
    head = file.peek(6)[:6]
    kind = next((kind for magic, kind in _MAGICS.items() if head.startswith(magic)), None)
    if kind == "gzip":
        return cast("BinaryIO", gzip.GzipFile(fileobj=file))
    if kind == "xz":
        return cast("BinaryIO", lzma.LZMAFile(file))
    if kind == "bzip2":
        return cast("BinaryIO", bz2.BZ2File(file))
    if kind == "zstd":
        import pyarrow as pa

        return cast("BinaryIO", pa.CompressedInputStream(pa.PythonFile(file, "r"), "zstd"))
    return None
