"""Truths from outside: signed files that endpoints write, and a person's CSV that becomes one.

<workspace>/uplinks/<node>/truth-<sha256>.json    sealed: format, node, at, truths
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from deployments.targets.errors import NotCleared, UplinkRefused
from deployments.targets.trust.keys import KeyRing
from deployments.targets.trust.sealed import open_sealed, seal_body
from deployments.targets.trust.uplink import UPLINKS
from storage.base.errors import InvalidInput
from storage.base.store import Store, redact, sha256_bytes
from storage.sources.opening import read_file
from tasks.feedback.ledger import Truth

BY_HAND = "by-hand"
"""The node of truths that a person gave as a file."""
MAX_BYTES = 64 * 2**20
_NAME = re.compile(r"^(?P<node>[^/]+)/truth-(?P<sha256>[0-9a-f]{64})\.json$")
_ANSWER = re.compile(r"^[^\s:]{1,80}:[0-9]{1,18}$")
_REMEDY = "have it written again by `lepton serve` or `lepton feedback --truth`"


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    answer_id: Annotated[str, Field(max_length=100)]
    truth: JsonValue


class _TruthFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    node: str
    at: datetime
    truths: tuple[_Told, ...]


def is_truth_file(name: str) -> bool:
    """Tells whether a file below `uplinks` is named as one of truths."""
    return _NAME.match(name) is not None


def read_truth_file(store: Store, name: str, trusted: Mapping[str, bytes]) -> list[Truth]:
    """Reads a file of truths, after its digest and its signature were found to hold.

    Raises:
        UplinkRefused: It is not what its name says, or no trusted key signed it.
    """
    match, content = _NAME.match(name), store.read(f"{UPLINKS}/{name}")
    what = f"truths ({name})"
    if match is None or sha256_bytes(content) != match["sha256"]:
        raise UplinkRefused(f"{what} must have the sha256 of its name; got another; {_REMEDY}")
    try:
        body = open_sealed(content, trusted, what, remedy=_REMEDY, max_bytes=MAX_BYTES)
        found = _TruthFile.model_validate(body)
    except NotCleared as error:
        raise UplinkRefused(str(error)) from error
    except ValidationError as error:
        raise UplinkRefused(
            f"{what} must follow format 1; got {error.errors()[0]['msg']}; {_REMEDY}"
        ) from error
    if found.node != match["node"]:
        raise UplinkRefused(f"{what} must be of node {match['node']}; got another; {_REMEDY}")
    return [
        Truth(answer_id=told.answer_id, truth=told.truth, at=found.at, file=name, place=place)
        for place, told in enumerate(found.truths)
    ]


def write_truth_file(
    store: Store, node: str, truths: Sequence[tuple[str, JsonValue]], ring: KeyRing | None = None
) -> str:
    """Writes truths as a signed file below `uplinks`, durable once it returns.

    Args:
        store: The workspace.
        node: Who says so.
        truths: Pairs of an answer id and what was true.
        ring: This machine's keys; None: those of the config directory.

    Returns:
        The file's name below `uplinks`.
    """
    told = tuple(_Told(answer_id=answer_id, truth=truth) for answer_id, truth in truths)
    body = _TruthFile(node=node, at=datetime.now(UTC), truths=told)
    content = seal_body(body.model_dump(mode="json"), (ring or KeyRing()).receipt_signer())
    name = f"{node}/truth-{sha256_bytes(content)}.json"
    store.put_if_absent(f"{UPLINKS}/{name}", content)
    return name


def parse_truths(url: str) -> list[tuple[str, JsonValue]]:
    """Reads a CSV file with the columns `answer_id` and `truth`.

    Raises:
        InvalidInput: It is no such file, or an id in it cannot be an answer's.
        SourceUnavailable: It is not there.
    """
    where = redact(url)
    try:
        text = read_file(url, {}).decode("utf-8-sig")
        records = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(
            f"truths ({where}) must be a CSV file in UTF-8; got {error}; save it again"
        ) from error
    found: list[tuple[str, JsonValue]] = []
    for line, record in enumerate(records, 2):
        answer_id, truth = record.get("answer_id"), record.get("truth")
        if answer_id is None or truth is None or not _ANSWER.fullmatch(answer_id.strip()):
            raise InvalidInput(
                f"truths ({where}, line {line}) must have an answer_id, as d1:17, and a truth; got "
                f"{redact(str(answer_id))[:40]!r}; name both columns in its first line"
            )
        found.append((answer_id.strip(), truth.strip()))
    if not found:
        raise InvalidInput(f"truths ({where}) must have a row at least; got none; fill it")
    return found


def import_truths(store: Store, url: str) -> str:
    """Takes a person's CSV of truths into a workspace, signed; returns the file's name.

    Raises:
        InvalidInput: It is no such file.
        SourceUnavailable: It is not there.
    """
    return write_truth_file(store, BY_HAND, parse_truths(url))
