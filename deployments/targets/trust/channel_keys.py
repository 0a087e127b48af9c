"""A channel's private keys: PEM files, or commands that sign; which of them its root asks for."""

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import CryptoSigner, Key, SecretsHandler, Signature, Signer, SSlibKey
from tuf.api.metadata import Root

from deployments.targets.errors import KeyAbsent, KeyConflict, KeyStoreError
from deployments.targets.trust.commands import (
    ask_command,
    describe_command,
    parse_command,
    refuse_signature,
)
from deployments.targets.trust.key_records import ROLES, Role, is_command

_FILE = re.compile(r"^((?:root|targets|snapshot|timestamp)(?:-[0-9a-f]{12})?)\.(pem|json)$")
Held = Mapping[Role, Sequence[Signer]]


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
        given = ask_command(self._command, payload)
        signature = Signature(self._public_key.keyid, given)
        try:
            self._public_key.verify_signature(signature, payload)
        except (UnverifiedSignatureError, ValueError) as error:
            raise refuse_signature(self._command, self._public_key.keyid) from error
        return signature


def make_key() -> CryptoSigner:
    """Make a new ed25519 key."""
    return CryptoSigner(Ed25519PrivateKey.generate())


def make_command_key(command: str, public_pem: bytes) -> tuple[bytes, Signer]:
    """Return the record of a key that a command line signs with, and its signer.

    Raises:
        KeyStoreError: The command is empty, or the public key is none.
    """
    text = describe_command(command, public_pem)
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
        record = parse_command(text, where)
        public = load_pem_public_key(record.public.encode())
        return CommandSigner(record.command, SSlibKey.from_crypto(public))
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyStoreError(
            f"key ({where}) must be a PKCS #8 PEM; got {error}; import it again"
        ) from error


class Wanted(NamedTuple):
    """Which keys of a role must sign.

    Attributes:
        kept: Ids of those that stay.
        kept_threshold: How many of these must.
        threshold: How many must in all; while keys go, some of them fill up.
    """

    kept: tuple[str, ...]
    kept_threshold: int
    threshold: int


def pick_signers(
    root: Root, role: Role, held: Held, where: str, wanted: Wanted
) -> tuple[Signer, ...]:
    """Return as many of a role's keys as must sign, before anything is written.

    Args:
        root: The channel's root, which names the keys.
        role: The role.
        held: The keys that this machine holds.
        where: Where they lie, for messages.
        wanted: Which of them must sign.

    Raises:
        KeyConflict: Those that are held are others.
        KeyAbsent: There are too few of them.
    """
    named = root.roles[role].keyids
    signers = {signer.public_key.keyid: signer for signer in held.get(role, ())}
    usable = [keyid for keyid in named if keyid in signers and keyid in wanted.kept]
    going = [keyid for keyid in named if keyid in signers and keyid not in wanted.kept]
    most = max(wanted.kept_threshold, wanted.threshold)
    chosen = [*usable[: wanted.kept_threshold], *going][:most]
    if len(usable) >= wanted.kept_threshold and len(chosen) == most:
        return tuple(signers[keyid] for keyid in named if keyid in chosen)
    if held.get(role) and not usable:
        raise KeyConflict(
            f"{role} key ({where}) must be one that the channel's root names; got another; import "
            "the right keys"
        )
    raise KeyAbsent(
        f"key ({where}/{role}.pem) must be on this machine; got {len(usable)} of the "
        f"{most} {role} keys that must sign; run `lepton keys import`, or give the files with "
        "--keys"
    )
