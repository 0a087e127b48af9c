"""A channel's private keys: PEM files, or commands that sign; which of them its root asks for."""

import json
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import CryptoSigner, Key, SecretsHandler, Signature, Signer, SSlibKey
from tuf.api.metadata import Root

from deployments.targets.errors import KeyAbsent, KeyConflict, KeyStoreError
from deployments.targets.trust.key_records import ROLES, Role, is_command

SIGN_TIMEOUT_S: Final = 120.0
_FILE = re.compile(r"^((?:root|targets|snapshot|timestamp)(?:-[0-9a-f]{12})?)\.(pem|json)$")
Held = Mapping[Role, Sequence[Signer]]


class CommandKey(BaseModel):
    """A key that another program holds, such as an HSM's or a KMS's client.

    Attributes:
        format: Version of this record.
        command: The program and its arguments. It reads what is to be signed on its standard
            input, and writes the signature in hexadecimal on its standard output.
        public: The public key as PEM.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = Field(default=1, ge=1, le=1)
    command: tuple[str, ...] = Field(min_length=1)
    public: str


class CommandSigner(Signer):
    """Signs through a program; what it gives is verified before it is used."""

    def __init__(self, command: Sequence[str], public_key: Key) -> None:
        self._command = tuple(command)
        self._public_key = public_key

    @property
    def public_key(self) -> Key:
        """The public key."""
        return self._public_key

    @classmethod
    def from_priv_key_uri(
        cls, priv_key_uri: str, public_key: Key, secrets_handler: SecretsHandler | None = None
    ) -> "CommandSigner":
        """Makes the signer of a command line."""
        del secrets_handler
        return cls(shlex.split(priv_key_uri), public_key)

    def sign(self, payload: bytes) -> Signature:
        """Sign bytes.

        Raises:
            KeyStoreError: The program cannot be run, fails, or signs with another key.
        """
        what = f"signing command ({self._command[0]})"
        try:
            done = subprocess.run(
                self._command, input=payload, capture_output=True, timeout=SIGN_TIMEOUT_S
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise KeyStoreError(
                f"{what} must sign within {SIGN_TIMEOUT_S:.0f} s; got {type(error).__name__}; run "
                "it by hand"
            ) from error
        signature = Signature(
            self._public_key.keyid, done.stdout.decode("ascii", "replace").strip()
        )
        if done.returncode != 0:
            raise KeyStoreError(
                f"{what} must end with status 0; got {done.returncode}; run it by hand"
            )
        try:
            self._public_key.verify_signature(signature, payload)
        except (UnverifiedSignatureError, ValueError) as error:
            raise KeyStoreError(
                f"{what} must sign with key {self._public_key.keyid[:12]}, in hexadecimal; got "
                "something else; name its own public key"
            ) from error
        return signature


def make_key() -> CryptoSigner:
    """Make a new ed25519 key."""
    return CryptoSigner(Ed25519PrivateKey.generate())


def make_command_key(command: str, public_pem: bytes) -> tuple[bytes, Signer]:
    """Return the record of a key that a command line signs with, and its signer.

    Raises:
        KeyStoreError: The command is empty, or the public key is none.
    """
    try:
        parts = tuple(shlex.split(command))
        record = CommandKey(command=parts, public=public_pem.decode("ascii"))
    except ValueError as error:
        raise KeyStoreError(
            "signing command must be a program with its arguments, and have a public key as PEM; "
            f"got {type(error).__name__}; write e.g. 'sign-with-token --slot 9c'"
        ) from error
    text = record.model_dump_json().encode()
    return text, load_channel_key(text, "the public key of the command")


def parse_key_file(name: str) -> tuple[Role, str] | None:
    """Return the role and the name of the key that a file's name says; None: it holds none."""
    match = _FILE.match(name)
    return (name_role(match[1]), match[1]) if match else None


def name_role(key: str) -> Role:
    """Return the role of a key, by its name."""
    return next(role for role in ROLES if role == key.partition("-")[0])


def name_key(role: Role, signer: Signer) -> str:
    """Return the name of a key beside others of its role."""
    return f"{role}-{signer.public_key.keyid[:12]}"


def name_key_file(name: str, text: bytes) -> str:
    """Return the name of the file of a key's text."""
    return f"{name}.{'json' if is_command(text) else 'pem'}"


def load_channel_key(text: bytes, where: str) -> Signer:
    """Return the signer of a key's text: a PEM, or the record of a command.

    Raises:
        KeyStoreError: It is neither.
    """
    try:
        if not is_command(text):
            return CryptoSigner(load_pem_private_key(text, None))
        record = CommandKey.model_validate(json.loads(text))
        public = load_pem_public_key(record.public.encode())
        return CommandSigner(record.command, SSlibKey.from_crypto(public))
    except ValidationError as error:
        raise KeyStoreError(
            f"key ({where}) must be the record of a signing command; got "
            f"{error.errors()[0]['msg']}; import it again"
        ) from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyStoreError(
            f"key ({where}) must be a PKCS #8 PEM; got {error}; import it again"
        ) from error


def pick_signers(
    root: Root, role: Role, held: Held, where: str, dropped: Sequence[str] = ()
) -> tuple[Signer, ...]:
    """Return as many of a role's keys as must sign, before anything is written.

    Args:
        root: The channel's root, which names the keys.
        role: The role.
        held: The keys that this machine holds.
        where: Where they lie, for messages.
        dropped: Ids of keys that are on their way out.

    Raises:
        KeyConflict: Those that are held are others.
        KeyAbsent: There are too few of them.
    """
    wanted = root.roles[role]
    usable = {
        signer.public_key.keyid: signer
        for signer in held.get(role, ())
        if signer.public_key.keyid in wanted.keyids and signer.public_key.keyid not in dropped
    }
    if len(usable) >= wanted.threshold:
        order = [keyid for keyid in wanted.keyids if keyid in usable]
        return tuple(usable[keyid] for keyid in order[: wanted.threshold])
    if held.get(role) and not usable:
        raise KeyConflict(
            f"{role} key ({where}) must be one that the channel's root names; got another; import "
            "the right keys"
        )
    raise KeyAbsent(
        f"key ({where}/{role}.pem) must be on this machine; got {len(usable)} of the "
        f"{wanted.threshold} {role} keys that must sign; run `lepton keys import`, or give the "
        "files with --keys"
    )
