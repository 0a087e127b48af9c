"""Lists and reads many files of one file system."""

import os
import posixpath
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from storage.base.errors import SourceUnavailable, describe_error
from storage.base.redaction import redact_said
from storage.base.store import redact
from storage.sources.addresses import find_cache, has_query, show_name, split_chain
from storage.sources.faults import translated
from storage.sources.folders import walk_folder
from storage.sources.plain_files import is_local, look_at_open, require_unchanged

GLOB = frozenset("*?[")
WEB = frozenset({"http", "https"})
PACKED = (".gz", ".xz", ".bz2", ".lzma", ".zst")
NO_UTF8 = "has a name that is not in UTF-8; rename it"


@dataclass(frozen=True)
class Listing:
    """The files that a URL means.

    Attributes:
        root: A folder, absolute or a URL, with the URL's query if it has one.
        names: Names of the files below it, sorted; hidden ones are left out.
        passed_over: How many files of other endings lie there, by ending; "" for files without one.
        unnamed: Files whose names are no text, as they may be shown.
    """

    root: str
    names: list[str]
    passed_over: Mapping[str, int]
    unnamed: tuple[str, ...] = ()

    def require_text(self, display: str) -> None:
        """Refuses names that are no text.

        Raises:
            SourceUnavailable: There are such.
        """
        if self.unnamed:
            raise SourceUnavailable(
                f"source ({display}) must hold files with names in UTF-8; got "
                f"{', '.join(self.unnamed[:3])}; rename them"
            )

    def count_unread(self, read: Iterable[str]) -> Mapping[str, int]:
        """Return how many files are passed over, by ending, where only some of these are read."""
        rest = Counter(self.passed_over)
        rest.update(count_endings(sorted({*self.names, *self.unnamed} - set(read))))
        return dict(sorted(rest.items()))


def list_files(
    url: str, options: Mapping[str, object], suffixes: Sequence[str], max_files: int
) -> tuple[str, list[str]]:
    """Finds the files that a URL means: itself, those below it, or those that match it as a glob.

    Args:
        url: A file, a folder, or a glob of either, as `s3://bucket/data/*/images-*.tar`.
        options: Options of its file system.
        suffixes: Endings of the files that are wanted, in lower case; others are passed over. Where
            one ends in `.gz`, all of them may be compressed in any way that is known.
        max_files: Most files.

    Returns:
        A root, absolute or a URL, and the names of the files below it, sorted; hidden ones are left
        out. `join_url` makes the address of a file of both.

    Raises:
        SourceUnavailable: There is none, there are too many, or a name is not in UTF-8.
    """
    found = find_files(url, options, suffixes, max_files)
    found.require_text(redact(url))
    return found.root, found.names


def find_files(
    url: str, options: Mapping[str, object], suffixes: Sequence[str], max_files: int
) -> Listing:
    """Finds the files that a URL means, and counts those that are passed over.

    A path that exists is that path, whatever signs are in it; only another one is a glob. Folders
    that are links are followed.

    Raises:
        SourceUnavailable: There is none, or there are too many.
    """
    display = redact(url)
    with translated(display):
        import fsspec

        filesystem, path = fsspec.core.url_to_fs(url, **options)
        path, query = _cut_query(path.rstrip("/"), filesystem, url)
        base, found = find_below(filesystem, path, path + query)
    place = str(filesystem.unstrip_protocol(base)) + query + split_chain(url)[1]
    root = find_cache(url) + place
    names = sorted({posixpath.relpath(file.removesuffix(query), base) for file in found})
    shown = [name for name in names if not is_hidden(name)]
    endings = _add_packed(suffixes)
    wanted = [name for name in shown if name.lower().endswith(endings)]
    if not wanted:
        raise SourceUnavailable(
            f"source ({display}) must hold files that end in {', '.join(suffixes)}; got none among "
            f"{len(found)} files; check the source's url"
        )
    if len(wanted) > max_files:
        raise SourceUnavailable(
            f"source ({display}) must hold at most {max_files} files; got {len(wanted)}; raise "
            "source.max_files if it is right"
        )
    clear = [name for name in wanted if name.isascii() or _is_text(name)]
    unnamed = sorted(set(wanted) - set(clear)) if len(clear) < len(wanted) else []
    others = count_endings(sorted(set(shown) - set(wanted)))
    return Listing(root, clear, others, tuple(map(show_name, unnamed)))


def find_below(filesystem: Any, path: str, address: str) -> tuple[str, list[str]]:
    """Return the folder that names are below, and all files that a path means."""
    if is_local(filesystem) and Path(path).is_dir():
        return path, walk_folder(path)
    if GLOB & set(path) and not filesystem.exists(address):
        fixed = path.split("*")[0].split("?")[0].split("[")[0]
        found = []
        for match in filesystem.glob(path):
            found += find_below(filesystem, match, match)[1]
        return posixpath.dirname(fixed), found
    if is_local(filesystem) or filesystem.isfile(address):
        return posixpath.dirname(path), [address] if filesystem.exists(address) else []
    return path, filesystem.find(address)


def _cut_query(path: str, filesystem: Any, url: str) -> tuple[str, str]:
    """Splits off the query of an address, as a signature is, where its protocol has such."""
    inner = path if "://" in path else split_chain(url)[0]
    # A cache before a web server has addresses of that.
    spoken = list_protocols(filesystem) | {inner.partition("://")[0]}
    if "?" not in path or not has_query(inner) or not WEB & spoken:
        return path, ""
    address, mark, query = path.partition("?")
    return address, mark + query


def list_protocols(filesystem: Any) -> frozenset[str]:
    """Return the names under which a file system is known."""
    names = filesystem.protocol
    return frozenset((names,) if isinstance(names, str) else names)


def _add_packed(suffixes: Sequence[str]) -> tuple[str, ...]:
    """Return endings with those of compressed files, where one of them is such a one."""
    if not any(suffix.endswith(PACKED) for suffix in suffixes):
        return tuple(suffixes)
    return (*suffixes, *(suffix + packed for suffix in suffixes for packed in PACKED))


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def find_ending(name: str) -> str:
    """Return the ending of a file's name, in lower case; "" where it has none."""
    return show_name(posixpath.splitext(name)[1].lower())


def count_endings(names: Iterable[str]) -> dict[str, int]:
    """Return how many names have each ending, in the order of the endings."""
    return dict(sorted(Counter(map(find_ending, names)).items()))


def read_files(
    root: str, options: Mapping[str, object], names: Sequence[str], most_bytes: int
) -> list[bytes | str]:
    """Reads files whole, many at a time where they are remote.

    Args:
        root: Their folder, as `find_files` gives it.
        options: Options of its file system.
        names: Their names below it.
        most_bytes: Most bytes of one.

    Returns:
        The bytes of each file, or a sentence that says why it could not be read.

    Raises:
        SourceError: A file was written while it was read.
    """
    if root.startswith("file://"):
        return [
            _read_local(Path(root.removeprefix("file://")) / name, most_bytes) for name in names
        ]
    with translated(redact(root)):
        import fsspec

        filesystem, base = fsspec.core.url_to_fs(root, **options)
        paths = [posixpath.join(base, name) for name in names]
        found = cast("Mapping[str, bytes | Exception]", filesystem.cat(paths, on_error="return"))
    return [
        _check_size(data, most_bytes) if isinstance(data, bytes) else _describe(data)
        for data in (found[path] for path in paths)
    ]


def _check_size(data: bytes, most_bytes: int) -> bytes | str:
    return data if len(data) <= most_bytes else _describe_size(len(data), most_bytes)


def _describe_size(size_bytes: int, most_bytes: int) -> str:
    return f"has {size_bytes} bytes; at most {most_bytes} are read"


def _read_local(path: Path, most_bytes: int) -> bytes | str:
    try:
        # Without blocking: nobody may ever write to what turns out to be a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            found = look_at_open(descriptor, path.name)
            if found.size_bytes is not None and found.size_bytes > most_bytes:
                return _describe_size(found.size_bytes, most_bytes)
            data = file.read()
            require_unchanged(found, look_at_open(descriptor, path.name), path.name)
            return data
    except SourceUnavailable as error:
        return str(error)
    except OSError as error:
        return _describe(error)


def _describe(error: Exception) -> str:
    reason = (
        error.strerror if isinstance(error, OSError) and error.strerror else describe_error(error)
    )
    return f"cannot be read: {redact_said(reason)}"


def is_hidden(name: str) -> bool:
    """Tell whether a file, or a folder that it lies in, is hidden."""
    return any(part.startswith(".") for part in name.split("/"))
