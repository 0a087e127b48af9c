"""The record of a batch: which rows were asked of which model, by which gates, and what came of it.

It is signed by this machine's receipt key and lies in the workspace as `batches/<key>.json`, and
beside the answers. Its key is over what was asked and where the answers go, so that the same call
again finds it.
"""

from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import Field, JsonValue, ValidationError

from deployments.targets.errors import NotCleared
from deployments.targets.trust.keys import KeyRing
from deployments.targets.trust.sealed import open_sealed, seal_body
from storage.base.errors import NotFound
from storage.base.store import Store, canonical_json, redact, sha256_bytes
from storage.records.receipts import CodeRecord, DatasetRecord, FileRecord, Record
from tasks.runtime.errors import BatchError

FOLDER = "batches"
BESIDE = "_receipt.json"
"""Name of the record beside files of answers; readers of folders pass names with `_` over."""
MAX_BYTES = 64 * 2**20


class BatchRecord(Record):
    """What a batch came to.

    Attributes:
        status: "published", or "stopped" by a gate: then nothing was written.
        stopped_at: The stage that stopped it.
        reasons: Why, one sentence each.
        recipe: Name of the model's recipe.
        model_id: The model that answered.
        artifact: Digest of the bytes that answered.
        receipt: The receipt that cleared them.
        channel: The channel that they were taken from; None where the model was named.
        release: Its release.
        asked: The rows.
        answers: The answers as a version of a data set; None of a stopped batch.
        out: Where the answers went, without secrets.
        format: "parquet", "csv" or "shards".
        files: The files of answers by name, with digest and size; none of shards.
        rows: Rows that were asked for, those that could not be read among them.
        answered: Rows with an answer.
        noted: Answers with a note.
        gates: The reports of the gates.
        lepton: The code that ran.
    """

    format_version: Literal[1] = 1
    key: str
    status: Literal["published", "stopped"]
    stopped_at: str | None = None
    reasons: tuple[str, ...] = ()
    created_at: datetime
    recipe: str
    model_id: str
    artifact: str
    receipt: str
    channel: str | None
    release: int | None
    asked: DatasetRecord
    answers: DatasetRecord | None = None
    out: str
    format: str
    files: dict[str, FileRecord] = Field(default={})
    rows: int | None = None
    answered: int | None = None
    noted: int | None = None
    gates: tuple[dict[str, JsonValue], ...] = ()
    lepton: CodeRecord

    @property
    def is_published(self) -> bool:
        """Whether the answers were written."""
        return self.status == "published"


def make_key(artifact: str, asked: DatasetRecord, out: Store, format: str) -> str:
    """Return what names a batch: 64 hexadecimal digits over what is asked and where it goes."""
    return sha256_bytes(
        canonical_json(
            {"artifact": artifact, "asked": asked.digest, "format": format, "out": out.display}
        )
    )


def write_record(store: Store, record: BatchRecord) -> bytes:
    """Sign a record and write it into the workspace; return the file's bytes.

    Each stopped batch leaves a record of its own; of a published one that is made again, as after
    its files were lost, the record that tells of the files that are there takes the first one's
    place.
    """
    content = seal_body(record.model_dump(mode="json"), KeyRing().receipt_signer())
    store.write(locate_record(record), content)
    return content


def locate_record(record: BatchRecord) -> str:
    """Return the path of a record in its workspace."""
    if record.is_published:
        return f"{FOLDER}/{record.key}.json"
    moment = record.created_at.astimezone(UTC).strftime("%Y%m%dT%H%M%S%f")
    return f"{FOLDER}/{record.key}-stopped-{moment}.json"


def find_published(store: Store, key: str) -> BatchRecord | None:
    """Return the record of a batch that was published; None where none was.

    Raises:
        BatchError: There is one that no trusted key signed.
    """
    path = f"{FOLDER}/{key}.json"
    try:
        content = store.read(path)
    except NotFound:
        return None
    return parse_record(content, redact(f"{store.display}/{path}"))


def parse_record(content: bytes, where: str) -> BatchRecord:
    """Read a record.

    Raises:
        BatchError: It is none, or no trusted key signed it.
    """
    remedy = "move it away, and ask again"
    try:
        trusted = KeyRing().trusted_receipt_keys()
        body: dict[str, Any] = open_sealed(
            content, trusted, f"record of a batch ({where})", remedy=remedy, max_bytes=MAX_BYTES
        )
        return BatchRecord.model_validate(body)
    except NotCleared as error:
        raise BatchError(str(error)) from error
    except ValidationError as error:
        raise BatchError(
            f"record of a batch ({where}) must follow its format; got {error.error_count()} "
            f"faults; {remedy}"
        ) from error
