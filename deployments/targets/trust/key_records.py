"""What is written down of keys: whom this machine trusts, and bundles that carry keys elsewhere."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from deployments.targets.errors import KeyStoreError
from deployments.targets.trust.card import Sha256
from storage.base.store import sha256_bytes

Role = Literal["root", "targets", "snapshot", "timestamp"]
ROLES: tuple[Role, ...] = ("root", "targets", "snapshot", "timestamp")
KeyName = Annotated[str, Field(pattern=r"^(root|targets|snapshot|timestamp)(-[0-9a-f]{12})?$")]
"""A channel's key: its role, and the beginning of its id where the role has others."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TrustedKey(_Record):
    """A public key whose receipts are accepted.

    Attributes:
        keyid: sha256 of the raw public key.
        method: The signature scheme.
        public: The raw public key, 32 bytes in hexadecimal.
    """

    keyid: Sha256
    method: Literal["ed25519"] = "ed25519"
    public: str

    @model_validator(mode="after")
    def _check_id(self) -> Self:
        raw = bytes.fromhex(self.public)
        if len(raw) != 32 or sha256_bytes(raw) != self.keyid:
            raise ValueError(
                f"key id ({self.keyid}) must be the sha256 of its 32 byte public key; got another"
            )
        return self


class PinnedChannel(_Record):
    """A channel that is trusted: the exact text of its first root, and the digest of it."""

    id: Sha256
    root: str

    @model_validator(mode="after")
    def _check_id(self) -> Self:
        if (got := sha256_bytes(self.root.encode())) != self.id:
            raise ValueError(f"channel id ({self.id}) must be the sha256 of its root; got {got}")
        return self


class PrivateKeys(_Record):
    """Secrets: the receipt key, and each channel's keys by name; PEM, or a signing command each."""

    receipt: str | None = None
    channels: dict[Sha256, dict[KeyName, str]] = {}


class KeyBundle(_Record):
    """What `lepton keys export` writes. A device needs the public half only."""

    format: Literal[1] = 1
    trusted: tuple[TrustedKey, ...] = ()
    channels: tuple[PinnedChannel, ...] = ()
    private: PrivateKeys | None = None

    @classmethod
    def parse(cls, data: bytes | str, where: str) -> "KeyBundle":
        """Reads a bundle; the error never repeats its content, for it may hold secrets."""
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(map(str, fault['loc']))}: {fault['type']}" for fault in error.errors()
            )
            raise KeyStoreError(
                f"key bundle ({where}) must follow format 1; got {faults}; export it again with "
                "`lepton keys export`"
            ) from None


def is_command(text: bytes) -> bool:
    """Tell whether a key's text is the record of a program that signs, and no PEM."""
    return text.lstrip().startswith(b"{")


def parse_trusted(data: bytes, path: Path) -> TrustedKey:
    """Read the record of a trusted key.

    Raises:
        KeyStoreError: It is none.
    """
    try:
        return TrustedKey.model_validate_json(data)
    except ValidationError as error:
        raise KeyStoreError(
            f"trusted key ({path}) must be a public key record; got {error.errors()[0]['msg']}; "
            "remove it, or import it again"
        ) from error
