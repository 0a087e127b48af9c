"""Reads the members of a tar archive, one after another and never onto a disk.

Names, count and sizes have bounds.

Formats: POSIX.1-2001 ustar and pax, and GNU's long names and large sizes. Python's `tarfile` takes
an archive that is cut off between two members for a whole one, and costs ten times as much a
member.
"""

import posixpath
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from storage.base.errors import SourceError
from storage.sources.addresses import show_name
from storage.sources.base import Undecodable
from storage.sources.opening import SourceStream

MAX_NAME_BYTES = 1024
MAX_HEADER_BYTES = 1 << 20
"""Most bytes of a header that only names: a path and a few figures."""
_MOST_DIGITS = 20
_BLOCK = 512
_SKIP_BYTES = 1 << 20
_PLAIN = frozenset("\0" + "07")
_DIRECTORY = frozenset("5D")
_EMPTY = frozenset("123456")


@dataclass(frozen=True)
class Bounds:
    """How much is read from one source before it is refused as hostile or mistaken."""

    files: int
    file_bytes: int
    total_bytes: int


@dataclass(frozen=True)
class Member:
    """A file of an archive."""

    name: str
    data: bytes


@dataclass(frozen=True)
class Header:
    """What the header of a member says: name, size in bytes, and type (one character)."""

    name: str
    size: int
    kind: str


def read_members(stream: SourceStream, bounds: Bounds) -> Iterator[Member | Undecodable]:
    """Reads an archive from its start.

    Args:
        stream: The archive, unpacked.
        bounds: What is too much.

    Yields:
        Each plain file; a fault for what is no plain file, has an unsafe name, or is too large on
        its own.

    Raises:
        SourceError: It is no tar archive, is cut off, or holds too many files or bytes.
    """
    count = total = 0
    named: dict[str, str] = {}
    while (header := _read_header(stream, count)) is not None:
        if header.kind in _NAMING:
            named |= _NAMING[header.kind](_read_content(stream, header, bounds))
            continue
        if any(key.startswith("GNU.sparse") for key in named) or header.kind == "S":
            raise SourceError(
                f"archive ({stream.display}) must hold whole files; got {header.name}, which is "
                "sparse"
            )
        if named:
            header = _apply_records(header, named, stream.display)
            named = {}
        if header.kind in _DIRECTORY:
            _skip_content(stream, header)
            continue
        count += 1
        total += header.size
        _check_bounds(stream.display, count, total, bounds)
        fault = _find_fault(header, bounds)
        if fault is not None:
            _skip_content(stream, header)
            yield Undecodable(show_name(header.name)[:MAX_NAME_BYTES], fault)
        else:
            yield Member(posixpath.normpath(header.name), _read_content(stream, header, bounds))


def _read_header(stream: SourceStream, count: int) -> Header | None:
    """Reads the next header; None at the end, which is a block of zeros.

    An archive that just stops is cut off.
    """
    block = stream.read_exactly(_BLOCK, f"a tar header after {count} files")
    if block == bytes(_BLOCK):
        return None
    stated = _parse_number(block[148:156])
    # POSIX: the sum of the header's bytes, its own field taken as spaces.
    if stated != sum(block) - sum(block[148:156]) + 8 * ord(" "):
        raise SourceError(
            f"file ({stream.display}) must be a tar archive; got another header after {count} "
            "files; fetch it again, or check its type"
        )
    name, prefix = _parse_text(block[:100]), _parse_text(block[345:500])
    ustar = block[257:263] == b"ustar\0"
    full = f"{prefix}/{name}" if ustar and prefix else name
    kind = chr(block[156])
    size = 0 if kind in _EMPTY else _parse_number(block[124:136])
    if size is None or size < 0:
        raise SourceError(
            f"archive ({stream.display}) must state the size of each file; got none for "
            f"{show_name(full)}"
        )
    return Header(full, size, kind)


def _apply_records(header: Header, records: Mapping[str, str], display: str) -> Header:
    """Return a header with the name and the size that extended headers give it."""
    stated = records.get("size")
    if stated is not None and not (
        stated.isascii() and stated.isdigit() and len(stated) <= _MOST_DIGITS
    ):
        raise SourceError(
            f"archive ({display}) must state the size of each file; got "
            f"{stated[:_MOST_DIGITS]!r} for {show_name(header.name)}; pack it again"
        )
    size = header.size if stated is None else int(stated)
    return replace(header, name=records.get("path", header.name), size=size)


def _read_content(stream: SourceStream, header: Header, bounds: Bounds) -> bytes:
    most = MAX_HEADER_BYTES if header.kind in _NAMING else max(bounds.file_bytes, _BLOCK)
    if header.size > most:
        raise SourceError(
            f"archive ({stream.display}) must have headers of a sane size; got {header.size} bytes"
        )
    return stream.read_exactly(header.size + -header.size % _BLOCK, header.name)[: header.size]


def _skip_content(stream: SourceStream, header: Header) -> None:
    left = header.size + -header.size % _BLOCK
    while left:
        step = min(left, _SKIP_BYTES)
        stream.read_exactly(step, header.name)
        left -= step


def _parse_number(field: bytes) -> int | None:
    """Return a number in octal digits, or in base 256 where the first bit is set (GNU)."""
    if field[0] & 0x80:
        return int.from_bytes(field, "big", signed=True) & ~(0x80 << 8 * (len(field) - 1))
    digits = field.strip(b" \0")
    try:
        return int(digits, 8) if digits else 0
    except ValueError:
        return None


def _parse_text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def _parse_long_name(content: bytes) -> dict[str, str]:
    return {"path": _parse_text(content)}


def _parse_pax(content: bytes) -> dict[str, str]:
    """Parses the records `<length> <key>=<value>` of an extended header."""
    records: dict[str, str] = {}
    start = 0
    while start < len(content):
        length, _, _ = content[start : start + _MOST_DIGITS].partition(b" ")
        if not length.isdigit() or not 0 < int(length) <= len(content) - start:
            break
        stop = start + int(length)
        key, _, value = content[start + len(length) + 1 : stop - 1].partition(b"=")
        records[key.decode("utf-8", "surrogateescape")] = value.decode("utf-8", "surrogateescape")
        start = stop
    return records


def _ignore(content: bytes) -> dict[str, str]:
    return {}


_NAMING: dict[str, Callable[[bytes], dict[str, str]]] = {
    "x": _parse_pax,
    "L": _parse_long_name,
    "K": _ignore,
    "g": _ignore,
}


def _find_fault(header: Header, bounds: Bounds) -> str | None:
    if header.kind not in _PLAIN:
        return "is a link or a device, not a plain file"
    if header.size > bounds.file_bytes:
        return f"has {header.size} bytes; at most {bounds.file_bytes} are read (max_file_bytes)"
    return find_unsafe(header.name)


def find_unsafe(name: str) -> str | None:
    """Return why a name from an archive is refused; None if it is safe."""
    if len(name.encode(errors="surrogateescape")) > MAX_NAME_BYTES:
        return f"has a name of more than {MAX_NAME_BYTES} bytes"
    if name.startswith("/") or ".." in name.split("/") or "\\" in name:
        return "has a name that leads out of the archive"
    if not name.isprintable():
        return "has a name with unprintable characters or not in UTF-8"
    return None


def _check_bounds(display: str, count: int, total: int, bounds: Bounds) -> None:
    if count > bounds.files:
        raise SourceError(
            f"archive ({display}) must hold at most {bounds.files} files; got more; raise "
            "source.max_files if it is right"
        )
    if total > bounds.total_bytes:
        raise SourceError(
            f"archive ({display}) must unpack to at most {bounds.total_bytes} bytes; got more; "
            "raise source.max_total_bytes if it is right"
        )
