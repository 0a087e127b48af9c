"""Patterns of paths with named parts, as `{site}/{year}.csv`: what files are called says something.

A part in braces stands for any text without a slash, and so do `*` and `?` for any and for one
sign of it; `**` stands for any folders. Of several named parts all together are one more, called
`site/year`, as files of different folders may have one name. Learning and asking read names of
files alike.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, NamedTuple

from pydantic import AfterValidator

from storage.base.urls import redact

_TOKEN = re.compile(r"\{([^{}]*)\}|(\*\*/|\*\*|\*|\?)|([^{}*?]+|[{}])")
_SIGNS = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


class _Compiled(NamedTuple):
    """What matches a path, and the names of the groups that it has."""

    pattern: re.Pattern[str]
    names: tuple[str, ...]


def check_path_pattern(pattern: str) -> str:
    """Return a pattern whose named parts become columns.

    Raises:
        ValueError: It names none, one twice, or has a brace too many.
    """
    parts = list(_TOKEN.finditer(pattern))
    names = [found[1] for found in parts if found[1] is not None]
    odd = any(found[3] in ("{", "}") for found in parts)
    if odd or not names or "" in names or len(set(names)) < len(names) or pattern.startswith("/"):
        raise ValueError(
            f"path_columns ({redact(pattern)}) must be a path below the url, with parts of "
            "different names in braces; write as '{site}/{year}.csv'"
        )
    return pattern


PathColumns = Annotated[str, AfterValidator(check_path_pattern)]


def list_parts(pattern: str | None) -> tuple[str, ...]:
    """List the named parts of a pattern, each for itself; none where there is no pattern."""
    return () if pattern is None else _compile(pattern).names


def list_names(pattern: str | None) -> tuple[str, ...]:
    """List the named parts of a pattern, and all together; none where there is no pattern."""
    return _join(list_parts(pattern))


def match_path(pattern: str, path: str) -> dict[str, str] | None:
    """Return the text of each named part of a path; None where it is none of the pattern."""
    compiled = _compile(pattern)
    found = compiled.pattern.fullmatch(path)
    if found is None:
        return None
    return dict(zip(_join(compiled.names), _join(found.groups()), strict=True))


def _join(parts: Sequence[str]) -> tuple[str, ...]:
    """Return parts, and all of them together where there are several."""
    return (*parts, "/".join(parts)) if len(parts) > 1 else tuple(parts)


def match_end(pattern: str, path: str) -> dict[str, str] | None:
    """Return the same for the end of a path: its last folders, as many as the pattern has.

    Where a pattern allows any folders, only what stands behind these is told: nobody knows at which
    folder of a path the rest of the pattern would begin.
    """
    end = _cut_end(pattern)
    parts = [part for part in path.replace("\\", "/").split("/") if part]
    return match_path(end, "/".join(parts[-(end.count("/") + 1) :])) if end else {}


def list_end_names(pattern: str | None) -> tuple[str, ...]:
    """List the named parts that the end of a path tells."""
    return list_names(_cut_end(pattern or ""))


def _cut_end(pattern: str) -> str:
    """Return the folders of a pattern that stand behind those of which there may be any."""
    parts = pattern.split("/")
    behind = [place + 1 for place, part in enumerate(parts) if "**" in part]
    return "/".join(parts[behind[-1] :] if behind else parts)


def choose_matching(names: Sequence[str], pattern: str) -> list[str]:
    """Return the name that a pattern is, or those that match it; braces are plain signs here."""
    if pattern in names:
        return [pattern]
    compiled = _compile(pattern, named=False).pattern
    return [name for name in names if compiled.fullmatch(name)]


@lru_cache(maxsize=64)
def _compile(pattern: str, *, named: bool = True) -> _Compiled:
    text = ""
    names: list[str] = []
    for found in _TOKEN.finditer(pattern):
        if found[1] and named:
            names.append(found[1])
            text += "([^/]+?)"
        else:
            text += _SIGNS[found[2]] if found[2] else re.escape(found[0])
    return _Compiled(re.compile(text, re.DOTALL), tuple(names))
