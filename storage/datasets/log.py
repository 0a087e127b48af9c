"""The commit log of a dataset: numbered files, each created once, in a chain.

Each names the digest of the one before.

The highest number is the latest state. What a reader of the latest entry needs of the past (tags,
purges, the last collection) is carried forward in each entry, so that opening a version reads two
small files however long the log is.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    JsonValue,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)

from storage.base.documents import leave_out_defaults
from storage.base.errors import Corrupt, NotFound, Overtaken
from storage.base.store import Store, canonical_json, sha256_bytes

FORMAT = 1
_DIGITS = 20
_SUFFIX = ".json"


class LogEntry(BaseModel):
    """One entry of the log.

    Attributes:
        format: Version of this format.
        dataset: Name of the dataset.
        number: Its place in the log, from 0; the name of its file.
        parent: SHA-256 of the file before it; None for the first.
        kind: What was done, such as "append" or "tag".
        version: Number of the latest entry that changed the rows: this one, unless it only tags,
            collects or purges.
        previous: The version before that one.
        manifest: SHA-256 of the manifest of the version.
        rows: Rows of each split.
        info: What the writer wants known about the version.
        message: A sentence for people.
        created_at: When, in UTC; never before the entry before.
        tags: Every tag and its version.
        purges: Numbers of all purges so far.
        dropped: Numbers of the versions that are no longer kept; an entry says so from the first
            one on.
        collecting: Shards and manifests that a garbage collection deletes right now,
            "shards/<digest>" for instance.
        collecting_until: When that collection gives up, should it not end before.
        nonce: Random, so that two writers never create equal entries.
        check: SHA-256 of the entry without this field, so that damage to the latest entry shows as
            well.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    dataset: str
    number: int
    parent: str | None
    kind: str
    version: int | None
    previous: int | None
    manifest: str | None
    rows: dict[str, int]
    info: dict[str, JsonValue] = {}
    message: str = ""
    created_at: datetime
    tags: dict[str, int] = {}
    purges: tuple[int, ...] = ()
    dropped: tuple[int, ...] = ()
    collecting: tuple[str, ...] = ()
    collecting_until: datetime | None = None
    nonce: str = ""
    check: str = ""

    @model_serializer(mode="wrap")
    def _leave_out_default(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what no dataset said before versions could be dropped."""
        first = type(self).model_fields.keys() - {"dropped"}
        return leave_out_defaults(self, handler(self), first)

    @property
    def is_version(self) -> bool:
        """Whether this entry changed the rows."""
        return self.version == self.number


class LoggedEntry(BaseModel):
    """An entry and the SHA-256 of its file."""

    model_config = ConfigDict(frozen=True)

    entry: LogEntry
    digest: str


class CommitLog:
    """The log of one dataset.

    Args:
        files: The folder of the log.
        dataset: Name of the dataset.
    """

    def __init__(self, files: Store, dataset: str) -> None:
        self.files = files
        self.dataset = dataset

    def list_numbers(self) -> list[int]:
        """Return the numbers of all entries, ascending."""
        names = [
            name.removesuffix(_SUFFIX) for name in self.files.listdir() if name.endswith(_SUFFIX)
        ]
        return sorted(int(name) for name in names if len(name) == _DIGITS and name.isdigit())

    def check_complete(self) -> None:
        """Refuses a log with a gap, of which nobody can say what its versions need.

        Raises:
            Corrupt: An entry is missing.
        """
        for place, number in enumerate(self.list_numbers()):
            if number != place:
                raise Corrupt(self._describe_damage(name_entry(place), "no file", b""))

    def find_head(self) -> LoggedEntry | None:
        """Return the latest entry; None for a dataset without one."""
        numbers = self.list_numbers()
        return self.read(numbers[-1]) if numbers else None

    def read(self, number: int) -> LoggedEntry:
        """Return an entry by its number.

        Raises:
            Corrupt: It is missing, or not what was written.
        """
        name = name_entry(number)
        try:
            data = self.files.read(name)
        except NotFound as error:
            raise Corrupt(self._describe_damage(name, "no file", b"")) from error
        try:
            entry = LogEntry.model_validate_json(data)
        except ValidationError as error:
            raise Corrupt(
                self._describe_damage(name, f"{error.error_count()} faults in its fields", data)
            ) from error
        if encode_entry(entry) != data or (entry.number, entry.dataset) != (number, self.dataset):
            raise Corrupt(self._describe_damage(name, "another content than its check", data))
        return LoggedEntry(entry=entry, digest=sha256_bytes(data))

    def put(self, head: LoggedEntry | None, **changes: Any) -> LoggedEntry:
        """Creates the entry after `head`.

        Args:
            head: The latest entry that the writer has seen.
            **changes: Fields of the new entry; the rest is carried forward.

        Raises:
            Overtaken: Another writer has created it.
        """
        number = head.entry.number + 1 if head else 0
        now = datetime.now(UTC)
        carried: dict[str, Any] = {"version": None, "previous": None, "manifest": None, "rows": {}}
        if head:
            kept = (
                "version",
                "previous",
                "manifest",
                "rows",
                "tags",
                "purges",
                "dropped",
                "collecting",
                "collecting_until",
            )
            carried = {name: getattr(head.entry, name) for name in kept}
        entry = LogEntry(
            dataset=self.dataset,
            number=number,
            parent=head.digest if head else None,
            created_at=max(now, head.entry.created_at) if head else now,
            nonce=token_hex(16),
            **{**carried, **changes},
        )
        data = encode_entry(entry)
        if not self.files.put_if_absent(name_entry(number), data):
            raise Overtaken(
                f"entry {number} of dataset {self.dataset} ({self.files.display}) must be created "
                "once; another writer was first; read the latest version and try again"
            )
        return LoggedEntry(entry=entry, digest=sha256_bytes(data))

    def find_faults(self, numbers: Sequence[int]) -> list[tuple[str, str, str]]:
        """Checks the chain; each fault is (file, expected, got)."""
        faults, parent = [], None
        for place, number in enumerate(numbers):
            name = name_entry(number)
            try:
                logged = self.read(number)
            except Corrupt as error:
                faults.append((self.files.address(name), "an entry as it was written", str(error)))
                parent = None
                continue
            if number != place and (place == 0 or numbers[place - 1] != number - 1):
                faults.append((self.files.address(name_entry(number - 1)), "an entry", "no file"))
            elif logged.entry.parent != parent and (place == 0 or parent is not None):
                faults.append(
                    (self.files.address(name), f"parent {parent}", f"parent {logged.entry.parent}")
                )
            parent = logged.digest
        return faults

    def _describe_damage(self, name: str, got: str, data: bytes) -> str:
        newer = b'"format":' in data and f'"format":{FORMAT}'.encode() not in data
        remedy = (
            "update Lepton"
            if newer
            else "restore it from a copy; the versions after it name its digest"
        )
        return (
            f"log entry ({self.files.display}/{name}) must be an entry of format {FORMAT}; got "
            f"{got}; {remedy}"
        )


def name_entry(number: int) -> str:
    """Return the name of an entry's file."""
    return f"{number:0{_DIGITS}d}{_SUFFIX}"


def encode_entry(entry: LogEntry) -> bytes:
    """Return the bytes of an entry's file: canonical JSON with its check."""
    body = entry.model_dump(mode="json", exclude={"check"})
    return canonical_json({**body, "check": sha256_bytes(canonical_json(body))})
