"""A private key that signs receipts or batches: ed25519 (RFC 8032) as PKCS #8 PEM (RFC 5208)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deployments.targets.errors import KeyStoreError
from storage.base.store import sha256_bytes

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


@dataclass(frozen=True)
class ReceiptSigner:
    """Signs the canonical bytes of a receipt's body."""

    keyid: str
    _private: "Ed25519PrivateKey"

    @property
    def public(self) -> str:
        """The raw public key in hexadecimal."""
        return self._private.public_key().public_bytes_raw().hex()

    def sign(self, data: bytes) -> dict[str, str]:
        """Return a signature as a receipt holds it: `{"keyid", "method", "signature"}`."""
        return {
            "keyid": self.keyid,
            "method": "ed25519",
            "signature": self._private.sign(data).hex(),
        }


def make_private_pem() -> bytes:
    """Make a new private key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )


def make_signer(pem: bytes, where: str, what: str = "receipt key") -> ReceiptSigner:
    """Return the signer of a private key.

    Args:
        pem: The key's file.
        where: Where it lies, for messages.
        what: What the key is for, for messages.

    Raises:
        KeyStoreError: The bytes are no ed25519 key.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        private = load_pem_private_key(pem, None)
    except ValueError as error:
        raise KeyStoreError(
            f"{what} ({where}) must be a PKCS #8 PEM; got {error}; import it again"
        ) from error
    if not isinstance(private, Ed25519PrivateKey):
        raise KeyStoreError(
            f"{what} ({where}) must be an ed25519 key; got another kind; import it again"
        )
    return ReceiptSigner(
        keyid=sha256_bytes(private.public_key().public_bytes_raw()), _private=private
    )
