"""Parts of a file that are read again later, and held against what they were when it was hashed."""

import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from typing_extensions import Buffer

from storage.base.errors import SourceError
from storage.base.store import redact, sha256_bytes
from storage.sources.faults import translated
from storage.sources.plain_files import describe_change, require_plain_file

Range = tuple[int, int]
"""First byte and the byte after the last one."""


@dataclass(frozen=True)
class HashedRanges:
    """Bytes of a file.

    Attributes:
        address: The file's path or URL; it can hold secrets.
        size_bytes: The file's size.
        ranges: Which bytes, in order, none twice.
        sha256: Digest of all of them in a row.
    """

    address: str
    size_bytes: int
    ranges: tuple[Range, ...]
    sha256: str


class RangeHasher:
    """Hashes several lists of ranges of a file that passes by once, from its start.

    Args:
        wanted: Ranges in order, none twice in a list; lists may overlap.
    """

    def __init__(self, wanted: Sequence[Sequence[Range]]) -> None:
        self._digests = [hashlib.sha256() for _ in wanted]
        self._ahead = sorted(
            (
                (start, stop, number)
                for number, listed in enumerate(wanted)
                for start, stop in listed
            ),
            reverse=True,
        )
        self._inside: list[tuple[int, int, int]] = []
        self._at = 0

    def feed(self, data: bytes) -> None:
        """Takes the next bytes of the file."""
        begin, self._at = self._at, self._at + len(data)
        while self._ahead and self._ahead[-1][0] < self._at:
            self._inside.append(self._ahead.pop())
        view = memoryview(data)
        for start, stop, number in self._inside:
            self._digests[number].update(view[max(0, start - begin) : stop - begin])
        self._inside = [held for held in self._inside if held[1] > self._at]

    def list_digests(self) -> list[str]:
        """Return the digest of each list."""
        return [digest.hexdigest() for digest in self._digests]


class SparseFile(io.RawIOBase):
    """A file of which some ranges are known; the rest reads as zeros.

    Args:
        size_bytes: Its size.
        pieces: What is known, by first byte.
    """

    def __init__(self, size_bytes: int, pieces: Mapping[int, bytes]) -> None:
        self._size_bytes = size_bytes
        self._pieces = pieces
        self._at = 0

    def readable(self) -> bool:
        """Says yes: reading is all it does."""
        return True

    def seekable(self) -> bool:
        """Says yes: all of it is in memory."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Moves to a place, and returns it."""
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size_bytes}[whence]
        self._at = origin + offset
        return self._at

    def readinto(self, buffer: Buffer) -> int:
        """Fills a buffer with the next bytes; 0 at the end."""
        view = memoryview(buffer).cast("B")
        count = max(0, min(len(view), self._size_bytes - self._at))
        begin, stop = self._at, self._at + count
        view[:count] = bytes(count)
        for start, piece in self._pieces.items():
            first, last = max(start, begin), min(start + len(piece), stop)
            if first < last:
                view[first - begin : last - begin] = piece[first - start : last - start]
        self._at = stop
        return count


def read_ranges(hashed: HashedRanges, options: Mapping[str, object]) -> SparseFile:
    """Reads ranges of a file once, and holds exactly these bytes against their digest.

    Raises:
        SourceUnavailable: The file cannot be read.
        SourceError: The bytes are others than those that were hashed.
    """
    display = redact(hashed.address)
    with translated(display):
        import fsspec

        filesystem, path = fsspec.core.url_to_fs(hashed.address, **options)
        require_plain_file(filesystem, path, display)
        pieces = _fetch(filesystem, path, hashed.ranges)
    if sha256_bytes(b"".join(pieces)) != hashed.sha256:
        raise SourceError(describe_change(display))
    starts = [start for start, _ in hashed.ranges]
    return SparseFile(hashed.size_bytes, dict(zip(starts, pieces, strict=True)))


def _fetch(filesystem: Any, path: str, ranges: Sequence[Range]) -> list[bytes]:
    starts, stops = [start for start, _ in ranges], [stop for _, stop in ranges]
    return list(filesystem.cat_ranges([path] * len(ranges), starts, stops, on_error="raise"))


def merge_ranges(ranges: Iterable[Range]) -> tuple[Range, ...]:
    """Return ranges in order, of which those that touch or overlap are one."""
    merged: list[Range] = []
    for start, stop in sorted(ranges):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(stop, merged[-1][1])
        else:
            merged.append((start, stop))
    return tuple(merged)
