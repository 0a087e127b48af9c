"""Which files of a source are read, in which split, and what their names say of their rows."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from storage.base.errors import SourceError, SourceUnavailable
from storage.base.path_patterns import choose_matching, list_parts, match_path
from storage.sources.addresses import show_name
from storage.sources.base import Split

if TYPE_CHECKING:
    import pyarrow as pa

Splits = dict[Split, str | tuple[str, ...]]
"""Names or patterns of the files of each split."""


def list_pairs(splits: Mapping[Split, str | Sequence[str]]) -> list[tuple[Split, str]]:
    """List each name or pattern with its split."""
    return [
        (split, name)
        for split, given in splits.items()
        for name in ((given,) if isinstance(given, str) else given)
    ]


def choose_files(
    names: Sequence[str], splits: Mapping[Split, str | Sequence[str]], display: str
) -> list[tuple[str, str]]:
    """Return the names of the files that are read, each with its split, "" where there are none.

    Args:
        names: Names of the files that are there.
        splits: Names or patterns of each split's files; empty: all are read.
        display: The source's address without secrets, for messages.

    Raises:
        SourceUnavailable: One of them names no file that is there, or two splits have one file.
    """
    if not splits:
        return [(name, "") for name in names]
    found = [
        (split, pattern, choose_matching(names, pattern)) for split, pattern in list_pairs(splits)
    ]
    absent = sorted({pattern for _, pattern, matching in found if not matching})
    if absent:
        raise SourceUnavailable(
            f"source ({display}) must hold each file of source.splits; got no "
            f"{', '.join(absent)} among {len(names)} files; correct the names, or the url"
        )
    chosen = sorted({(name, split) for split, _, matching in found for name in matching})
    twice = [name for (name, _), (after, _) in pairwise(chosen) if name == after]
    if twice:
        raise SourceUnavailable(
            f"source ({display}) must have each file in one of source.splits; got "
            f"{', '.join(map(show_name, twice[:3]))} in two; name them apart"
        )
    return [(name, str(split)) for name, split in chosen]


def read_path(pattern: str | None, name: str, display: str) -> dict[str, str]:
    """Return what the name of a file says, by column; nothing where no pattern asks for it.

    Raises:
        SourceError: The name is none of the pattern.
    """
    if pattern is None:
        return {}
    given = match_path(pattern, name)
    if given is None:
        raise SourceError(
            f"source ({display}) must hold files that are called as source.path_columns "
            f"({pattern}) says; got {show_name(name)}; write a pattern of all of them, or name the "
            "files that are meant in the url"
        )
    return given


def list_given(pattern: str | None, name: str, display: str) -> tuple[str, ...]:
    """Return the columns that the name of a file tells, of which patterns of columns may be.

    All parts together are none of these: who writes `texts: ["*"]` means each thing once.

    Raises:
        SourceError: The name is none of the pattern.
    """
    read_path(pattern, name, display)
    return list_parts(pattern)


def check_given(found: Sequence[str], given: Mapping[str, str], display: str) -> None:
    """Refuses a file that has a column of a name that its path gives one for, too.

    Raises:
        SourceError: It has.
    """
    both = sorted(set(found) & set(given))
    if both:
        raise SourceError(
            f"file ({display}) must have other columns than source.path_columns names; got "
            f"{', '.join(both)} in both; call the part of the path otherwise"
        )


def add_columns(table: "pa.Table", given: Mapping[str, str]) -> "pa.Table":
    """Return a table with columns of texts that are the same in all of its rows."""
    import pyarrow as pa

    for name, text in given.items():
        table = table.append_column(name, pa.array([text] * table.num_rows, pa.string()))
    return table
