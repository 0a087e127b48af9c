"""What every source is: a model that lists its rows as parts, and decodes a part.

Reading is split in two. `scan` walks the source once, in order, in one process: it hashes each
file, cuts the records into parts, and hands over their bytes where a file can only be read from its
start (compressed files, archives). `decode` turns one part into rows, anywhere and in any order. So
each file is read once, and decoding is parallel.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_serializer, field_validator

from storage.base.errors import SourceError, SourceUnavailable
from storage.base.redaction import mask_options, remember_secrets
from storage.base.store import canonical_json, redact, sha256_bytes
from storage.base.text_style import TextStyle
from storage.forms.base import RowsSpec
from storage.forms.unreadable import Unreadable
from storage.shards.row_ids import (
    CONTENT_HASH,
    ROW_ID,
    Rows,
    count_rows,
    hash_contents,
    hash_member_ids,
    hash_row_ids,
)

Split = Literal["train", "validation", "held_out"]
SPLITS: tuple[Split, ...] = get_args(Split)
LISTED_FILES = 1000
MAX_FAULTS_NAMED = 20


class SourceFile(BaseModel):
    """One file of a source as it was read: its name below the source's URL, its stored bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str
    size_bytes: int
    sha256: str


class SourceIdentity(BaseModel):
    """What a raw version was made from."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    type: str
    """The source's type, as the recipe names it."""
    url: str | None
    """Its address without secrets; None for data that come with a package."""
    digest: str
    """sha256 over the canonical list of all files."""
    file_count: int
    """Number of files."""
    size_bytes: int
    """Stored bytes of all files."""
    files: tuple[SourceFile, ...]
    """The files by name, the first 1,000."""
    rows: int | None = None
    """Rows that were read; None before they are."""


@dataclass(frozen=True, slots=True)
class Part:
    """Consecutive records of a source that make one shard.

    Attributes:
        name: Member that the records are counted in; a folder's or archive's own name where each
            record is a member.
        start: Number of the first record.
        stop: Number after the last record.
        split: The split that the source puts them in; "" where it knows none.
        detail: What `decode` needs to know besides: names, shapes, offsets.
        payload: The records' bytes, where they cannot be read again at low cost.
        spooled: Whether the payload waits in a scratch file for the worker that decodes it.
    """

    name: str
    start: int
    stop: int
    split: str = ""
    detail: Any = None
    payload: bytes = field(default=b"", repr=False)
    spooled: bool = False

    @property
    def label(self) -> str:
        """The part's name in messages."""
        return f"{self.name} records {self.start} to {self.stop}"


@dataclass(frozen=True, slots=True)
class PassedOver:
    """Files that lie where a source is, and were not read: of another kind, or named by nobody.

    Attributes:
        endings: How many there are of each ending, as `.webp`; "" for files without one.
    """

    endings: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Undecodable:
    """A record that could not be read and was left out, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a part holds.

    Attributes:
        rows: Features and label, each (N, ...); a value that is missing or does not parse has a
            mask `<field>__valid`.
        members: Member name of each row where every row is a member of its own; None where rows are
            counted.
        records: Number of each row inside the part, where some were left out; None where all are
            there.
        columns: Names of the columns of two-dimensional fields.
        faults: Records that could not be read.
        files: Files that were read whole, once, by this part.
        undeclared: Names of classes in the part that the recipe does not declare.
        unreadable: Values of columns that are there and cannot be read, by column.
    """

    rows: Rows
    members: tuple[str, ...] | None = None
    records: tuple[int, ...] | None = None
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    faults: tuple[Undecodable, ...] = ()
    files: tuple[SourceFile, ...] = ()
    undeclared: tuple[str, ...] = ()
    unreadable: Mapping[str, Unreadable] = field(default_factory=dict)


class Source(BaseModel, ABC):
    """Base of all sources. A subclass is one file with a literal `type`, `scan` and `decode`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    type: str
    """Which source it is."""
    has_transparency: ClassVar[bool] = True
    """Whether what it reads may be transparent, so that `data.image.background` says something."""

    @property
    def display(self) -> str | None:
        """Address for people and receipts, without secrets; None for a package's own data."""
        return None

    @property
    def file_style(self) -> TextStyle | None:
        """How its files of texts look; None where it reads none."""
        return None

    def look(self) -> None:
        """Looks whether there is anything at all, where that costs next to nothing.

        Raises:
            SourceUnavailable: There is nothing.
        """

    @abstractmethod
    def scan(
        self, spec: RowsSpec | None, target_bytes: int
    ) -> Iterator[Part | SourceFile | PassedOver]:
        """Walks the source once, in order.

        Args:
            spec: What the recipe says about the rows; None where nothing is declared.
            target_bytes: Decoded size that a part should come close to.

        Yields:
            Parts as soon as they are known; each file that was read here, once its last byte has
            been; what was passed over.

        Raises:
            SourceUnavailable: A file is absent or cannot be reached.
            SourceError: A file is damaged, or not what it should be.
        """

    @abstractmethod
    def decode(self, part: Part, spec: RowsSpec | None) -> Decoded:
        """Reads the rows of one part; raw values are kept as they are, however wrong.

        Raises:
            SourceError: The bytes cannot be read as rows at all.
        """

    def parts(self, target_bytes: int, spec: RowsSpec | None = None) -> list[Part]:
        """Return all parts at once; `storage.pipeline.collecting` takes them one by one."""
        return [item for item in self.scan(spec, target_bytes) if isinstance(item, Part)]

    def read(self, part: Part, spec: RowsSpec | None = None) -> Rows:
        """Return the rows of one part with their ids and content hashes."""
        decoded = self.decode(part, spec)
        return identify_rows(part, decoded)

    def identify(self, spec: RowsSpec | None = None) -> SourceIdentity:
        """Reads every file once and says what the source is."""
        files: list[SourceFile] = []
        for item in self.scan(spec, 1 << 23):
            if isinstance(item, Part):
                files += self.decode(item, spec).files
            elif isinstance(item, SourceFile):
                files.append(item)
        return self.make_identity(files)

    def make_identity(self, files: Iterable[SourceFile], rows: int | None = None) -> SourceIdentity:
        """Return the identity of this source, given the files that were read."""
        ordered = sorted(set(files), key=lambda file: (file.name, file.sha256))
        listing = [[file.name, file.size_bytes, file.sha256] for file in ordered]
        return SourceIdentity(
            type=self.type,
            url=self.display,
            digest=sha256_bytes(canonical_json(listing)),
            file_count=len(ordered),
            size_bytes=sum(file.size_bytes for file in ordered),
            files=tuple(ordered[:LISTED_FILES]),
            rows=rows,
        )


class UrlSource(Source):
    """Base of sources that lie at a URL."""

    url: str = Field(min_length=1, repr=False)
    """Folder, file or base address: a path, or any URL that fsspec knows."""
    options: dict[str, JsonValue] = Field(default={}, repr=False)
    """Options of the file system, as `{anon: true}` or `{endpoint_url: ...}` for S3. Better leave
    secrets to the environment; those that stand here are used, and never printed, stored or
    hashed: of options whose names are not known to be harmless the values are masked."""

    @property
    def display(self) -> str:
        """The address without secrets."""
        return redact(self.url)

    def look(self) -> None:
        """Checks that a path on this machine that is no pattern is there."""
        if "://" in self.url or "::" in self.url:
            return
        may_match = any(mark in self.url for mark in "*?[")
        if not may_match and not Path(self.url).expanduser().exists():
            raise SourceUnavailable(
                f"source ({self.display}) must be a path that exists, from {Path.cwd()}; got "
                "nothing there; check the source's url, as in --set source.url=PATH"
            )

    def model_post_init(self, context: Any, /) -> None:
        """Keeps what is secret in mind, so that no client's error repeats it."""
        remember_secrets(self.url, self.options)

    def __setstate__(self, state: dict[Any, Any]) -> None:
        """Does the same in a worker, which the source was sent to."""
        super().__setstate__(state)
        remember_secrets(self.url, self.options)

    @field_validator("url")
    @classmethod
    def _reject_blank(cls, url: str) -> str:
        if not url.strip():
            raise ValueError("be a path or URL; write where the data lie")
        return url

    @field_serializer("options", when_used="json")
    def _hide_secrets(self, options: dict[str, JsonValue]) -> dict[str, object]:
        return mask_options(options)


def identify_rows(part: Part, decoded: Decoded) -> Rows:
    """Return the rows with `row_id` and `content_hash` added; those that they bring stay.

    Raises:
        SourceError: The fields have different lengths, or a row lacks its member's name.
    """
    rows, named, counted = decoded.rows, decoded.members, decoded.records
    count = count_rows(rows)
    lengths = {name: len(values) for name, values in rows.items()}
    listed = {len(names) for names in (named, counted) if names is not None}
    if (set(lengths.values()) | listed) - {count}:
        raise SourceError(
            f"part ({part.label}) must have fields of one length; got {lengths}; mend the source's "
            "`decode`"
        )
    numbers = [part.start + record for record in (range(count) if counted is None else counted)]
    ids = hash_row_ids(part.name, numbers) if named is None else hash_member_ids(named)
    return {ROW_ID: ids, CONTENT_HASH: hash_contents(rows), **rows}
