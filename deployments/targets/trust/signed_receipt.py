"""A receipt on its way to a release: its form and its signature, whatever it says."""

from collections.abc import Mapping
from typing import Any, Final

from deployments.targets.errors import NotCleared
from deployments.targets.trust.sealed import is_signed, name_signers, parse_envelope
from storage.base.store import canonical_json, sha256_bytes

FORMAT: Final = 2
MAX_RECEIPT_BYTES = 8 * 2**20
REMEDY = "run the recipe again to get a receipt for these bytes"


def verify_receipt(receipt: bytes, trusted: Mapping[str, bytes]) -> dict[str, Any]:
    """Checks a receipt's form and signature, whatever its status.

    Args:
        receipt: The file's bytes: canonical JSON of `{"signatures": [...], "signed": body}`.
        trusted: Raw ed25519 public keys by key id.

    Returns:
        The body.

    Raises:
        NotCleared: It is not canonical JSON of a known format, or no trusted key signed it.
    """
    envelope = parse_envelope(receipt, "receipt", remedy=REMEDY, max_bytes=MAX_RECEIPT_BYTES)
    _require_signed(receipt, envelope, trusted)
    return dict(envelope["signed"])


def _require_signed(
    receipt: bytes, envelope: Mapping[str, Any], trusted: Mapping[str, bytes]
) -> None:
    """Checks that a receipt's body is of the format known here and that a trusted key signed it."""
    body = envelope["signed"]
    found = body.get("format") if isinstance(body, dict) else None
    if found != FORMAT:
        remedy = REMEDY if found in range(FORMAT) else "read it with a newer Lepton"
        raise NotCleared(f"receipt must have format {FORMAT}; got {found!r}; {remedy}")
    if not any(
        is_signed(canonical_json(body), signature, trusted)
        for signature in as_list(envelope["signatures"])
    ):
        raise NotCleared(
            f"receipt ({sha256_bytes(receipt)[:12]}) must be signed by one of {len(trusted)} "
            f"trusted keys; got {name_signers(envelope['signatures'])}; import the signer's "
            "public key with `lepton keys import`"
        )


def as_list(value: object) -> list[Any]:
    """Return a value of a receipt that must be a list; refuse anything else."""
    if not isinstance(value, list):
        raise NotCleared(f"receipt must hold a list; got {type(value).__name__}; {REMEDY}")
    return value
