"""Reads the rows of another source, and behind them rows of a dataset that came back with answers.

The rows of the other source keep their ids and content hashes, and so the side of a hash split that
they are on. Those of the dataset bring their own, which were fixed before anybody knew their truth.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
)

from storage.base.errors import NotFound, SourceError, SourceUnavailable, StorageError
from storage.base.redaction import show_name
from storage.base.shown import show_value
from storage.base.store import Store, redact
from storage.base.text_style import TextStyle
from storage.datasets.dataset import Dataset
from storage.datasets.version import Version
from storage.forms.base import RowsSpec
from storage.forms.columns import NUMBERS, SERIES_ID, TARGET, TIME
from storage.forms.registry import find_form
from storage.shards.entry import ShardEntry
from storage.shards.reading import read_shard
from storage.shards.row_ids import (
    CONTENT_HASH,
    LABEL,
    ROW_ID,
    VALID_SUFFIX,
    Rows,
    count_rows,
    draw_uniform,
    find_valid,
)
from storage.sources.base import Decoded, Part, PassedOver, Source, SourceFile
from storage.sources.headers import list_header

SOURCES: dict[str, type[Source]] = {}
"""Holds the sources that may come first, by type; `storage.sources` fills it."""
SIDES = ("train", "held_out")


class DatasetRef(BaseModel):
    """Names one version of a dataset, in any workspace."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    workspace: str = Field(min_length=1, repr=False)
    """Folder or URL of the workspace."""
    name: str
    """Name of the dataset, as `digits-feedback`."""
    digest: str
    """Digest of the version, as `lepton datasets` tells it."""

    def open(self) -> Version:
        """Opens the version.

        Raises:
            SourceUnavailable: There is none of that digest.
        """
        dataset = Dataset(Store(self.workspace), self.name)
        try:
            found = [each for each in dataset.iter_versions() if each.digest == self.digest]
        except NotFound:
            found = []
        if not found:
            raise SourceUnavailable(
                f"source.dataset.digest ({self.digest}) must be that of a version of {self.name} "
                f"in {redact(self.workspace)}; got none of it; list them with `lepton datasets`"
            )
        return found[0]


def read_first(value: Any) -> Source:
    """Reads the source that comes first, of any type but this one.

    Raises:
        ValueError: It is no source.
    """
    if isinstance(value, Source):
        return value
    name = value.get("type") if isinstance(value, Mapping) else None
    if not isinstance(name, str) or name not in SOURCES:
        raise ValueError(
            f"first.type ({show_value(name)}) must be one of {', '.join(sorted(SOURCES))}; got "
            "another; write the source that the recipe had"
        )
    try:
        return SOURCES[name].model_validate(value)
    except ValidationError as error:
        # Not its own text, which quotes what was given, secrets included.
        faults = [
            f"{'.'.join(map(show_name, found['loc']))}: {found['msg']}" for found in error.errors()
        ]
        raise ValueError(
            f"first (of type {name}) must be a sound source; got {redact('; '.join(faults))}; "
            "write the source that the recipe had"
        ) from None


if TYPE_CHECKING:
    FirstSource = Source
else:
    FirstSource = Annotated[Any, PlainValidator(read_first), WithJsonSchema({"type": "object"})]


@dataclass(frozen=True)
class _Kept:
    """Says which rows of a shard are read, and which fields of them; it travels to workers."""

    entry: ShardEntry
    fields: tuple[str, ...]
    side: str


class JoinedSource(Source):
    """Another source, and behind it the labelled rows of a version of a dataset that fit.

    `lepton feedback` writes it for a retraining.
    """

    type: Literal["joined"] = "joined"
    """Which source it is."""
    first: FirstSource
    """The source that the recipe had, of any other type."""
    dataset: DatasetRef
    """Rows that came back. Those without a truth are passed over, where a truth is learned from."""
    held_out: float = Field(default=0.2, gt=0, lt=1)
    """Fraction of the dataset's rows that is held out, by their content, where the first source
    gives the split (`split: {by: source}`)."""
    after: dict[str, int] = Field(default={})
    """Series: of each `series_id` the last time, in nanoseconds since 1970, that the first source
    has rows of; rows of the dataset up to it are passed over."""

    @property
    def display(self) -> str | None:
        """The address of the first source, without secrets."""
        return self.first.display

    @property
    def file_style(self) -> TextStyle | None:
        """That of the source that the recipe had."""
        return self.first.file_style

    def look(self) -> None:
        """Looks whether the first source and the version are there."""
        self.first.look()
        self.dataset.open()

    def list_columns(self) -> tuple[str, ...] | None:
        """Lists the columns of the source that the recipe had."""
        return list_header(self.first)

    def scan(
        self, spec: RowsSpec | None, target_bytes: int
    ) -> Iterator[Part | SourceFile | PassedOver]:
        """Walks the first source, then the shards of the version."""
        fields: tuple[str, ...] | None = None
        for item in self.first.scan(spec, target_bytes):
            if isinstance(item, Part) and fields is None:
                fields = tuple(self.first.decode(item, spec).rows)
            yield item
        version = self.dataset.open()
        yield from self._cut_version(version, fields or (), spec)
        size = sum(entry.size_bytes for entry in version.shards)
        yield SourceFile(name=version.ref, size_bytes=size, sha256=version.digest)

    def _cut_version(
        self, version: Version, fields: tuple[str, ...], spec: RowsSpec | None
    ) -> Iterator[Part]:
        sides = SIDES if spec is not None and spec.split.by == "source" else ("",)
        for entry in version.shards:
            name = f"{version.name}/{entry.digest}"
            for side in sides:
                kept = _Kept(entry, fields, side)
                yield Part(name, 0, entry.rows, split=side, detail=kept)

    def decode(self, part: Part, spec: RowsSpec | None) -> Decoded:
        """Reads a part of either: rows of the version bring their ids and content hashes."""
        if not isinstance(part.detail, _Kept):
            return self.first.decode(part, spec)
        kept = part.detail
        shards = Dataset(Store(self.dataset.workspace), self.dataset.name).shards
        try:
            rows = read_shard(shards, kept.entry)
        except StorageError as error:
            raise SourceError(
                f"part ({part.label}) must be the shard that was written; got: {error}; restore "
                "the dataset from a copy"
            ) from error
        chosen = find_learnable(rows) & self._find_later(rows)
        if spec is not None:
            chosen &= ~find_unfit(rows, spec)
        if kept.side:
            seed = spec.split.seed if spec is not None else 0
            held = draw_uniform(rows[CONTENT_HASH], f"joined:{seed}") < self.held_out
            chosen &= held == (kept.side == "held_out")
        columns = {field.name: field.columns for field in kept.entry.fields if field.columns}
        shaped = shape_rows(rows, kept.fields, part.label)
        return Decoded({name: values[chosen] for name, values in shaped.items()}, columns=columns)

    def _find_later(self, rows: Rows) -> NDArray[np.bool_]:
        """Marks the rows behind those that the first source has of their series."""
        if SERIES_ID not in rows or not self.after:
            return np.ones(count_rows(rows), np.bool_)
        known = (series for series in set(rows[SERIES_ID].tolist()) if str(series) in self.after)
        return find_later(rows, {series: self.after[str(series)] for series in known})


def find_later(rows: Rows, last: Mapping[int, int]) -> NDArray[np.bool_]:
    """Marks the rows of series behind the last time that is known of each, shape (N,)."""
    least = np.iinfo(np.int64).min
    limits = [last.get(series, least) for series in rows[SERIES_ID].tolist()]
    later: NDArray[np.bool_] = rows[TIME] > np.array(limits, np.int64)
    return later


def find_learnable(rows: Rows) -> NDArray[np.bool_]:
    """Marks the rows that have the label and the target that their fields are for, shape (N,)."""
    return find_valid(rows, LABEL) & find_valid(rows, TARGET)


def find_unfit(rows: Rows, spec: RowsSpec) -> NDArray[np.bool_]:
    """Marks the rows whose features break what the data section declares, or are infinite, (N,).

    Raises:
        InvalidInput: A field is absent, or has the wrong type or shape.
    """
    unfit, _ = find_form(spec).find_invalid(rows, spec)
    if NUMBERS in rows:
        unfit = unfit | np.isinf(rows[NUMBERS]).any(axis=1)
    return unfit


def shape_rows(rows: Rows, fields: tuple[str, ...], where: str) -> Rows:
    """Return rows of a dataset with the fields of another, their ids and their content hashes.

    A mask that the others lack is left out; one that the rows lack says that all is there.

    Args:
        rows: Rows of the dataset.
        fields: Names of the fields of the others.
        where: What the rows are, for messages.

    Raises:
        SourceError: A field is absent.
    """
    found: Rows = {ROW_ID: rows[ROW_ID], CONTENT_HASH: rows[CONTENT_HASH]}
    for name in fields:
        if name not in rows and name.endswith(VALID_SUFFIX):
            found[name] = np.ones(rows[name.removesuffix(VALID_SUFFIX)].shape, np.bool_)
        elif name not in rows:
            raise SourceError(
                f"part ({where}) must have the field {name} of the first source; got "
                f"{', '.join(sorted(rows))}; collect the answers of a model of this recipe"
            )
        else:
            found[name] = rows[name]
    return found
