"""Walks folders of this machine, through links, and never in a circle."""

import os
import re
from pathlib import Path

from storage.base.errors import SourceUnavailable

MOST_NESTED_LINKS = 4
MOST_LINKED_FOLDERS = 100_000
_LOG_ENTRY = re.compile(r"\d{20}\.json")


def walk_folder(top: str) -> list[str]:
    """Return the paths of all files below a folder, those of linked folders too.

    A link to a folder that it lies in is not followed: nothing new is behind it. A workspace that
    lies in a folder of data is left out: it changes from run to run, and holds no data of its own.

    Raises:
        SourceUnavailable: A folder cannot be read, or links lead on and on.
    """
    files: list[str] = []
    start = os.stat(top)  # noqa: PTH116 - paths are texts here
    stack = [(top, frozenset({(start.st_dev, start.st_ino)}), 0)]
    linked = 0
    while stack:
        folder, above, links = stack.pop()
        entries = _list_folder(folder)
        if folder != top and _is_workspace(folder, entries):
            continue
        for entry in entries:
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


def _is_workspace(folder: str, entries: "list[os.DirEntry[str]]") -> bool:
    """Tell whether a folder is a workspace: there is a run's journal in it, or a dataset's log."""
    names = {entry.name for entry in entries} & {"runs", "datasets"}
    return bool(names) and (
        any(Path(folder, "runs").glob("*/journal.json"))
        or any(_LOG_ENTRY.fullmatch(path.name) for path in Path(folder).glob("datasets/*/log/*"))
    )


def _list_folder(folder: str) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise SourceUnavailable(
            f"folder ({folder}) must be readable; got: {error.strerror}; change its permissions, "
            "or move it out of the source"
        ) from None
