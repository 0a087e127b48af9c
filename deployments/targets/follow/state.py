"""What a follower remembers of an address: whose it is, how far it got, two verified models.

<cache>/channels/<digest of the address>/
channel.json    the channel that the address is bound to; its highest version
metadata/       TUF metadata, as python-tuf's client keeps it
models/<...>/   artifact, card.json and receipt.json of a verified release
verified.json   the releases in slots a and b, and which of both answers; switched in one step

A new release takes the slot that does not answer, so the model that answers is never touched, and
the one before it stays to fall back to.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from deployments.targets.errors import ChannelError
from deployments.targets.trust.key_files import (
    cache_dir,
    list_names,
    make_private_dir,
    publish_dir,
    read_public,
    remove_dir,
    replace_private,
    sweep_dir,
)
from deployments.targets.trust.release import Release
from storage.base.locks import take_lock
from storage.base.store import redact, sha256_bytes

LOCK_TIMEOUT_S = 60.0
Slot = Literal["a", "b"]
_SCRATCH = ".fetch-"
_TUF_SCRATCH = "tmp*"
"""How python-tuf's client names what it writes before it is renamed."""
_CHANNEL_FILE = "channel.json"
_VERIFIED_FILE = "verified.json"


class Binding(BaseModel):
    """Which channel an address is, and the highest metadata version that was verified there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    channel_id: str
    version: int


class Slots(BaseModel):
    """Which releases are kept, and which of them answers.

    Attributes:
        answers: The slot whose release answers.
        a: The release in slot a; None: it is empty.
        b: The release in slot b; None: it is empty.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    answers: Slot = "a"
    a: Release | None = None
    b: Release | None = None

    @property
    def order(self) -> tuple[Slot, Slot]:
        """The slot that answers, then the other."""
        return ("a", "b") if self.answers == "a" else ("b", "a")

    @property
    def highest(self) -> Release | None:
        """The release with the highest number; None where nothing is kept."""
        kept = [release for release in (self.a, self.b) if release is not None]
        return max(kept, key=lambda release: release.number, default=None)

    def at(self, slot: Slot) -> Release | None:
        """Return the release in a slot."""
        return self.a if slot == "a" else self.b

    def find(self, release: Release) -> Slot | None:
        """Return the slot that holds a release."""
        return next((slot for slot in self.order if self.at(slot) == release), None)

    def choose(self, release: Release) -> Slot:
        """Return the slot that a release goes to: its own, else an empty or the silent one."""
        if self.a is None and self.b is None:
            return self.answers
        return self.find(release) or self.order[1]


class FollowerState:
    """The remembered state of one channel address.

    Args:
        url: The address.
        cache: The cache directory; None: the one that the environment names.
    """

    def __init__(self, url: str, cache: Path | None = None) -> None:
        self.url = url
        self.directory = _state_dir(url, cache)

    @property
    def metadata_dir(self) -> Path:
        """Where python-tuf's client keeps what it verified."""
        return self.directory / "metadata"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes out while the state is read and changed.

        Raises:
            ChannelError: Another process held it for a minute.
        """
        make_private_dir(self.directory)
        lock = take_lock(self.directory / "lock", LOCK_TIMEOUT_S)
        if lock is None:
            raise ChannelError(
                f"channel state ({self.directory}) must be free; got another process that holds it "
                f"for over {LOCK_TIMEOUT_S:.0f} s; try again when it has ended"
            )
        try:
            yield
        finally:
            os.close(lock)

    @contextlib.contextmanager
    def open_scratch(self) -> Iterator[Path]:
        """Makes a folder for a while; whatever a process that was killed left is removed first.

        Only for who holds the lock.
        """
        for left in self.directory.glob(f"{_SCRATCH}*"):
            shutil.rmtree(left, ignore_errors=True)
        for torn in self.metadata_dir.rglob(_TUF_SCRATCH):
            torn.unlink(missing_ok=True)
        sweep_dir(self.directory)
        with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=self.directory) as folder:
            yield Path(folder)

    def read_binding(self) -> Binding | None:
        """Reads the channel that this address is bound to; None without one, or if damaged."""
        data = read_public(self.directory / _CHANNEL_FILE)
        try:
            return Binding.model_validate_json(data) if data is not None else None
        except ValidationError:
            return None

    def write_binding(self, channel_id: str, version: int) -> None:
        """Binds the address, and remembers how far its metadata got."""
        binding = Binding(url=redact(self.url), channel_id=channel_id, version=version)
        if binding != self.read_binding():
            replace_private(self.directory / _CHANNEL_FILE, binding.model_dump_json().encode())

    def read_slots(self) -> Slots:
        """Reads what is kept in both slots; empty ones without a record, or if it is damaged."""
        data = read_public(self.directory / _VERIFIED_FILE)
        try:
            return Slots.model_validate_json(data) if data is not None else Slots()
        except ValidationError:
            return Slots()

    def read_files(self, release: Release) -> dict[str, bytes]:
        """Reads the kept files of a release; empty if they are gone."""
        folder = self.directory / "models" / _folder_name(release)
        found = {name: read_public(folder / name) for name in list_names(folder)}
        return {name: data for name, data in found.items() if data is not None}

    def write_verified(self, release: Release, files: Mapping[str, bytes]) -> Slot:
        """Keeps a verified release and makes it the one that answers.

        It takes the slot that does not answer; whatever is in neither slot is removed after that.

        Returns:
            Its slot.
        """
        models = self.directory / "models"
        make_private_dir(models)
        name = _folder_name(release)
        remove_dir(models / name)
        publish_dir(dict(files), models / name)
        slots = self.read_slots()
        slot = slots.choose(release)
        self._write_slots(slots.model_copy(update={"answers": slot, slot: release}))
        return slot

    def switch(self, slot: Slot) -> None:
        """Makes the release in a slot the one that answers; the other stays where it is."""
        slots = self.read_slots()
        if slots.answers != slot:
            self._write_slots(slots.model_copy(update={"answers": slot}))

    def _write_slots(self, slots: Slots) -> None:
        replace_private(self.directory / _VERIFIED_FILE, slots.model_dump_json().encode())
        kept = {_folder_name(release) for release in (slots.a, slots.b) if release is not None}
        for folder in (self.directory / "models").iterdir():
            if folder.name not in kept:
                remove_dir(folder)


def forget_channel(url: str, cache: Path | None = None) -> None:
    """Drops all that is remembered of an address, its verified model too."""
    directory = _state_dir(url, cache)
    if directory.is_dir():
        shutil.rmtree(directory)


def _state_dir(url: str, cache: Path | None) -> Path:
    return (cache or cache_dir()) / "channels" / sha256_bytes(url.encode())[:32]


def _folder_name(release: Release) -> str:
    return f"{release.number}-{release.sha256[:16]}-{release.receipt[:16]}"
