"""Keys: this machine's receipt key, channels' TUF keys, and whom it trusts; never in a workspace.

    <config>/receipt.pem                        signs this machine's receipts
    <config>/trusted/<key id>.json              public keys whose receipts are accepted
    <config>/channels/<channel id>/1.root.json  a pinned root; channel id = sha256 of it
    <config>/channels/<channel id>/<role>.pem   the channel's own keys, one for each role

<config> is $LEPTON_CONFIG_DIR, else the user's config directory. $LEPTON_KEYS may hold an exported
bundle (its JSON text) for machines that keep no files. All keys are ed25519 (RFC 8032), private
ones as PKCS #8 PEM (RFC 5208).
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from deployments.targets.errors import KeyAbsent, KeyConflict, KeyStoreError
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
from deployments.targets.trust.receipt_signer import ReceiptSigner, make_private_pem, make_signer
from storage.base.store import canonical_json, sha256_bytes

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

KEYS_VARIABLE = "LEPTON_KEYS"
ROOT_FILE = "1.root.json"
_RECEIPT_KEY = "receipt.pem"
_SEEN_FILE = "highest"


class KeyRing:
    """The keys of one config directory, with those of $LEPTON_KEYS on top.

    Holds no secret in memory by itself.

    Args:
        directory: The config directory; None: the one that the environment names.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = directory or config_dir()
        text = os.environ.get(KEYS_VARIABLE)
        self._bundle = KeyBundle.parse(text, f"${KEYS_VARIABLE}") if text else KeyBundle()

    def trusted_receipt_keys(self) -> dict[str, bytes]:
        """Reads the raw public keys whose receipts are accepted, by key id."""
        found = {key.keyid: bytes.fromhex(key.public) for key in self._bundle.trusted}
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
        private = self._bundle.private
        path = self.directory / _RECEIPT_KEY
        if private is not None and private.receipt is not None:
            return make_signer(private.receipt.encode(), f"${KEYS_VARIABLE}")
        if create and not path.exists():
            make_private_dir(self.directory)
            put_private(path, make_private_pem())
        signer = make_signer(read_private(path), str(path))
        self._trust(TrustedKey(keyid=signer.keyid, public=signer.public))
        return signer

    def channel_ids(self) -> tuple[str, ...]:
        """Lists the ids of the pinned channels."""
        names = list_names(self.directory / "channels")
        return tuple(sorted({*names, *(channel.id for channel in self._bundle.channels)}))

    def pinned_root(self, channel_id: str) -> bytes | None:
        """Reads the first root of a channel; None if it is not pinned, or its file is damaged."""
        for channel in self._bundle.channels:
            if channel.id == channel_id:
                return channel.root.encode()
        if channel_id not in list_names(self.directory / "channels"):
            return None
        data = read_public(self._channel_dir(channel_id) / ROOT_FILE)
        return data if data is not None and sha256_bytes(data) == channel_id else None

    def channel_signers(self, channel_id: str) -> "dict[Role, tuple[Signer, ...]]":
        """Returns the four signers of a channel.

        Raises:
            KeyAbsent: This machine may follow the channel, but holds no keys to publish with.
            KeyUnsafe: A key file is open to others.
        """
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
        from securesystemslib.signer import CryptoSigner

        signers: dict[Role, tuple[Signer, ...]] = {}
        for role, (pem, where) in self._channel_pems(channel_id).items():
            try:
                signers[role] = (CryptoSigner(load_pem_private_key(pem, None)),)
            except ValueError as error:
                raise KeyStoreError(
                    f"key ({where}) must be a PKCS #8 PEM; got {error}; import it again"
                ) from error
        return signers

    def add_channel(self, root: bytes, pems: dict[Role, bytes] | None = None) -> str:
        """Pins a channel by its first root, with its private keys where this machine may publish.

        Returns:
            The channel's id.
        """
        channel_id = sha256_bytes(root)
        folder = self._channel_dir(channel_id)
        make_private_dir(folder.parent)
        publish_dir(
            {ROOT_FILE: root, **{f"{role}.pem": pem for role, pem in (pems or {}).items()}}, folder
        )
        for role, pem in (pems or {}).items():
            if (
                not put_private(folder / f"{role}.pem", pem)
                and read_private(folder / f"{role}.pem") != pem
            ):
                raise KeyConflict(
                    f"key ({folder / role}.pem) must stay as it is; got another one for the same "
                    "channel; move it away first"
                )
        return channel_id

    def drop_channel(self, channel_id: str) -> None:
        """Forgets a channel that was made here but never came to be."""
        remove_dir(self._channel_dir(channel_id))

    def read_highest(self, channel_id: str) -> int:
        """Reads the highest snapshot that this machine published, or saw doing so; 0: none."""
        data = read_public(self._channel_dir(channel_id) / _SEEN_FILE)
        return int(data) if data is not None and data.isdigit() else 0

    def record_highest(self, channel_id: str, version: int) -> None:
        """Remembers a snapshot's version, so that a rolled-back channel is not built upon."""
        folder = self._channel_dir(channel_id)
        if folder.is_dir() and version > self.read_highest(channel_id):
            replace_private(folder / _SEEN_FILE, str(version).encode())

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
            self._add_receipt_key(private.receipt.encode())
        for key in bundle.trusted:
            self._trust(key)
        for channel in bundle.channels:
            pems = {
                role: pem.encode() for role, pem in private.channels.get(channel.id, {}).items()
            }
            self.add_channel(channel.root.encode(), pems)

    def _add_receipt_key(self, pem: bytes) -> None:
        path = self.directory / _RECEIPT_KEY
        offered = make_signer(pem, "the bundle")
        if put_private(path, pem):
            return
        present = make_signer(read_private(path), str(path))
        if present.keyid != offered.keyid:
            raise KeyConflict(
                f"receipt key ({path}) must stay the one that this machine signs with, "
                f"{present.keyid[:12]}; got {offered.keyid[:12]}; move the file away first, or "
                "import a bundle without private keys"
            )

    def _trust(self, key: TrustedKey) -> None:
        path = self.directory / "trusted" / f"{key.keyid}.json"
        if not path.exists():
            make_private_dir(path.parent)
            put_private(path, canonical_json(key.model_dump(mode="json")))

    def _channel_dir(self, channel_id: str) -> Path:
        return self.directory / "channels" / channel_id

    def _channel_pems(self, channel_id: str) -> dict[Role, tuple[bytes, str]]:
        held = self._bundle.private.channels.get(channel_id) if self._bundle.private else None
        if held is not None:
            missing = [role for role in ROLES if role not in held]
            if missing:
                raise KeyAbsent(
                    f"keys of channel {channel_id[:12]} in ${KEYS_VARIABLE} must be four; got no "
                    f"{missing[0]}"
                )
            return {role: (held[role].encode(), f"${KEYS_VARIABLE}") for role in ROLES}
        folder = self._channel_dir(channel_id)
        return {
            role: (read_private(folder / f"{role}.pem"), str(folder / f"{role}.pem"))
            for role in ROLES
        }

    def _private_half(self, channel_ids: tuple[str, ...]) -> PrivateKeys:
        channels: dict[Sha256, dict[Role, str]] = {}
        for channel_id in channel_ids:
            try:
                pems = self._channel_pems(channel_id)
            except KeyAbsent:
                continue  # This machine follows the channel without publishing on it.
            channels[channel_id] = {role: pem.decode() for role, (pem, _) in pems.items()}
        try:
            receipt = read_private(self.directory / _RECEIPT_KEY).decode()
        except KeyAbsent:
            receipt = None
        return PrivateKeys(receipt=receipt, channels=channels)
