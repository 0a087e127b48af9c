"""The folder of a device's state: who it is, what it keeps, and that one agent alone works there.

<state>/device.json     its id
<state>/device.pem      its private key, mode 0600; it never leaves this folder
<state>/spool.sqlite    what is kept until it is acknowledged
<state>/cache/          the channel that it follows, with its verified models
<state>/lock            held by the agent that runs
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from deployments.targets.errors import KeyStoreError, SpoolError
from deployments.targets.trust.devices import DeviceId, check_device_id, make_code
from deployments.targets.trust.key_files import (
    make_private_dir,
    put_private,
    read_private,
    read_public,
)
from deployments.targets.trust.receipt_signer import ReceiptSigner, make_private_pem, make_signer
from storage.base.locks import take_lock
from storage.base.store import canonical_json

_KEY_FILE, _DEVICE_FILE, _LOCK_FILE = "device.pem", "device.json", "lock"


class Identity(BaseModel):
    """Who a device is: its id, for good."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    id: DeviceId


class StateFolder:
    """The state of one device on this machine.

    Args:
        path: The folder; made on first use, for its owner only.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).absolute()

    @property
    def spool(self) -> Path:
        """The spool's file."""
        return self.path / "spool.sqlite"

    @property
    def cache(self) -> Path:
        """Where the followed channel and its verified models are kept."""
        return self.path / "cache"

    @property
    def is_enrolled(self) -> bool:
        """Whether the device's key was made."""
        return (self.path / _KEY_FILE).exists()

    def enrol(self, device: str) -> ReceiptSigner:
        """Returns the device's key, which is made at the first call, once.

        Args:
            device: Its id.

        Raises:
            DeviceRefused: The id cannot be a device's.
            SpoolError: The folder is that of another device.
            KeyStoreError: The folder or the key cannot be used, or is open to others.
        """
        identity = Identity(id=check_device_id(device))
        make_private_dir(self.path)
        # The id comes first: a key without an id would be nobody's.
        put_private(self.path / _DEVICE_FILE, canonical_json(identity.model_dump(mode="json")))
        if (found := self._read_identity()).id != device:
            raise SpoolError(
                f"state folder ({self.path}) must be that of device {device}; got that of "
                f"{found.id}; give each device a folder of its own"
            )
        where = self.path / _KEY_FILE
        if not self.is_enrolled:
            put_private(where, make_private_pem())
        return make_signer(read_private(where), str(where), "device key")

    def make_code(self, device: str) -> str:
        """Returns the device's enrolment code; the same at every call.

        Raises:
            TargetError: As `enrol`.
        """
        return make_code(device, self.enrol(device))

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps a second agent out while one works here.

        Raises:
            SpoolError: Another one works here.
        """
        make_private_dir(self.path)
        lock = take_lock(self.path / _LOCK_FILE)
        if lock is None:
            raise SpoolError(
                f"state folder ({self.path}) must be free; got another agent that works there; "
                "stop it, or give this one a folder of its own"
            )
        try:
            yield
        finally:
            os.close(lock)

    def _read_identity(self) -> Identity:
        where = self.path / _DEVICE_FILE
        try:
            return Identity.model_validate_json(read_public(where) or b"")
        except ValidationError as error:
            raise KeyStoreError(
                f"device ({where}) must hold a device's id; got {error.errors()[0]['msg']}; "
                "restore it, or enrol the device anew in another folder"
            ) from error
