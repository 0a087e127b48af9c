"""Keys at rest, encrypted by a passphrase: backups of a machine, and keys that are kept apart.

A file is JSON: parameters of scrypt (RFC 7914), a nonce, and a key bundle sealed by
ChaCha20-Poly1305 (RFC 8439) with all of that as additional data.
"""

import base64
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deployments.targets.errors import KeyAbsent, KeyStoreError
from deployments.targets.trust.channel_keys import load_channel_key, name_role
from deployments.targets.trust.key_files import put_private, read_private, read_public
from deployments.targets.trust.key_records import KeyBundle, PinnedChannel, PrivateKeys, Role
from deployments.targets.trust.keys import KeyRing
from deployments.targets.trust.receipt_signer import make_signer
from storage.base.store import canonical_json

MIN_LETTERS: Final = 8
_COST: Final = 2**15
"""32 MiB and a tenth of a second a guess."""
Ask = Callable[[], str]
"""Asks a person for the passphrase."""


class _Header(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    kind: Literal["lepton-keys"] = "lepton-keys"
    cost: int = Field(ge=2**14, le=2**20)
    salt: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    nonce: Annotated[str, Field(pattern=r"^[0-9a-f]{24}$")]


class _Sealed(_Header):
    sealed: str


class _Content(BaseModel):
    """What is sealed: the keys, and how far each channel had got."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bundle: KeyBundle
    highest: Mapping[str, int] = {}


def back_up_keys(path: str | Path, passphrase: str, ring: KeyRing | None = None) -> KeyBundle:
    """Write all keys of this machine to a new encrypted file, and read it back.

    Raises:
        KeyStoreError: The passphrase is short, or the file exists or cannot be written.
    """
    keys = ring or KeyRing()
    highest = {channel_id: keys.read_highest(channel_id) for channel_id in keys.channel_ids()}
    content = _Content(bundle=keys.bundle(private=True), highest=highest)
    _write(Path(path).absolute(), content, passphrase)
    return content.bundle


def restore_keys(
    path: str | Path, ask: Ask, ring: KeyRing | None = None, *, dry_run: bool = False
) -> KeyBundle:
    """Take over all keys of a backup; never replaces a private key.

    Args:
        path: The file.
        ask: Asks for the passphrase.
        ring: Where they go; None: the config directory.
        dry_run: Only open the file, and load each key of it.

    Raises:
        KeyAbsent: There is no such file.
        KeyStoreError: It is damaged, or the passphrase is another.
        KeyConflict: This machine already uses another private key in the same place.
    """
    content = _open(Path(path).absolute(), ask)
    private = content.bundle.private or PrivateKeys()
    if private.receipt is not None:
        make_signer(private.receipt.encode(), "the backup")
    for held in private.channels.values():
        for name, text in held.items():
            load_channel_key(text.encode(), name)
    if not dry_run:
        keys = ring or KeyRing()
        keys.add_bundle(content.bundle)
        for channel_id, version in content.highest.items():
            keys.record_highest(channel_id, version)
    return content.bundle


def split_keys(
    channel: str, role: Role, folder: str | Path, passphrase: str, ring: KeyRing | None = None
) -> list[Path]:
    """Move the keys of a role out of the config directory, each to an encrypted file of its own.

    A key leaves this machine's directory only once its file has been read back. A call that was
    killed is finished by the next one.

    Args:
        channel: Id of the channel.
        role: The role, such as "root".
        folder: Where the files go, such as a removable disk.
        passphrase: Encrypts them.
        ring: The keys; None: those of the config directory.

    Returns:
        The files.

    Raises:
        KeyAbsent: No key of the role is here.
        KeyStoreError: A file cannot be written, or another one is in its place.
    """
    keys = ring or KeyRing()
    root = keys.pinned_root(channel)
    texts = {
        name: text
        for name, text in keys.channel_key_texts(channel).items()
        if name_role(name) == role
    }
    if root is None or not texts:
        raise KeyAbsent(
            f"{role} keys of channel {channel[:12]} must be on this machine to be split; got none; "
            "they may be split already"
        )
    pinned, written = PinnedChannel(id=channel, root=root.decode()), []
    for text in texts.values():
        keyid = load_channel_key(text, role).public_key.keyid
        name = f"{role}-{keyid[:12]}"
        private = PrivateKeys(channels={channel: {name: text.decode()}})
        content = _Content(bundle=KeyBundle(channels=(pinned,), private=private))
        path = Path(folder).absolute() / f"{channel[:12]}-{name}.keys"
        if not path.exists() or _open(path, lambda: passphrase) != content:
            _write(path, content, passphrase)
        keys.drop_channel_key(channel, keyid)
        written.append(path)
    return written


def read_bundle(path: str | Path, ask: Ask) -> KeyBundle:
    """Read a key bundle, whether or not it is encrypted.

    Raises:
        KeyAbsent: There is no such file.
        KeyUnsafe: It holds private keys in the clear, and other users may read it.
        KeyStoreError: It is none, or the passphrase is another.
    """
    source = Path(path).absolute()
    data = read_public(source)
    if data is None:
        raise _absent(source)
    if b'"lepton-keys"' in data:
        return _open(source, ask).bundle
    bundle = KeyBundle.parse(data, str(source))
    if bundle.private is not None:
        read_private(source)
    return bundle


def _write(path: Path, content: _Content, passphrase: str) -> None:
    if len(passphrase) < MIN_LETTERS:
        raise KeyStoreError(
            f"passphrase must have at least {MIN_LETTERS} letters; got {len(passphrase)}; choose a "
            "longer one"
        )
    header = _Header(cost=_COST, salt=secrets.token_hex(16), nonce=secrets.token_hex(12))
    cipher = ChaCha20Poly1305(_derive(header, passphrase))
    sealed = cipher.encrypt(
        bytes.fromhex(header.nonce), content.model_dump_json().encode(), _bind(header)
    )
    file = _Sealed(**header.model_dump(), sealed=base64.b64encode(sealed).decode())
    if not put_private(path, file.model_dump_json(indent=2).encode()):
        raise KeyStoreError(
            f"key file ({path}) must be a new file; got one that exists; remove it or name another"
        )
    if _open(path, lambda: passphrase) != content:
        raise KeyStoreError(
            f"key file ({path}) must hold what was written; got another; check the disk"
        )


def _open(path: Path, ask: Ask) -> _Content:
    data = read_public(path)
    if data is None:
        raise _absent(path)
    try:
        file = _Sealed.model_validate_json(data)
        header = _Header(**file.model_dump(exclude={"sealed"}))
        sealed = base64.b64decode(file.sealed, validate=True)
        cipher = ChaCha20Poly1305(_derive(header, ask()))
        opened = cipher.decrypt(bytes.fromhex(header.nonce), sealed, _bind(header))
        return _Content.model_validate_json(opened)
    except InvalidTag as error:
        raise KeyStoreError(
            f"key file ({path}) must open by its passphrase; got another, or a damaged file; try "
            "again, or take another copy"
        ) from error
    except (ValidationError, ValueError):
        # Not chained: an error may repeat what the file holds.
        raise KeyStoreError(
            f"key file ({path}) must follow format 1; got another; take another copy"
        ) from None


def _derive(header: _Header, passphrase: str) -> bytes:
    kdf = Scrypt(salt=bytes.fromhex(header.salt), length=32, n=header.cost, r=8, p=1)
    return kdf.derive(passphrase.encode())


def _bind(header: _Header) -> bytes:
    return canonical_json(header.model_dump(mode="json"))


def _absent(path: Path) -> KeyAbsent:
    return KeyAbsent(
        f"key file ({path}) must exist; got no such file; make one with `lepton keys backup`"
    )
