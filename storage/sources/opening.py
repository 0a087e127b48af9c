"""Reads the files of a source, once and from the start, on any file system that fsspec knows.

Compression is told by a file's first bytes, not by its name: a browser or a proxy may have unpacked
what still ends in `.gz`. The stored bytes are hashed on their way through.
"""

import bz2
import gzip
import hashlib
import io
import lzma
import posixpath
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import BinaryIO, cast

from typing_extensions import Buffer

from storage.base.errors import SourceError, SourceUnavailable
from storage.base.store import redact
from storage.sources.base import SourceFile

CHUNK_BYTES = 1 << 20
COMPRESSED_SUFFIXES = (".gz", ".xz", ".bz2", ".lzma")

_MAGICS = {b"\x1f\x8b": "gzip", b"\xfd7zXZ\x00": "xz", b"BZh": "bzip2"}


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


class SourceStream:
    """The uncompressed bytes of one file, in order.

    Attributes:
        name: The file's name below the source's URL.
        display: Its address without secrets, for messages.
    """

    def __init__(self, name: str, display: str, raw: HashingReader) -> None:
        self.name = name
        self.display = display
        self._raw = raw
        self.file = _decompress(io.BufferedReader(raw, CHUNK_BYTES))
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
            self._held = rest + self.file.read(max(CHUNK_BYTES, size - len(rest)))
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
        file = cast("BinaryIO", filesystem.open(path, "rb"))
    try:
        with translated(display):
            stream = SourceStream(name, display, HashingReader(file))
        yield stream
    finally:
        file.close()


def read_file(url: str, options: Mapping[str, object]) -> bytes:
    """Return all stored bytes of one file.

    Raises:
        SourceUnavailable: The file is absent, or may not be read.
    """
    with translated(redact(url)):
        import fsspec

        filesystem, path = fsspec.core.url_to_fs(url, **options)
        return cast("bytes", filesystem.cat_file(path))


def find_file(url: str, options: Mapping[str, object], candidates: Sequence[str]) -> str:
    """Return the first of several names under which a file lies below a URL.

    Raises:
        SourceUnavailable: None of them is there.
    """
    with translated(redact(url)):
        import fsspec

        filesystem, path = fsspec.core.url_to_fs(url, **options)
        for candidate in candidates:
            if filesystem.exists(join_url(path, candidate)):
                return candidate
    raise SourceUnavailable(
        f"file ({join_url(redact(url), candidates[0])}) must exist; got nothing there, nor under "
        f"the names {', '.join(candidates[1:]) or '(no others)'}; check the source's url and file "
        "names"
    )


def join_url(url: str, name: str) -> str:
    """Return the address of a file below a folder or base URL.

    A query such as a signature stays at the end.
    """
    inner, outer = split_chain(url)
    base, mark, query = inner.partition("?") if "://" in inner else (inner, "", "")
    folder = base if base.endswith("://") else base.rstrip("/") or "/"
    return posixpath.join(folder, name) + mark + query + outer


def split_chain(url: str) -> tuple[str, str]:
    """Splits a URL into the part that names are below, and what that lies in.

    As `zip://folder` and `::s3://bucket/archive.zip`.
    """
    inner, mark, outer = url.partition("::")
    return (inner, mark + outer) if "://" in inner else (url, "")


@contextmanager
def translated(display: str) -> Iterator[None]:
    """Gives the faults of file systems and decompressors our name, and keeps secrets out of them.

    Raises:
        SourceUnavailable: Nothing could be read, instead of whatever the vendor raised.
        SourceError: What was read is damaged.
    """
    try:
        yield
    except SourceError:
        raise
    except FileNotFoundError:
        raise SourceUnavailable(
            f"file ({display}) must exist; got nothing there; check the source's url and file names"
        ) from None
    except PermissionError:
        raise SourceUnavailable(
            f"file ({display}) must be readable; got: permission denied; check its mode, or the "
            "credentials in the environment"
        ) from None
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise SourceError(
            f"file ({display}) must unpack to its end; got: {redact(str(error))}; it is cut off or "
            "damaged: fetch it again"
        ) from error
    except ImportError as error:
        raise SourceUnavailable(
            f"file ({display}) must lie on a file system that is installed; got: {error}; install "
            "that package"
        ) from error
    except Exception as error:  # noqa: BLE001 - every file system has errors of its own
        # Not chained: a traceback would quote the URL with its secrets.
        if _is_damage(error):
            raise SourceError(
                f"file ({display}) must be whole; got {type(error).__name__}: "
                f"{redact(str(error))}; it is cut off or damaged: fetch it again"
            ) from None
        raise SourceUnavailable(
            f"file ({display}) must be readable; got {type(error).__name__}: {redact(str(error))}; "
            "check the address, the network, and the credentials in the environment"
        ) from None


def _is_damage(error: Exception) -> bool:
    """Return whether a decoder found fault with the bytes.

    pyarrow says so in its own words, bzip2 by an OSError of no system call.
    """
    return type(error).__module__ == "pyarrow.lib" or (
        type(error) is OSError and error.errno is None
    )


def _decompress(file: "io.BufferedReader[HashingReader]") -> BinaryIO:
    head = file.peek(6)[:6]
    kind = next((kind for magic, kind in _MAGICS.items() if head.startswith(magic)), None)
    if kind == "gzip":
        return cast("BinaryIO", gzip.GzipFile(fileobj=file))
    if kind == "xz":
        return cast("BinaryIO", lzma.LZMAFile(file))
    if kind == "bzip2":
        return cast("BinaryIO", bz2.BZ2File(file))
    return cast("BinaryIO", file)
