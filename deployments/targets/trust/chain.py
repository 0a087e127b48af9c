"""A log of sealed lines, each naming the digest of the one before it: nothing in it is replaced.

A line is `{"signatures": [...], "signed": {..., "previous": ...}}`; the first names None.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from deployments.targets.errors import NotCleared
from deployments.targets.trust.key_files import cache_dir, make_private_dir
from deployments.targets.trust.keys import KeyRing
from deployments.targets.trust.sealed import open_sealed, seal_body
from storage.base.errors import Corrupt, NotFound
from storage.base.locks import take_lock
from storage.base.store import Store, sha256_bytes

RELEASES = "releases"
MAX_LINE_BYTES = 2**22
LOCK_TIMEOUT_S = 60.0
_ATTEMPTS = 5
REMEDY = "restore the file from a copy, or import the signer's public key"
Body = Mapping[str, Any]


def locate_log(channel: str) -> str:
    """Return where the decisions on a channel lie in its workspace."""
    return f"{RELEASES}/{channel}.jsonl"


def read_chain(store: Store, place: str, trusted: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """Reads the bodies of a log's lines, oldest first; none where there is no file.

    Args:
        store: Where the log lies.
        place: Its file.
        trusted: Raw ed25519 public keys by key id.

    Raises:
        Corrupt: A line is not signed by a trusted key, or does not name the one before it.
    """
    return _open_lines(_read(store, place), place, trusted)


def append_chain(
    store: Store,
    place: str,
    list_new: Callable[[Sequence[Body]], Sequence[Body]],
    ring: KeyRing,
) -> int:
    """Appends lines to a log, durable once it returns.

    Processes of one machine wait for each other. A writer of another machine that was faster in
    between is found out by looking again.

    Args:
        store: Where the log lies.
        place: Its file.
        list_new: From the bodies that are there to those that are missing, without "previous".
        ring: The keys that are trusted, and that which seals.

    Returns:
        How many lines were appended.

    Raises:
        Corrupt: The log is not the chain of signed lines that it was.
    """
    appended = 0
    with _alone(store, place):
        for _ in range(_ATTEMPTS):
            content = _read(store, place)
            bodies = _open_lines(content, place, ring.trusted_receipt_keys())
            new = list_new(bodies)
            if not new:
                return appended
            for body in new:
                content += _seal(body, content, ring) + b"\n"
            store.write(place, content)
            appended = len(new)
    return appended


def _seal(body: Body, content: bytes, ring: KeyRing) -> bytes:
    lines = content.splitlines()
    previous = sha256_bytes(lines[-1]) if lines else None
    return seal_body({**body, "previous": previous}, ring.receipt_signer())


def _open_lines(content: bytes, place: str, trusted: Mapping[str, bytes]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    before: str | None = None
    for number, line in enumerate(content.splitlines(), 1):
        what = f"line {number} of {place}"
        try:
            body = open_sealed(line, trusted, what, remedy=REMEDY, max_bytes=MAX_LINE_BYTES)
        except NotCleared as error:
            raise Corrupt(str(error)) from error
        if body.get("previous") != before or locate_log(str(body.get("channel"))) != place:
            raise Corrupt(
                f"{what} must follow {before}; got one that follows {body.get('previous')}; "
                f"{REMEDY}"
            )
        found.append(body)
        before = sha256_bytes(line)
    return found


def _read(store: Store, place: str) -> bytes:
    try:
        return store.read(place)
    except NotFound:
        return b""


@contextmanager
def _alone(store: Store, place: str) -> Iterator[None]:
    """Keeps other processes of this machine from the same log."""
    folder = cache_dir() / "locks"
    make_private_dir(folder)
    lock = take_lock(folder / sha256_bytes(f"{store.url}/{place}".encode())[:32], LOCK_TIMEOUT_S)
    if lock is None:
        raise Corrupt(
            f"log ({place}) must be free; got another process that holds it for over "
            f"{LOCK_TIMEOUT_S:.0f} s; try again when it has ended"
        )
    try:
        yield
    finally:
        os.close(lock)
