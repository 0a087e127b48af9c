"""What a follower remembers of an address: whose it is, how far it got, the last verified model.

<cache>/channels/<digest of the address>/
channel.json    the channel that the address is bound to; its highest version
metadata/       TUF metadata, as python-tuf's client keeps it
models/<...>/   artifact, card.json and receipt.json of a verified release
verified.json   the release that answers; switched in one step
"""

import contextlib
import fcntl
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

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
)
from deployments.targets.trust.release import Release
from storage.base.store import redact, sha256_bytes

LOCK_TIMEOUT_S = 60.0
_CHANNEL_FILE = "channel.json"
_VERIFIED_FILE = "verified.json"


class Binding(BaseModel):
    """Which channel an address is, and the highest metadata version that was verified there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    channel_id: str
    version: int


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
        with (self.directory / "lock").open("wb") as file:
            deadline_s = time.monotonic() + LOCK_TIMEOUT_S
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline_s:
                        raise ChannelError(
                            f"channel state ({self.directory}) must be free; got another process "
                            f"that holds it for over {LOCK_TIMEOUT_S:.0f} s; try again when it has "
                            "ended"
                        ) from None
                    time.sleep(0.02)
            yield

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

    def read_verified(self) -> Release | None:
        """Reads the release that was verified last; None without one, or if damaged."""
        data = read_public(self.directory / _VERIFIED_FILE)
        try:
            return Release.model_validate_json(data) if data is not None else None
        except ValidationError:
            return None

    def read_files(self, release: Release) -> dict[str, bytes]:
        """Reads the kept files of a release; empty if they are gone."""
        folder = self.directory / "models" / _folder_name(release)
        found = {name: read_public(folder / name) for name in list_names(folder)}
        return {name: data for name, data in found.items() if data is not None}

    def write_verified(self, release: Release, files: Mapping[str, bytes]) -> None:
        """Keeps a verified release and makes it the one that answers.

        The others are removed after that.
        """
        models = self.directory / "models"
        make_private_dir(models)
        name = _folder_name(release)
        remove_dir(models / name)
        publish_dir(dict(files), models / name)
        replace_private(self.directory / _VERIFIED_FILE, release.model_dump_json().encode())
        for other in models.iterdir():
            if other.name != name:
                remove_dir(other)


def forget_channel(url: str, cache: Path | None = None) -> None:
    """Drops all that is remembered of an address, its verified model too."""
    directory = _state_dir(url, cache)
    if directory.is_dir():
        shutil.rmtree(directory)


def _state_dir(url: str, cache: Path | None) -> Path:
    return (cache or cache_dir()) / "channels" / sha256_bytes(url.encode())[:32]


def _folder_name(release: Release) -> str:
    return f"{release.number}-{release.sha256[:16]}-{release.receipt[:16]}"
