"""The log of decisions on a channel: signed lines, each naming the one before it.

<workspace>/releases/<channel>.jsonl    {"signatures", "signed"} a line, canonical JSON
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from deployments.targets.errors import NotCleared
from deployments.targets.trust.keys import KeyRing
from deployments.targets.trust.sealed import open_sealed, seal_body
from storage.base.errors import Corrupt, NotFound
from storage.base.store import Store, sha256_bytes
from tasks.feedback.decide import Decision
from tasks.feedback.evidence import Finding
from tasks.runtime.outcome_base import Result

FOLDER = "releases"
MAX_LINE_BYTES = 2**22
_REMEDY = "restore the file from a copy, or import the signer's public key"


class DatasetRef(Result):
    """The feedback version that a decision is about."""

    name: str
    number: int
    digest: str


class DecisionLine(Result):
    """One decision on a channel.

    Attributes:
        at: When it was made.
        recipe: Name of the recipe.
        channel: Name of the channel.
        decision: What was decided.
        evidence: Why.
        dataset: What had come back by then; None before the first row.
        champion: The promoted model when it was decided; None without one.
        receipt: Receipt of the retraining, promoted or stopped; None where there was none.
        previous: sha256 of the line before, without its end; None of the first.
    """

    format: Literal[1] = 1
    at: datetime
    recipe: str
    channel: Annotated[str, Field(min_length=1)]
    decision: Decision
    evidence: tuple[Finding, ...]
    dataset: DatasetRef | None
    champion: str | None
    receipt: str | None
    previous: str | None = None

    def is_same(self, other: "DecisionLine") -> bool:
        """Whether both decide the same of the same rows and the same model."""
        return self._key == other._key

    @property
    def _key(self) -> tuple[object, ...]:
        return (self.recipe, self.decision, self.dataset, self.champion, self.receipt)


def append_decision(store: Store, line: DecisionLine, ring: KeyRing | None = None) -> bool:
    """Appends a decision to its channel's log, durable once it returns.

    One that says the same as the last line is not appended again: a call that was killed after it
    wrote finds its own. Of writers at once the caller keeps all but one out.

    Returns:
        Whether it was appended.

    Raises:
        Corrupt: The log is not the chain of signed lines that it was.
    """
    ring = ring or KeyRing()
    content = _read(store, line.channel)
    lines = _open_lines(content, line.channel, ring)
    if lines and lines[-1].is_same(line):
        return False
    previous = sha256_bytes(content.splitlines()[-1]) if lines else None
    chained = line.model_copy(update={"previous": previous})
    sealed = seal_body(chained.model_dump(mode="json"), ring.receipt_signer())
    store.write(_place(line.channel), content + sealed + b"\n")
    return True


def read_decisions(store: Store, channel: str, ring: KeyRing | None = None) -> list[DecisionLine]:
    """Reads a channel's log, oldest first; none where there is no file.

    Raises:
        Corrupt: A line is not signed by a trusted key, or does not name the one before it.
    """
    return _open_lines(_read(store, channel), channel, ring or KeyRing())


def _open_lines(log: bytes, channel: str, ring: KeyRing) -> list[DecisionLine]:
    trusted = ring.trusted_receipt_keys()
    found: list[DecisionLine] = []
    before: str | None = None
    for number, content in enumerate(log.splitlines(), 1):
        line = _open(content, f"line {number} of {_place(channel)}", trusted)
        if line.previous != before or line.channel != channel:
            raise Corrupt(
                f"line {number} of {_place(channel)} must follow {before}; got one that follows "
                f"{line.previous}; {_REMEDY}"
            )
        found.append(line)
        before = sha256_bytes(content)
    return found


def _open(content: bytes, what: str, trusted: Mapping[str, bytes]) -> DecisionLine:
    try:
        body = open_sealed(content, trusted, what, remedy=_REMEDY, max_bytes=MAX_LINE_BYTES)
        return DecisionLine.model_validate_json(json.dumps(body))
    except NotCleared as error:
        raise Corrupt(str(error)) from error
    except ValidationError as error:
        raise Corrupt(
            f"{what} must follow format 1; got {error.errors()[0]['msg']}; {_REMEDY}"
        ) from error


def _read(store: Store, channel: str) -> bytes:
    try:
        return store.read(_place(channel))
    except NotFound:
        return b""


def _place(channel: str) -> str:
    return f"{FOLDER}/{channel}.jsonl"
