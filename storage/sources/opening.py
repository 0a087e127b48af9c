"""Reads the files of a source, once and from the start, on any file system that fsspec knows.

Compression is told by a file's first bytes, not by its name: a browser or a proxy may have unpacked
what still ends in `.gz`. The stored bytes are hashed on their way through.
"""

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import BinaryIO, cast

from storage.base.errors import SourceError
from storage.base.store import redact
from storage.sources.base import SourceFile
from storage.sources.faults import translated
from storage.sources.plain_files import (
    FileState,
    look_at_file,
    require_plain_file,
    require_unchanged,
)
from storage.sources.unpacking import (
    CHUNK_BYTES,
    HashingReader,
    Unpacked,
    decompress,
    limit_unpacked,
    read_pieces,
)


class SourceStream:
    """The uncompressed bytes of one file, in order.

    Attributes:
        name: The file's name below the source's URL.
        display: Its address without secrets, for messages.
        most_bytes: How many bytes there can be: as many as are stored, or as a file of that size
            may unpack to; None where nobody says how many are stored.
    """

    def __init__(
        self, name: str, display: str, raw: HashingReader, stored_bytes: int | None = None
    ) -> None:
        self.name = name
        self.display = display
        self._raw = raw
        buffered = io.BufferedReader(raw, CHUNK_BYTES)
        unpacked = decompress(buffered)
        self.most_bytes = stored_bytes
        if stored_bytes is not None and unpacked is not None:
            self.most_bytes = limit_unpacked(stored_bytes)
        self.file = cast(
            "BinaryIO", buffered if unpacked is None else Unpacked(unpacked, raw, display)
        )
        self._held = b""
        self._at = 0

    def read(self, size: int) -> bytes:
        """Reads up to `size` bytes; fewer only at the end of the file.

        What was read through `file` is not seen here.

        Raises:
            SourceError: The file cannot be read or unpacked.
        """
        start, self._at = self._at, self._at + size
        if self._at <= len(self._held):
            # An archive is read in hundreds of thousands of small pieces: the quick way is the
            # usual one.
            return self._held[start : self._at]
        rest = self._held[start:]
        with translated(self.display):
            self._held = rest + read_pieces(self.file, max(CHUNK_BYTES, size - len(rest)))
        self._at = min(size, len(self._held))
        return self._held[: self._at]

    def read_exactly(self, size: int, what: str) -> bytes:
        """Return exactly `size` bytes.

        Raises:
            SourceError: The file ends before; the message names `what` is missing.
        """
        data = self.read(size)
        if len(data) != size:
            raise SourceError(
                f"file ({self.display}) must hold {size} bytes of {what}; got {len(data)} before "
                "its end; it is cut off: fetch it again"
            )
        return data

    def finish(self) -> SourceFile:
        """Reads to the end and gives the stored file's identity."""
        with translated(self.display):
            return self._raw.finish(self.name)


class WatchedStream(SourceStream):
    """A stream of a file that must stay as it was found until it was read whole."""

    def __init__(
        self,
        name: str,
        display: str,
        raw: HashingReader,
        found: FileState,
        look_again: Callable[[], FileState],
    ) -> None:
        super().__init__(name, display, raw, found.size_bytes)
        self._found = found
        self._look_again = look_again

    def finish(self) -> SourceFile:
        """Reads to the end and gives the stored file's identity.

        Raises:
            SourceError: The file was written meanwhile.
        """
        whole = super().finish()
        require_unchanged(self._found, self._look_again(), self.display)
        return whole


@contextmanager
def open_stream(url: str, options: Mapping[str, object], name: str) -> Iterator[SourceStream]:
    """Opens one file for reading from its start.

    Args:
        url: Path or URL of the file.
        options: Options of its file system.
        name: Name of the file below the source's URL.

    Raises:
        SourceUnavailable: The file is absent, or may not be read.
    """
    display = redact(url)
    with translated(display):
        import fsspec

        filesystem, path = fsspec.core.url_to_fs(url, **options)
        found = look_at_file(filesystem, path, display)
        file = cast("BinaryIO", filesystem.open(path, "rb"))

    def look_again() -> FileState:
        with translated(display):
            return look_at_file(filesystem, path, display)

    try:
        with translated(display):
            stream = WatchedStream(name, display, HashingReader(file), found, look_again)
        yield stream
    finally:
        file.close()


def read_file(url: str, options: Mapping[str, object]) -> bytes:
    """Return all stored bytes of one file.

    Raises:
        SourceUnavailable: The file is absent, no plain file, or may not be read.
    """
    display = redact(url)
    with translated(display):
        import fsspec

        filesystem, path = fsspec.core.url_to_fs(url, **options)
        require_plain_file(filesystem, path, display)
        return cast("bytes", filesystem.cat_file(path))
