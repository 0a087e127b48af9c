"""Walks folders of this machine, through links, and never in a circle."""

import os

from storage.base.errors import SourceUnavailable

MOST_NESTED_LINKS = 4
MOST_LINKED_FOLDERS = 100_000


def walk_folder(top: str) -> list[str]:
    """Return the paths of all files below a folder, those of linked folders too.

    A link to a folder that it lies in is not followed: nothing new is behind it.

    Raises:
        SourceUnavailable: A folder cannot be read, or links lead on and on.
    """
    files: list[str] = []
    start = os.stat(top)  # noqa: PTH116 - paths are texts here
    stack = [(top, frozenset({(start.st_dev, start.st_ino)}), 0)]
    linked = 0
    while stack:
        folder, above, links = stack.pop()
        for entry in _list_folder(folder):
            if not entry.is_dir():
                files.append(entry.path)
                continue
            found = entry.stat()
            place = (found.st_dev, found.st_ino)
            if place in above:
                continue
            depth = links + entry.is_symlink()
            linked += depth > 0
            if depth > MOST_NESTED_LINKS or linked > MOST_LINKED_FOLDERS:
                raise SourceUnavailable(
                    f"folder ({entry.path}) must be reached by at most {MOST_NESTED_LINKS} links, "
                    f"as at most {MOST_LINKED_FOLDERS} linked folders are; got more; link to the "
                    "files' own folder"
                )
            stack.append((entry.path, above | {place}, depth))
    return files


def _list_folder(folder: str) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise SourceUnavailable(
            f"folder ({folder}) must be readable; got: {error.strerror}; change its permissions, "
            "or move it out of the source"
        ) from None
