"""Keys: this machine's receipt key, channels' TUF keys, and whom it trusts; never in a workspace.

    <config>/receipt.pem                        signs this machine's receipts; receipt.json names a
                                        program that does instead
    <config>/trusted/<key id>.json              public keys whose receipts are accepted
    <config>/channels/<channel id>/1.root.json  a pinned root; channel id = sha256 of it
    <config>/channels/<channel id>/<role>.pem   the channel's own keys; further ones of a role are
                                        <role>-<key id>.pem, those of signing commands ....json

<config> is $LEPTON_CONFIG_DIR, else the user's config directory. $LEPTON_KEYS may hold an exported
bundle (its JSON text) for machines that keep no files. All keys are ed25519 (RFC 8032), private
ones as PKCS #8 PEM (RFC 5208).
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from deployments.targets.errors import KeyAbsent, KeyConflict
from deployments.targets.trust.card import Sha256
from deployments.targets.trust.key_files import (
    config_dir,
    list_names,
    make_private_dir,
    publish_dir,
    put_private,
    read_private,
    read_public,
    remove_dir,
    remove_private,
    replace_private,
)
from deployments.targets.trust.key_records import (
    ROLES,
    KeyBundle,
    PinnedChannel,
    PrivateKeys,
    Role,
    TrustedKey,
    parse_trusted,
)
from deployments.targets.trust.receipt_keys import (
    put_receipt_key,
    read_receipt_key,
    replace_receipt_key,
)
from deployments.targets.trust.receipt_signer import ReceiptSigner, make_signer
from storage.base.store import canonical_json, sha256_bytes

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

KEYS_VARIABLE = "LEPTON_KEYS"
ROOT_FILE = "1.root.json"
_SEEN_FILE, _LOGGED_FILE = "highest", "logged"


class KeyRing:
    """The keys of one config directory, with those of $LEPTON_KEYS on top.

    Holds no secret in memory by itself.

    Args:
        directory: The config directory; None: the one that the environment names.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = directory or config_dir()
        text = os.environ.get(KEYS_VARIABLE)
        self._bundles: tuple[KeyBundle, ...] = ()
        if text:
            self._bundles = (KeyBundle.parse(text, f"${KEYS_VARIABLE}"),)

    def trusted_receipt_keys(self) -> dict[str, bytes]:
        """Reads the raw public keys whose receipts are accepted, by key id."""
        keys = [key for bundle in self._bundles for key in bundle.trusted]
        found = {key.keyid: bytes.fromhex(key.public) for key in keys}
        for name in list_names(self.directory / "trusted"):
            data = read_public(self.directory / "trusted" / name)
            key = parse_trusted(data or b"", self.directory / "trusted" / name)
            found[key.keyid] = bytes.fromhex(key.public)
        return found

    def receipt_signer(self, *, create: bool = True) -> ReceiptSigner:
        """Returns the signer of this machine's receipts.

        Its key is made on first use, once, also when two processes ask at the same time.

        Raises:
            KeyAbsent: There is none and `create` is False.
            KeyUnsafe: The key file is open to others.
        """
        for bundle in self._bundles:
            if bundle.private is not None and bundle.private.receipt is not None:
                return make_signer(bundle.private.receipt.encode(), f"${KEYS_VARIABLE}")
        signer = make_signer(*read_receipt_key(self.directory, create=create))
        self._trust(TrustedKey(keyid=signer.keyid, public=signer.public))
        return signer

    def sign_receipts_by(self, text: bytes) -> ReceiptSigner:
        """Lets a program sign this machine's receipts; the key that did is removed.

        What the old key has signed stays trusted here until its file in `trusted` is removed.
        Raises what `replace_receipt_key` does.
        """
        replace_receipt_key(self.directory, text)
        return self.receipt_signer()

    def channel_ids(self) -> tuple[str, ...]:
        """Lists the ids of the pinned channels."""
        names = list_names(self.directory / "channels")
        carried = (channel.id for bundle in self._bundles for channel in bundle.channels)
        return tuple(sorted({*names, *carried}))

    def pinned_root(self, channel_id: str) -> bytes | None:
        """Reads the first root of a channel; None if it is not pinned, or its file is damaged."""
        for channel in (each for bundle in self._bundles for each in bundle.channels):
            if channel.id == channel_id:
                return channel.root.encode()
        if channel_id not in list_names(self.directory / "channels"):
            return None
        data = read_public(self._channel_dir(channel_id) / ROOT_FILE)
        return data if data is not None and sha256_bytes(data) == channel_id else None

    def channel_signers(self, channel_id: str) -> "dict[Role, tuple[Signer, ...]]":
        """Returns the signers of a channel that this machine holds, by role.

        Raises:
            KeyAbsent: This machine may follow the channel, but holds no keys to publish with.
            KeyUnsafe: A key file is open to others.
            KeyStoreError: A key is none.
        """
        from deployments.targets.trust.channel_keys import load_channel_key, name_role

        texts = self._channel_texts(channel_id)
        if not texts:
            read_private(self._channel_dir(channel_id) / f"{ROLES[0]}.pem")
        signers: dict[Role, tuple[Signer, ...]] = {}
        for name, (text, where) in texts.items():
            role = name_role(name)
            signers[role] = (*signers.get(role, ()), load_channel_key(text, where))
        return signers

    def add_channel(self, root: bytes, texts: Mapping[str, bytes] | None = None) -> str:
        """Pins a channel by its first root, with its private keys where this machine may publish.

        Args:
            root: The first root.
            texts: Its keys by name, such as "targets": PEM, or records of signing commands.

        Returns:
            The channel's id.

        Raises:
            KeyConflict: There is another key of the same name.
        """
        from deployments.targets.trust.channel_keys import name_key_file

        channel_id = sha256_bytes(root)
        folder = self._channel_dir(channel_id)
        make_private_dir(folder.parent)
        files = {name_key_file(name, text): text for name, text in (texts or {}).items()}
        publish_dir({ROOT_FILE: root, **files}, folder)
        for name, text in files.items():
            if not put_private(folder / name, text) and read_private(folder / name) != text:
                raise KeyConflict(
                    f"key ({folder / name}) must stay as it is; got another one for the same "
                    "channel; move it away first"
                )
        return channel_id

    def put_channel_key(self, channel_id: str, name: str, text: bytes) -> None:
        """Keeps a further private key of a channel, durably: PEM, or a signing command's record."""
        from deployments.targets.trust.channel_keys import name_key_file

        put_private(self._channel_dir(channel_id) / name_key_file(name, text), text)

    def drop_channel_key(self, channel_id: str, keyid: str) -> None:
        """Removes a private key from this machine, by its id in the channel's root."""
        from deployments.targets.trust.channel_keys import load_channel_key, parse_key_file

        folder = self._channel_dir(channel_id)
        for name in list_names(folder):
            path = folder / name
            if parse_key_file(name) is None:
                continue
            if load_channel_key(read_private(path), str(path)).public_key.keyid == keyid:
                remove_private(path)

    def with_bundles(self, bundles: Sequence[KeyBundle]) -> "KeyRing":
        """Return this key ring with the keys of bundles on top, such as an offline root's."""
        ring = KeyRing(self.directory)
        ring._bundles = (*self._bundles, *bundles)
        return ring

    def drop_channel(self, channel_id: str) -> None:
        """Forgets a channel that was made here but never came to be."""
        remove_dir(self._channel_dir(channel_id))

    def read_highest(self, channel_id: str) -> int:
        """Reads the highest snapshot that this machine published, or saw doing so; 0: none."""
        data = read_public(self._channel_dir(channel_id) / _SEEN_FILE)
        return int(data) if data is not None and data.isdigit() else 0

    def record_highest(self, channel_id: str, version: int) -> None:
        """Remembers a snapshot's version, so that a rolled-back channel is not built upon."""
        seen, folder = self.read_highest(channel_id), self._channel_dir(channel_id)
        if folder.is_dir() and version > seen:
            replace_private(folder / _SEEN_FILE, str(version).encode())

    def read_logged(self, channel_id: str) -> tuple[int, int]:
        """Reads up to which snapshot a log holds all decisions, and of which one its last was."""
        data = read_public(self._channel_dir(channel_id) / _LOGGED_FILE) or b""
        whole, _, last = data.partition(b" ")
        return (int(whole), int(last)) if whole.isdigit() and last.isdigit() else (0, 0)

    def record_logged(self, channel_id: str, version: int, last: int) -> None:
        """Remembers it, so that the next change need not look at all commits before."""
        if (folder := self._channel_dir(channel_id)).is_dir():
            replace_private(folder / _LOGGED_FILE, f"{version} {last}".encode())

    def bundle(self, *, private: bool) -> KeyBundle:
        """Gathers all that an export holds."""
        trusted = self.trusted_receipt_keys()
        ids = self.channel_ids()
        roots = {channel_id: self.pinned_root(channel_id) for channel_id in ids}
        return KeyBundle(
            trusted=tuple(
                TrustedKey(keyid=keyid, public=raw.hex()) for keyid, raw in sorted(trusted.items())
            ),
            channels=tuple(
                PinnedChannel(id=i, root=root.decode())
                for i, root in roots.items()
                if root is not None
            ),
            private=self._private_half(ids) if private else None,
        )

    def add_bundle(self, bundle: KeyBundle) -> None:
        """Takes over what a bundle holds; never replaces a private key.

        Raises:
            KeyConflict: This machine signs receipts, or publishes the channel, with another key.
        """
        private = bundle.private or PrivateKeys()
        make_private_dir(self.directory)
        if private.receipt is not None:
            put_receipt_key(self.directory, private.receipt.encode())
        for key in bundle.trusted:
            self._trust(key)
        for channel in bundle.channels:
            held = private.channels.get(channel.id, {})
            self.add_channel(
                channel.root.encode(), {name: text.encode() for name, text in held.items()}
            )

    def _trust(self, key: TrustedKey) -> None:
        path = self.directory / "trusted" / f"{key.keyid}.json"
        if not path.exists():
            make_private_dir(path.parent)
            put_private(path, canonical_json(key.model_dump(mode="json")))

    def locate_channel(self, channel_id: str) -> str:
        """Return where the keys of a channel lie, for messages."""
        return str(self._channel_dir(channel_id))

    def _channel_dir(self, channel_id: str) -> Path:
        return self.directory / "channels" / channel_id

    def channel_key_texts(self, channel_id: str) -> dict[str, bytes]:
        """Reads the private keys of a channel by name: PEM, or records of signing commands."""
        return {name: text for name, (text, _) in self._channel_texts(channel_id).items()}

    def _channel_texts(self, channel_id: str) -> dict[str, tuple[bytes, str]]:
        """Reads the same with where each lies; those of bundles come before files."""
        from deployments.targets.trust.channel_keys import parse_key_file

        folder, found = self._channel_dir(channel_id), {}
        for file in list_names(folder):
            if (parsed := parse_key_file(file)) is not None:
                found[parsed[1]] = (read_private(folder / file), str(folder / file))
        for bundle in self._bundles:
            held = bundle.private.channels.get(channel_id, {}) if bundle.private else {}
            found |= {name: (text.encode(), "a key bundle") for name, text in held.items()}
        return found

    def _private_half(self, channel_ids: tuple[str, ...]) -> PrivateKeys:
        channels: dict[Sha256, dict[str, str]] = {}
        for channel_id in channel_ids:
            # None of a channel that this machine follows without publishing on it.
            if texts := self.channel_key_texts(channel_id):
                channels[channel_id] = {name: text.decode() for name, text in texts.items()}
        try:
            receipt = read_receipt_key(self.directory, create=False)[0].decode()
        except KeyAbsent:
            receipt = None
        return PrivateKeys(receipt=receipt, channels=channels)
