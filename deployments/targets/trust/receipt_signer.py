"""The key that signs receipts or batches: ed25519 (RFC 8032), in a file or behind a program.

A file is PKCS #8 PEM (RFC 5208); of a key that a program holds, such as an HSM's, there is a record
of the program and its public key instead.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from deployments.targets.errors import KeyStoreError
from deployments.targets.trust.commands import ask_command, parse_command, refuse_signature
from deployments.targets.trust.key_records import is_command
from storage.base.store import sha256_bytes


@dataclass(frozen=True)
class ReceiptSigner:
    """Signs the canonical bytes of a receipt's body.

    Attributes:
        keyid: sha256 of the raw public key.
        public: The raw public key in hexadecimal.
    """

    keyid: str
    public: str
    _sign: Callable[[bytes], str] = field(repr=False)

    def sign(self, data: bytes) -> dict[str, str]:
        """Return a signature as a receipt holds it: `{"keyid", "method", "signature"}`.

        Raises:
            KeyStoreError: The program that holds the key fails, or signs with another one.
        """
        return {"keyid": self.keyid, "method": "ed25519", "signature": self._sign(data)}


def make_private_pem() -> bytes:
    """Make a new private key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )


def make_signer(text: bytes, where: str, what: str = "receipt key") -> ReceiptSigner:
    """Return the signer of a key.

    Args:
        text: The key's file: a PEM, or the record of a program that signs.
        where: Where it lies, for messages.
        what: What the key is for, for messages.

    Raises:
        KeyStoreError: The bytes are no ed25519 key.
    """
    if is_command(text):
        return _make_command_signer(text, where, what)
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        private = load_pem_private_key(text, None)
    except ValueError as error:
        raise KeyStoreError(
            f"{what} ({where}) must be a PKCS #8 PEM; got {error}; import it again"
        ) from error
    if not isinstance(private, Ed25519PrivateKey):
        raise _refuse_kind(what, where)
    public = private.public_key().public_bytes_raw()
    return ReceiptSigner(sha256_bytes(public), public.hex(), lambda data: private.sign(data).hex())


def _make_command_signer(text: bytes, where: str, what: str) -> ReceiptSigner:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    record = parse_command(text, where)
    try:
        public = load_pem_public_key(record.public.encode())
    except ValueError as error:
        raise KeyStoreError(
            f"{what} ({where}) must name a public key as PEM; got {error}; name that of the program"
        ) from error
    if not isinstance(public, Ed25519PublicKey):
        raise _refuse_kind(what, where)
    keyid = sha256_bytes(public.public_bytes_raw())

    def sign(data: bytes) -> str:
        signature = ask_command(record.command, data)
        try:
            public.verify(bytes.fromhex(signature), data)
        except (InvalidSignature, ValueError) as error:
            raise refuse_signature(record.command, keyid) from error
        return signature

    return ReceiptSigner(keyid, public.public_bytes_raw().hex(), sign)


def _refuse_kind(what: str, where: str) -> KeyStoreError:
    return KeyStoreError(
        f"{what} ({where}) must be an ed25519 key; got another kind; import it again"
    )
