"""A channel's files between their last look and the commit that names them: nobody removes them.

Whoever changes a channel writes the files that it is about to name anew, which makes them too young
for any clean-up, and keeps the clean-ups of this machine away meanwhile. A clean-up keeps all
changes of this machine away, and looks at each file's age just before it goes, since another
machine's changes do not wait for it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from deployments.targets.errors import ChannelError
from deployments.targets.publish.repository import Channel, put_target
from deployments.targets.trust.address import TARGETS
from deployments.targets.trust.key_files import cache_dir, make_private_dir
from deployments.targets.trust.offers import Offer
from storage.base.errors import NotFound
from storage.base.locks import take_lock
from storage.base.store import sha256_bytes

LOCK_TIMEOUT_S: Final = 300.0


@contextmanager
def keep_files(channel: Channel) -> Iterator[None]:
    """Lets no clean-up of this machine remove files of a channel; other changes go on.

    Raises:
        ChannelError: One is at work, and does not end.
    """
    with _hold(channel, shared=True):
        yield


@contextmanager
def hold_still(channel: Channel) -> Iterator[None]:
    """Lets no process of this machine change a channel meanwhile.

    Raises:
        ChannelError: One is at work, and does not end.
    """
    with _hold(channel, shared=False):
        yield


@contextmanager
def _hold(channel: Channel, *, shared: bool) -> Iterator[None]:
    folder = cache_dir() / "locks"
    make_private_dir(folder)
    path = folder / sha256_bytes(f"{channel.store.url}/{TARGETS}".encode())[:32]
    lock = take_lock(path, LOCK_TIMEOUT_S, shared=shared)
    if lock is None:
        raise ChannelError(
            f"channel ({channel.store.display}) must be free; got another process that "
            f"{'removes its old files' if shared else 'changes it'} for over "
            f"{LOCK_TIMEOUT_S:.0f} s; try again when it has ended"
        )
    try:
        yield
    finally:
        os.close(lock)


def read_files(channel: Channel, offer: Offer) -> dict[str, bytes]:
    """Reads all files of a release, verified.

    Raises:
        ChannelError: One is gone or damaged.
    """
    return {name: _read_target(channel, offer, name) for name in offer.files}


def renew_files(channel: Channel, offer: Offer) -> None:
    """Makes the files of a release, which is about to be offered again, as young as new ones.

    Raises:
        ChannelError: One is gone or damaged.
    """
    for name, data in read_files(channel, offer).items():
        put_target(channel.store, name, data)


def _read_target(channel: Channel, offer: Offer, name: str) -> bytes:
    digest = offer.files[name].hashes["sha256"]
    path = f"{TARGETS}/{digest}.{name}"
    try:
        data = channel.store.read(path)
    except NotFound:
        data = b""
    if sha256_bytes(data) != digest:
        raise ChannelError(
            f"{offer.release.title} must still have its {name} to be offered again; got a file "
            f"that is gone or damaged ({channel.store.display}/{path}); restore it from a copy, or "
            "name another release"
        )
    return data
