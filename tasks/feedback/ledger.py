"""The ledger of a feedback dataset: which files were read, and every truth that was told.

    <workspace>/feedback/<recipe>/<sha256>.json    named by its digest, which the version records

A file that stands in it was verified when it was read, and is not read again: whatever becomes of
it later, and of the device that sent it, the rows that were made of it stay.
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, JsonValue

from storage.base.errors import Corrupt
from storage.base.store import Store, canonical_json, sha256_bytes
from storage.datasets.version import Version
from tasks.runtime.outcome_base import Result

FOLDER = "feedback"
KEY = "ledger"


def make_utc(moment: datetime) -> datetime:
    """Return a moment with its time zone: UTC where it says none."""
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


class Truth(Result):
    """What was true of an answer, as somebody said.

    Attributes:
        answer_id: The answer, known or not.
        truth: What was true.
        at: When it was said, by the clock of who said it.
        file: The file below `uplinks` that says so.
        place: Its place in that file.
    """

    answer_id: str
    truth: JsonValue
    at: Annotated[datetime, AfterValidator(make_utc)]
    file: str
    place: int


class Ledger(Result):
    """What was read so far.

    Attributes:
        read: Files below `uplinks` that were read.
        others: Batches of other recipes' models, which are not read again.
        truths: Every truth that was told, replaced ones too, in the order in which they count.
    """

    format: Literal[1] = 1
    read: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    truths: tuple[Truth, ...] = ()

    @property
    def known(self) -> frozenset[str]:
        """All files that need not be looked at again."""
        return frozenset((*self.read, *self.others))

    @property
    def current(self) -> dict[str, Truth]:
        """The truth of each answer that counts: the last one that was told."""
        return {truth.answer_id: truth for truth in self.truths}

    def count_replaced(self) -> int:
        """Count the truths that another one, told later, has replaced."""
        current = self.current
        return sum(current[each.answer_id].truth != each.truth for each in self.truths)

    def extend(
        self, read: Iterable[str], others: Iterable[str], truths: Iterable[Truth]
    ) -> "Ledger":
        """Return the ledger with more files and truths, each truth of a file once.

        The order is that of when they were said. So it does not depend on which file was read
        first, nor on how often.
        """
        each = {(truth.file, truth.place): truth for truth in (*self.truths, *truths)}
        told = sorted(each.values(), key=lambda truth: (truth.at, truth.file, truth.place))
        return Ledger(
            read=tuple(sorted({*self.read, *read})),
            others=tuple(sorted({*self.others, *others})),
            truths=tuple(told),
        )


def read_ledger(store: Store, name: str, version: Version | None) -> Ledger:
    """Reads the ledger of a version; an empty one before the first.

    Args:
        store: The workspace.
        name: Name of the recipe.
        version: A version of its feedback dataset.

    Raises:
        Corrupt: The bytes are not those that the version names.
        NotFound: The file is gone.
    """
    if version is None:
        return Ledger()
    digest = str(version.info[KEY])
    content = store.read(_place(name, digest))
    if (found := sha256_bytes(content)) != digest:
        raise Corrupt(
            f"ledger ({_place(name, digest)}) must have the sha256 that it is named by; got "
            f"{found}; restore the file from a copy"
        )
    return Ledger.model_validate(json.loads(content))


def write_ledger(store: Store, name: str, ledger: Ledger) -> str:
    """Writes a ledger under its digest, which it returns; written again it changes nothing."""
    content = canonical_json(ledger.model_dump(mode="json"))
    digest = sha256_bytes(content)
    store.put_if_absent(_place(name, digest), content)
    return digest


def _place(name: str, digest: str) -> str:
    return f"{FOLDER}/{name}/{digest}.json"
