"""A channel's TUF documents: made, signed, read and verified. No files here.

The Update Framework specification 1.0 (https://theupdateframework.github.io/specification/latest/),
with consistent snapshots. Additions: the root names its channel, `receipt.json` in targets carries
the release, and a snapshot the decision behind it; all in fields that TUF hands through (4.2,
"custom" and unrecognised attributes).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from securesystemslib.signer import Signer
from tuf.api.exceptions import RepositoryError, UnsignedMetadataError
from tuf.api.metadata import (
    Metadata,
    MetaFile,
    Root,
    Signed,
    Snapshot,
    Targets,
    Timestamp,
)
from tuf.api.serialization.json import JSONSerializer

from deployments.targets.errors import ChannelCorrupt, KeyStoreError
from deployments.targets.trust.decision import Decision
from deployments.targets.trust.key_records import Role
from deployments.targets.trust.offers import FIELD, Content

SignerMap = Mapping[Role, Sequence[Signer]]
TARGETS_META = "targets.json"
LIFETIMES: Mapping[str, timedelta] = {
    "root": timedelta(days=365),
    "targets": timedelta(days=90),
    "snapshot": timedelta(days=14),
}
SignedT = TypeVar("SignedT", Root, Timestamp, Snapshot, Targets)


def build_targets(
    version: int, content: Content, signers: Sequence[Signer], now: datetime
) -> bytes:
    """Builds targets that list what a channel offers; no files for a channel without a release."""
    targets = Targets(
        version=version,
        expires=find_expiry("targets", now),
        targets=content.list_entries(),
        unrecognized_fields=content.list_fields(),
    )
    return sign_document(targets, signers)


def build_snapshot(
    version: int,
    targets: tuple[int, bytes],
    content: Content,
    decision: Decision | None,
    nonce: str,
    signers: Sequence[Signer],
    now: datetime,
) -> bytes:
    """Builds the commit: it names the targets, the release and the one expected, the decision."""
    release = content.release
    record: dict[str, object] = {
        "commit": nonce,
        "expected": release.expected if release else None,
        "release": release.number if release else None,
    }
    if decision is not None:
        record["decision"] = decision.model_dump(mode="json", exclude_defaults=True)
    snapshot = Snapshot(
        version=version,
        expires=find_expiry("snapshot", now),
        meta={TARGETS_META: MetaFile.from_data(targets[0], targets[1], ["sha256"])},
        unrecognized_fields={FIELD: record},
    )
    return sign_document(snapshot, signers)


def build_timestamp(snapshot: Snapshot, data: bytes, signers: Sequence[Signer]) -> bytes:
    """Builds the timestamp of a snapshot, with its version and expiry.

    Whoever completes a commit writes the same bytes: ed25519 signatures are deterministic
    (RFC 8032, 5.1.6).
    """
    meta = MetaFile.from_data(snapshot.version, data, ["sha256"])
    return sign_document(
        Timestamp(version=snapshot.version, expires=snapshot.expires, snapshot_meta=meta), signers
    )


def read_decision(snapshot: Snapshot, where: str) -> Decision | None:
    """Reads the decision that a verified snapshot carries out; None: it only signs anew."""
    record = snapshot.unrecognized_fields.get(FIELD)
    found = record.get("decision") if isinstance(record, dict) else None
    return Decision.parse(found, where) if found is not None else None


def read_pinned_root(data: bytes, where: str) -> Root:
    """Reads the first root, which is trusted by its digest alone."""
    return _parse(Root, data, where).signed


def read_next_root(data: bytes, previous: Root, where: str) -> Root:
    """Reads a following root: one version up, signed by the one before and by itself (TUF 5.3)."""
    metadata = _parse(Root, data, where)
    try:
        previous.verify_delegate("root", metadata.signed_bytes, metadata.signatures)
        metadata.signed.verify_delegate("root", metadata.signed_bytes, metadata.signatures)
    except RepositoryError as error:
        raise _corrupt(where, error) from error
    if metadata.signed.version != previous.version + 1:
        raise _corrupt(where, f"version {metadata.signed.version} after {previous.version}")
    return metadata.signed


def read_metadata(kind: type[SignedT], data: bytes, root: Root, where: str) -> SignedT:
    """Reads a document of another role, verified against the root.

    Expiry is the reader's to judge.

    Raises:
        ChannelCorrupt: It is not that document, or not signed by the role's key.
    """
    metadata = _parse(kind, data, where)
    try:
        root.verify_delegate(kind.type, metadata.signed_bytes, metadata.signatures)
    except (RepositoryError, ValueError) as error:
        raise _corrupt(where, error) from error
    return metadata.signed


def check_meta(meta: MetaFile, data: bytes, where: str) -> None:
    """Checks a document against the length and digest that the one above it states."""
    try:
        meta.verify_length_and_hashes(data)
    except RepositoryError as error:
        raise _corrupt(where, error) from error


def name_channel(root: Root) -> str:
    """Returns the channel that a root is for; empty if it names none."""
    record = root.unrecognized_fields.get(FIELD)
    return str(record.get("channel", "")) if isinstance(record, dict) else ""


def is_ageing(signed: Signed, role: Role, now: datetime) -> bool:
    """Tells whether less than half of a document's lifetime is left."""
    return signed.expires - now < LIFETIMES[role] / 2


def find_expiry(role: Role, now: datetime) -> datetime:
    """Return when a role's document that is signed now runs out."""
    return (now + LIFETIMES[role]).replace(microsecond=0)


def sign_document(signed: SignedT, signers: Sequence[Signer]) -> bytes:
    """Sign a document by each of the signers.

    Raises:
        KeyStoreError: A signing command fails.
    """
    metadata = Metadata[SignedT](signed)
    try:
        for signer in signers:
            metadata.sign(signer, append=True)
    except UnsignedMetadataError as error:
        if isinstance(error.__cause__, KeyStoreError):
            raise error.__cause__ from error
        raise
    return metadata.to_bytes(JSONSerializer(compact=True))


def _parse(kind: type[SignedT], data: bytes, where: str) -> Metadata[SignedT]:
    try:
        metadata = Metadata[SignedT].from_bytes(data)
    except RepositoryError as error:
        raise _corrupt(where, error) from error
    if not isinstance(metadata.signed, kind):
        raise _corrupt(where, f"a {metadata.signed.type} document")
    return metadata


def _corrupt(where: str, found: object) -> ChannelCorrupt:
    return ChannelCorrupt(
        f"channel metadata ({where}) must be signed by its channel's keys and match what lists it; "
        f"got {found}; restore the file from a copy of the channel"
    )
