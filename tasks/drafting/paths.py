"""Guesses what the names of several files say, as of one file a device."""

from collections.abc import Collection, Sequence

from tasks.drafting.finding import ENDING

FILE, FOLDER = "file", "folder"


def find_pattern(names: Sequence[str], taken: Collection[str]) -> str | None:
    """Return the pattern of files' names below their root; None where there is one file.

    Args:
        names: The files' names.
        taken: Names of columns that the files have themselves.
    """
    if len(names) < 2:
        return None
    split = [name.split("/") for name in names]
    file = _name(FILE, taken)
    ending = _find_ending([parts[-1] for parts in split])
    if len({len(parts) for parts in split}) > 1:
        return f"**/{{{file}}}{ending}"
    levels = [sorted(set(level)) for level in zip(*split, strict=True)][:-1]
    varied = [number for number, level in enumerate(levels) if len(level) > 1]
    folders = []
    for number, level in enumerate(levels):
        if number not in varied:
            folders.append("*" if set("{}*?") & set(level[0]) else level[0])
            continue
        place = "" if len(varied) == 1 else str(varied.index(number) + 1)
        folders.append("{" + _name(f"{FOLDER}{place}", taken) + "}")
    last = {parts[-1] for parts in split}
    name = f"{{{file}}}{ending}" if len(last) > 1 or not varied else "*"
    return "/".join([*folders, name])


def _find_ending(names: Sequence[str]) -> str:
    """Return the ending that all names have, as `.csv.gz`; any where they differ."""
    found = {match[0] if (match := ENDING.search(name)) else "" for name in names}
    return found.pop() if len(found) == 1 else "*"


def _name(plain: str, taken: Collection[str]) -> str:
    return plain if plain not in taken else f"{plain} of path"
