"""Lists and reads many files of one file system."""

import posixpath
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from storage.base.errors import SourceUnavailable
from storage.base.store import redact
from storage.sources.opening import split_chain, translated

GLOB = frozenset("*?[")


def list_files(
    url: str, options: Mapping[str, object], suffixes: Sequence[str], max_files: int
) -> tuple[str, list[str]]:
    """Finds the files that a URL means: itself, those below it, or those that match it as a glob.

    Args:
        url: A file, a folder, or a glob of either, as `s3://bucket/data/*/images-*.tar`.
        options: Options of its file system.
        suffixes: Endings of the files that are wanted, in lower case; others are passed over.
        max_files: Most files.

    Returns:
        A root, absolute or a URL, and the names of the files below it, sorted; hidden ones are left
        out.

    Raises:
        SourceUnavailable: There is none, or there are too many.
    """
    display = redact(url)
    with translated(display):
        import fsspec

        filesystem, path = fsspec.core.url_to_fs(url, **options)
        path = path.rstrip("/")
        if GLOB & set(path):
            fixed = path.split("*")[0].split("?")[0].split("[")[0]
            base = posixpath.dirname(fixed)
            matches = filesystem.glob(path)
            found = [file for match in matches for file in (filesystem.find(match) or [match])]
        elif filesystem.isfile(path):
            base, found = posixpath.dirname(path), [path]
        else:
            base, found = path, filesystem.find(path)
    names = sorted({posixpath.relpath(file, base) for file in found})
    names = [
        name for name in names if name.lower().endswith(tuple(suffixes)) and not _is_hidden(name)
    ]
    if not names:
        raise SourceUnavailable(
            f"source ({display}) must hold files that end in {', '.join(suffixes)}; got none among "
            f"{len(found)} files; check the source's url"
        )
    if len(names) > max_files:
        raise SourceUnavailable(
            f"source ({display}) must hold at most {max_files} files; got {len(names)}; raise "
            "source.max_files if it is right"
        )
    return str(filesystem.unstrip_protocol(base)) + split_chain(url)[1], names


def read_files(root: str, options: Mapping[str, object], names: Sequence[str]) -> list[bytes | str]:
    """Reads files whole, many at a time where they are remote.

    Returns:
        The bytes of each file, or a sentence that says why it could not be read.
    """
    if root.startswith("file://"):
        return [_read_local(Path(root.removeprefix("file://")) / name) for name in names]
    with translated(redact(root)):
        import fsspec

        filesystem, base = fsspec.core.url_to_fs(root, **options)
        paths = [posixpath.join(base, name) for name in names]
        found = cast("Mapping[str, bytes | Exception]", filesystem.cat(paths, on_error="return"))
    return [
        data if isinstance(data, bytes) else _describe(data)
        for data in (found[path] for path in paths)
    ]


def _read_local(path: Path) -> bytes | str:
    try:
        return path.read_bytes()
    except OSError as error:
        return _describe(error)


def _describe(error: Exception) -> str:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"cannot be read: {redact(reason)}"


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))
