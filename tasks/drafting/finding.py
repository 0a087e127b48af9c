"""Finds out what lies at a URL: which source reads it, and which of its files are meant."""

import os
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import JsonValue

from storage.base.errors import SourceError
from storage.base.pictures import ENDINGS as PICTURES
from storage.base.pictures import KINDS
from storage.base.redaction import mask_options, redact, remember_secrets
from storage.sources.csv import SUFFIXES as TABLE_ENDINGS
from storage.sources.images import ARCHIVES
from storage.sources.listing import PACKED, find_files
from tasks.drafting.guesses import LIKELY, SURE, UNKNOWN, DraftError, Notes

MOST_FILES = 10_000_000
ENDINGS: Mapping[str, tuple[str, ...]] = {
    "images": (*PICTURES, *ARCHIVES),
    "parquet": (".parquet", ".pq"),
    "arrays": (".npy", ".npz"),
    "idx": ("ubyte", "ubyte.gz"),
    "csv": TABLE_ENDINGS,
}
"""Endings of the files that each type of source reads, the likeliest type first."""
SPLIT_WORDS: Mapping[str, frozenset[str]] = {
    "train": frozenset(("train", "training")),
    "validation": frozenset(("validation", "valid", "val", "dev")),
    "held_out": frozenset(("test", "testing", "t10k", "held", "heldout", "holdout")),
}
"""Words in a file's or folder's name that say which split it is."""
_GENERIC = frozenset(("data", "dataset", "train", "test", "table", "rows", "file", "samples"))
ENDING = re.compile(
    r"(\.(gz|xz|bz2|lzma|zst|tar|csv|tsv|txt|parquet|pq|npz|npy|tgz|txz|tbz2|tzst))+$"
)


@dataclass(frozen=True)
class Material:
    """What lies at a URL.

    Attributes:
        type: Type of the source that reads it.
        url: The URL; of a path on this machine the whole one, so that the recipe runs anywhere.
        root: Folder of the files, as `storage.sources.listing` gives it.
        names: Names of the files below it that the source reads.
        options: Options of the file system that it lies on.
        weights: Address of weights that a network may start from; None draws them.
    """

    type: str
    url: str
    root: str
    names: tuple[str, ...]
    options: Mapping[str, JsonValue] = field(default_factory=dict)
    weights: str | None = None

    def name_options(self, notes: Notes) -> dict[str, JsonValue]:
        """Return the options that a recipe's file may hold; tells of those that may be secret."""
        shown = mask_options(self.options)
        kept = {name: value for name, value in self.options.items() if shown.get(name) == value}
        if secret := [name for name in shown if name not in kept]:
            why = "it may be secret and is not written: give it to each run by --set "
            why += f"source.options.{secret[0]}=..., or leave it to the environment"
            notes.add("source.options", f"without {', '.join(secret)}", UNKNOWN, why)
        return kept


def find_material(
    url: str, notes: Notes, options: Mapping[str, JsonValue] | None = None
) -> Material:
    """Look at what lies at a URL, on a file system of some options.

    Raises:
        DraftError: Nothing does that a source here reads.
    """
    given = dict(options or {})
    remember_secrets(url, given)
    whole = url
    if "://" not in url and "::" not in url:
        # Not `resolve`: a link may point elsewhere tomorrow.
        whole = os.path.abspath(Path(url).expanduser())  # noqa: PTH100
    every = tuple(ending for endings in ENDINGS.values() for ending in endings)
    try:
        found = find_files(whole, given, every, MOST_FILES)
    except SourceError as error:
        known = f"CSV, Parquet, idx, npy or npz, {KINDS}, alone, in folders, pictures in tar"
        raise DraftError(
            f"{error}\n  what can be looked at: {known}; save it as one of these"
        ) from error
    groups = {name: _choose(found.names, endings) for name, endings in ENDINGS.items()}
    groups["csv"] = _prefer_tables(groups["csv"])
    type_ = max(groups, key=lambda name: len(groups[name]))
    if not groups[type_]:
        raise DraftError(f"source ({redact(url)}) must hold files with names in UTF-8; rename them")
    others = len(found.names) - len(groups[type_]) + sum(found.passed_over.values())
    left = f"; {others} other files are passed over" if others else ""
    notes.add(
        "source.type",
        type_,
        LIKELY if others > len(groups[type_]) else SURE,
        f"{len(groups[type_])} file{'s' * (len(groups[type_]) != 1)} of its kind{left}",
    )
    return Material(type_, whole, found.root, tuple(groups[type_]), given)


def find_split(name: str) -> str | None:
    """Return the split that a file's or folder's name says; None where it says none."""
    words = set(re.split(r"[^a-z0-9]+", name.lower()))
    return next((split for split, known in SPLIT_WORDS.items() if words & known), None)


def find_split_files(names: Sequence[str]) -> dict[str, str]:
    """Return the file of each split, if the names say it of all files, else nothing."""
    splits = {find_split(name): name for name in names}
    told = len(splits) == len(names) and None not in splits
    if not told or not {"train", "held_out"} <= splits.keys():
        return {}
    return {str(split): name for split, name in splits.items()}


def name_recipe(url: str) -> str:
    """Return a recipe's name after the file or folder that it is about."""
    parts = [part for part in re.split(r"[/\\]+", redact(url).split("?")[0]) if part]
    stems = [ENDING.sub("", part.lower()) for part in reversed(parts)]
    plain = [re.sub(r"[^a-z0-9]+", "-", stem).strip("-") for stem in stems]
    told = [name for name in plain if name and name not in _GENERIC]
    name = (told or plain or ["mine"])[0]
    name = name if re.match(r"[a-z]", name) else f"data-{name}"
    return name[:48].strip("-")


def _choose(names: Sequence[str], endings: Sequence[str]) -> list[str]:
    plain = endings if ".csv" not in endings else (*endings, *(".txt" + end for end in PACKED))
    return [name for name in names if name.lower().endswith(tuple(plain))]


def _prefer_tables(names: Sequence[str]) -> list[str]:
    """Leave out texts beside files that call themselves tables: they tell of these."""
    tables = [name for name in names if ".txt" not in posixpath.basename(name).lower()]
    return tables or list(names)
