"""What a file system says of a file: whether it is a plain one, and whether it was written anew."""

import os
import stat
from dataclasses import dataclass
from typing import Any

from storage.base.errors import SourceError, SourceUnavailable

_SIGNS = (
    "size",
    "ETag",
    "etag",
    "e_tag",
    "LastModified",
    "last_modified",
    "generation",
    "VersionId",
    "mtime",
    "created",
    "md5Hash",
)
_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


@dataclass(frozen=True)
class FileState:
    """What would differ, had the file been written again.

    Attributes:
        signs: Size, time of the last write, inode or tag, as far as the file system tells them.
        size_bytes: Stored size; None where it is not told.
    """

    signs: tuple[object, ...]
    size_bytes: int | None


def is_local(filesystem: Any) -> bool:
    """Return whether a file system is that of this machine."""
    from fsspec.implementations.local import LocalFileSystem

    return isinstance(filesystem, LocalFileSystem)


def require_plain(mode: int, display: str) -> None:
    """Refuses what is no plain file: a pipe would be waited for, a device never ends.

    Raises:
        SourceUnavailable: It is no plain file.
    """
    if not stat.S_ISREG(mode):
        found = _KINDS.get(stat.S_IFMT(mode), "something else")
        raise SourceUnavailable(
            f"file ({display}) must be a plain file; got {found}; name a file that can be read "
            "again"
        )


def require_plain_file(filesystem: Any, path: str, display: str) -> None:
    """Refuses what is no plain file of this machine; a remote store is not asked.

    Raises:
        SourceUnavailable: It is a pipe, a device or a folder.
        OSError: It is not there.
    """
    if is_local(filesystem):
        require_plain(os.stat(path).st_mode, display)  # noqa: PTH116 - the path is fsspec's text


def look_at_file(filesystem: Any, path: str, display: str) -> FileState:
    """Return what a file system says of a file now; the file is not opened.

    Raises:
        SourceUnavailable: It is a pipe, a device or a folder.
        OSError: It is not there, or whatever else the file system raises.
    """
    if is_local(filesystem):
        found = os.stat(path)  # noqa: PTH116 - the path is fsspec's text
        require_plain(found.st_mode, display)
        return _describe(found)
    # A listing that was cached would show the file as it was.
    filesystem.invalidate_cache()
    info = filesystem.info(path)
    size = info.get("size")
    return FileState(
        tuple(str(info.get(sign)) for sign in _SIGNS), None if size is None else int(size)
    )


def look_at_open(descriptor: int, display: str) -> FileState:
    """Return what is said of an open file of this machine.

    Raises:
        SourceUnavailable: It is a pipe, a device or a folder.
    """
    found = os.fstat(descriptor)
    require_plain(found.st_mode, display)
    return _describe(found)


def require_unchanged(before: FileState, after: FileState, display: str) -> None:
    """Refuses a file that was written while it was read: its rows could be of two files.

    Raises:
        SourceError: It was written meanwhile.
    """
    if before.signs != after.signs:
        raise SourceError(describe_change(display))


def describe_change(display: str) -> str:
    """Return the message that a file was written while it was read."""
    return (
        f"file ({display}) must stay as it is while it is read; got another size, content or time "
        "of its last write than at first; collect again once it is complete"
    )


def _describe(found: os.stat_result) -> FileState:
    signs = (found.st_size, found.st_mtime_ns, found.st_ino, found.st_dev)
    return FileState(signs, found.st_size)
