"""Sealed records: canonical JSON that says something, and who signed it.

A file holds `{"signatures": [{"keyid", "method", "signature"}, ...], "signed": body}`, as a receipt
does. What a body is, its own format says; a record of one sort is never read as another, for each
sort knows all its fields.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from deployments.targets.errors import NotCleared
from deployments.targets.trust.receipt_signer import ReceiptSigner
from storage.base.errors import StorageError
from storage.base.store import canonical_json

MAX_SEALED_BYTES = 2**20


def seal_body(body: Mapping[str, Any], signer: ReceiptSigner) -> bytes:
    """Return the file of a record: its body and a signature over the body's canonical bytes."""
    signature = signer.sign(canonical_json(body))
    return canonical_json({"signatures": [signature], "signed": dict(body)})


def open_sealed(
    data: bytes,
    trusted: Mapping[str, bytes],
    what: str,
    *,
    remedy: str,
    max_bytes: int = MAX_SEALED_BYTES,
) -> dict[str, Any]:
    """Checks a record's form and signature.

    Args:
        data: The file's bytes.
        trusted: Raw ed25519 public keys by key id.
        what: What the record is, for messages.
        remedy: What to do where it cannot be trusted, for messages.
        max_bytes: The longest that it may be.

    Returns:
        The body.

    Raises:
        NotCleared: It is too long, not canonical JSON, or no trusted key signed it.
    """
    envelope = parse_envelope(data, what, remedy=remedy, max_bytes=max_bytes)
    body, signatures = envelope["signed"], envelope["signatures"]
    if not isinstance(body, dict) or not isinstance(signatures, list):
        raise NotCleared(f"{what} must hold a body and a list of signatures; got others; {remedy}")
    if not any(is_signed(canonical_json(body), signature, trusted) for signature in signatures):
        raise NotCleared(
            f"{what} must be signed by one of {len(trusted)} trusted keys; got "
            f"{name_signers(signatures)}; {remedy}"
        )
    return body


def parse_envelope(data: bytes, what: str, *, remedy: str, max_bytes: int) -> dict[str, Any]:
    """Parses a record's file into its signatures and its signed body, whatever both say.

    Raises:
        NotCleared: It is too long, or not canonical JSON of these two.
    """
    if len(data) > max_bytes:
        raise NotCleared(f"{what} must be at most {max_bytes} bytes; got {len(data)}; {remedy}")
    try:
        envelope = json.loads(data)
        # Parsers disagree about doubled keys and stray bytes; the canonical form leaves nothing to
        # disagree about.
        canonical = canonical_json(envelope) == data
    except (ValueError, RecursionError, StorageError) as error:
        raise NotCleared(f"{what} must be canonical JSON; got {error}; {remedy}") from error
    if not canonical or not isinstance(envelope, dict) or set(envelope) != {"signatures", "signed"}:
        raise NotCleared(
            f"{what} must be canonical JSON of its signatures and its signed body; got another; "
            f"{remedy}"
        )
    return envelope


def is_signed(data: bytes, signature: object, trusted: Mapping[str, bytes]) -> bool:
    """Tells whether one of the trusted keys signed the data."""
    if not isinstance(signature, dict) or signature.get("method") != "ed25519":
        return False
    public = trusted.get(str(signature.get("keyid")))
    return public is not None and is_signature(data, str(signature.get("signature")), public)


def is_signature(data: bytes, signature: str, public: bytes) -> bool:
    """Tells whether an ed25519 signature, in hexadecimal, is that of a raw public key."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(bytes.fromhex(signature), data)
    except (InvalidSignature, ValueError):
        return False
    return True


def name_signers(signatures: object) -> str:
    """Return the first digits of the key ids that signed, for messages."""
    names: Iterator[str] = (
        str(entry.get("keyid"))[:12]
        for entry in (signatures if isinstance(signatures, list) else [])
        if isinstance(entry, dict)
    )
    return ", ".join(names) or "no signature"
