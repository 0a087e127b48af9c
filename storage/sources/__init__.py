"""Where rows come from: one small class a file, chosen by its `type` in the recipe.

Other packages add their own by an entry point of the group `lepton.sources` that names a subclass
of `Source`.
"""

import warnings
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Annotated, Union, get_args

from pydantic import Field

from storage.sources.arrays import ArraysSource
from storage.sources.base import (
    Decoded,
    Part,
    Source,
    SourceFile,
    SourceIdentity,
    Undecodable,
    UrlSource,
)
from storage.sources.csv import CsvSource
from storage.sources.idx import IdxSource
from storage.sources.images import ImagesSource
from storage.sources.joined import SOURCES, JoinedSource
from storage.sources.parquet import ParquetSource
from storage.sources.sklearn import SklearnSource

__all__ = [
    "AnySource",
    "Decoded",
    "Part",
    "Source",
    "SourceFile",
    "SourceIdentity",
    "Undecodable",
    "UrlSource",
    "find_sources",
]

GROUP = "lepton.sources"
BUILT_IN: tuple[type[Source], ...] = (
    ArraysSource,
    CsvSource,
    IdxSource,
    ImagesSource,
    JoinedSource,
    ParquetSource,
    SklearnSource,
)


def find_sources() -> dict[str, type[Source]]:
    """Return all sources by type: those here, and those that installed packages add.

    One that cannot be used is left out with a warning: it must not stop recipes that do without it.
    """
    found = {name_type(source): source for source in BUILT_IN}
    for point in entry_points(group=GROUP):
        try:
            source = point.load()
            name = name_type(source)
            if found.setdefault(name, source) is not source:
                taken = f"the type {name} is taken by {found[name].__module__}"
                raise ValueError(taken)  # noqa: TRY301
        except Exception as error:  # noqa: BLE001 - a stranger's module may raise anything
            warnings.warn(
                f"source {point.name} ({point.value}) is left out: {error}",
                RuntimeWarning,
                stacklevel=2,
            )
    return found


def name_type(source: type[Source]) -> str:
    """Return the `type` that a recipe writes for a source.

    Raises:
        TypeError: It is no source, or its `type` is not one literal text.
    """
    if not (isinstance(source, type) and issubclass(source, Source)):
        raise TypeError(f"{source!r} must be a subclass of storage.sources.Source")
    names = get_args(source.model_fields["type"].annotation)
    if len(names) != 1 or not isinstance(names[0], str):
        raise TypeError(
            f"{source.__name__} must have a type of one literal; write type: Literal['mine'] = "
            "'mine'"
        )
    return str(names[0])


if TYPE_CHECKING:
    AnySource = Source
else:
    known = find_sources()
    SOURCES.update({name: source for name, source in known.items() if source is not JoinedSource})
    every = tuple(known.values())
    AnySource = Annotated[Union[every], Field(discriminator="type")]  # noqa: UP007
