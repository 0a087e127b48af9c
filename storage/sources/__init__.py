"""Where rows come from: one small class a file, chosen by its `type` in the recipe."""

from typing import TYPE_CHECKING, Annotated, Union

from pydantic import Field

from storage.sources.base import Decoded, Fault, Part, Source, SourceFile, SourceIdentity, UrlSource
from storage.sources.idx import IdxSource
from storage.sources.sklearn import SklearnSource

__all__ = ["AnySource", "Decoded", "Fault", "Part", "Source", "SourceFile", "SourceIdentity", "UrlSource"]

BUILT_IN: tuple[type[Source], ...] = (IdxSource, SklearnSource)

if TYPE_CHECKING:
    AnySource = Source
else:
    AnySource = Annotated[Union[BUILT_IN], Field(discriminator="type")]  # noqa: UP007 - made from a tuple
