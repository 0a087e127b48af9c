"""A channel's TUF documents: made, signed, read and verified. No files here.

The Update Framework specification 1.0 (https://theupdateframework.github.io/specification/latest/),
with consistent snapshots. Two additions: the root names its channel, and `receipt.json` in targets
carries the release; both in fields that TUF hands through (4.2, "custom" and unrecognised
attributes).
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TypeVar

from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import (
    Metadata,
    MetaFile,
    Root,
    Signed,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization.json import JSONSerializer

from deployments.targets.errors import ChannelCorrupt, KeyConflict
from deployments.targets.trust.card import RECEIPT_FILE
from deployments.targets.trust.key_records import ROLES, Role
from deployments.targets.trust.release import Release

FIELD = "x-lepton"
TARGETS_META = "targets.json"
LIFETIMES: Mapping[str, timedelta] = {
    "root": timedelta(days=365),
    "targets": timedelta(days=90),
    "snapshot": timedelta(days=14),
}
SignedT = TypeVar("SignedT", Root, Timestamp, Snapshot, Targets)


def build_root(
    channel: str, version: int, signers: Mapping[Role, CryptoSigner], now: datetime
) -> bytes:
    """Builds a root that names its channel and holds one key a role."""
    root = Root(
        version=version,
        expires=_expiry("root", now),
        consistent_snapshot=True,
        unrecognized_fields={FIELD: {"channel": channel, "format": 1}},
    )
    for role in ROLES:
        root.add_key(signers[role].public_key, role)
    return _sign(root, signers["root"])


def build_targets(
    version: int, files: Mapping[str, TargetFile], signer: CryptoSigner, now: datetime
) -> bytes:
    """Builds targets that list a release's files; none for a channel without one."""
    return _sign(
        Targets(version=version, expires=_expiry("targets", now), targets=dict(files)), signer
    )


def build_snapshot(
    version: int,
    targets: tuple[int, bytes],
    release: Release | None,
    nonce: str,
    signer: CryptoSigner,
    now: datetime,
) -> bytes:
    """Builds the commit: it names the targets, the release, and the champion that was expected."""
    record = {
        "commit": nonce,
        "expected": release.expected if release else None,
        "release": release.number if release else None,
    }
    snapshot = Snapshot(
        version=version,
        expires=_expiry("snapshot", now),
        meta={TARGETS_META: MetaFile.from_data(targets[0], targets[1], ["sha256"])},
        unrecognized_fields={FIELD: record},
    )
    return _sign(snapshot, signer)


def build_timestamp(snapshot: Snapshot, data: bytes, signer: CryptoSigner) -> bytes:
    """Builds the timestamp of a snapshot, with its version and expiry.

    Whoever completes a commit writes the same bytes: ed25519 signatures are deterministic
    (RFC 8032, 5.1.6).
    """
    meta = MetaFile.from_data(snapshot.version, data, ["sha256"])
    return _sign(
        Timestamp(version=snapshot.version, expires=snapshot.expires, snapshot_meta=meta), signer
    )


def describe_files(files: Mapping[str, bytes], release: Release) -> dict[str, TargetFile]:
    """Describes a release's files as targets; the receipt's carries the release itself."""
    entries = {name: TargetFile.from_data(name, data, ["sha256"]) for name, data in files.items()}
    entries[RECEIPT_FILE].unrecognized_fields["custom"] = release.model_dump(mode="json")
    return entries


def read_release(targets: Targets, where: str) -> Release | None:
    """Reads the release that verified targets state; None for a channel without one."""
    entry = targets.targets.get(RECEIPT_FILE)
    return Release.parse(entry.custom, where) if entry is not None else None


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


def check_signers(root: Root, signers: Mapping[Role, CryptoSigner], where: str) -> None:
    """Checks that this machine's keys are those that the root names, before anything is written."""
    for role in ROLES:
        if signers[role].public_key.keyid not in root.get_delegated_role(role).keyids:
            raise KeyConflict(
                f"{role} key of {where} must be the one its root names; got another; import the "
                "right keys"
            )


def is_ageing(signed: Signed, role: Role, now: datetime) -> bool:
    """Tells whether less than half of a document's lifetime is left."""
    return signed.expires - now < LIFETIMES[role] / 2


def _expiry(role: Role, now: datetime) -> datetime:
    return (now + LIFETIMES[role]).replace(microsecond=0)


def _sign(signed: SignedT, signer: CryptoSigner) -> bytes:
    metadata = Metadata[SignedT](signed)
    metadata.sign(signer)
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
