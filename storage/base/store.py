"""The basement: durable files at one location of any file system, digests, canonical JSON.

Every package may import this module. It needs the standard library and fsspec only.

A `Store` keeps two promises on every file system that it accepts. `write` replaces a file as a
whole: a reader sees the old bytes or the new ones, and after the call they survive a power cut.
`put_if_absent` creates a file once: of any number of writers, in any number of processes, exactly
one is told that it won.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

from storage.base.connection import Connection, Files
from storage.base.errors import InvalidInput
from storage.base.urls import redact, split_url

__all__ = ["Store", "canonical_json", "redact", "sha256_bytes", "sha256_stream"]


Names = list[str]


def sha256_bytes(data: bytes | bytearray | memoryview) -> str:
    """Return SHA-256 (FIPS 180-4) of bytes, as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_stream(chunks: Iterable[bytes]) -> str:
    """Return SHA-256 (FIPS 180-4) of the concatenated chunks, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


def canonical_json(value: object) -> bytes:
    """Encodes a JSON value in the one canonical way: sorted keys, no spaces, UTF-8.

    Args:
        value: Strings, finite numbers, booleans, None, lists, tuples, and mappings with string
            keys.

    Raises:
        InvalidInput: The value holds NaN, an infinity, a key that is no string, a surrogate, or
            anything else that JSON does not know.
    """
    try:
        _check_keys(value)
        text = json.dumps(
            value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        )
        return text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(
            "a value for canonical JSON must hold finite numbers, text and string keys only; got: "
            f"{error}; convert it before it is encoded"
        ) from error


def _check_keys(value: object) -> None:
    """Refuses keys that json would turn into text.

    Manifests hold millions of numbers, which need no call of their own.
    """
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"the key {key!r} is of type {type(key).__name__}")
    items = (
        value.values()
        if isinstance(value, dict)
        else value
        if isinstance(value, list | tuple)
        else ()
    )
    nested = {kind for kind in set(map(type, items)) if issubclass(kind, dict | list | tuple)}
    for item in items if nested else ():
        if type(item) in nested:
            _check_keys(item)


class Store:
    """One location of a file system: a local directory, or a URL that fsspec knows.

    It can be sent to another process; a `memory://` store cannot, for it would be another memory
    there. Paths are relative to the location, separated by "/", without "..".

    Args:
        url: A local path, or a URL such as `s3://bucket/prefix`.
        options: Options of the fsspec file system, for instance credentials; never shown, never
            stored.

    Attributes:
        url: The absolute path or full URL, secrets included.
        display: The same without secrets: the one to show.
        is_local: Whether files are plain files of this machine.
    """

    def __init__(self, url: str | Path, options: Mapping[str, object] | None = None) -> None:
        protocol, root = split_url(str(url))
        self.is_local = protocol == "file"
        self.url = root if self.is_local else str(url).rstrip("/")
        self.display = redact(self.url)
        self._connection = Connection(protocol, self.url, dict(options or {}))
        self._root = root

    def __repr__(self) -> str:
        return f"Store({self.display!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Store) and (self.url, self._connection.options) == (
            other.url,
            other._connection.options,
        )

    def __hash__(self) -> int:
        return hash(self.url)

    def __reduce__(self) -> tuple[type["Store"], tuple[str, dict[str, object]]]:
        if self._connection.protocol == "memory":
            raise InvalidInput(
                f"a store ({self.display}) must be reachable from every process; got the memory of "
                "this one; use a directory or a URL, or run without a Dask cluster"
            )
        return Store, (self.url, self._connection.options)

    def child(self, *parts: str) -> "Store":
        """Return the store of a folder below this one.

        Raises:
            InvalidInput: A part leads out of this store.
        """
        path = _clean("/".join(parts))
        child = Store.__new__(Store)
        child.__dict__.update(self.__dict__)
        child.url, child._root = f"{self.url}/{path}", f"{self._root.rstrip('/')}/{path}"
        child.display = redact(child.url)
        return child

    @property
    def options(self) -> dict[str, object]:
        """Options of the file system; they can hold credentials."""
        return dict(self._connection.options)

    @property
    def _files(self) -> Files:
        return self._connection.open()

    def _locate(self, path: str) -> str:
        return f"{self._root.rstrip('/')}/{_clean(path)}"

    def _locate_folder(self, path: str) -> str:
        return self._locate(path) if path else self._root

    def read(self, path: str) -> bytes:
        """Return all bytes of a file.

        Raises:
            NotFound: There is no such file.
            Unreachable: The store does not answer.
        """
        return self._files.read(self._locate(path))

    def read_range(self, path: str, start: int, end: int) -> bytes:
        """Return bytes `start` to `end` (exclusive) of a file; fewer where the file ends before.

        Raises:
            NotFound: There is no such file.
            InvalidInput: The range is negative or reversed.
        """
        if not 0 <= start <= end:
            raise InvalidInput(f"a byte range ({start}, {end}) must have 0 <= start <= end")
        return self._files.read(self._locate(path), start, end) if end > start else b""

    def write(self, path: str, data: bytes) -> None:
        """Creates or replaces a file: durable, and never seen half-written.

        Raises:
            NotWritable: The store is read-only.
            OutOfSpace: The disk is full; the old file is intact.
        """
        self._files.write({self._locate(path): data})

    def write_scratch(self, path: str, data: bytes) -> None:
        """Creates or replaces a file that need not survive a power cut.

        It is never seen half-written, and not waited for.

        A scratch file that is read and deleted within seconds often never reaches the disk.
        """
        self._files.write({self._locate(path): data}, durable=False)

    def write_files(self, files: Mapping[str, bytes]) -> None:
        """Creates or replaces several files, all of them durable afterwards.

        Each is never seen half-written.

        A crash in between leaves any of them. Faster than one `write` a file: disks and networks
        work in parallel.
        """
        self._files.write({self._locate(path): data for path, data in files.items()})

    def put_if_absent(self, path: str, data: bytes) -> bool:
        """Creates a file unless it exists; of all writers exactly one wins.

        When a remote store loses its reply, the file's mark (S3) or its content (others) says whose
        it is. So put something unique into what must be won by one writer only.

        Returns:
            Whether this call created the file.

        Raises:
            UnsupportedStore: The store cannot refuse a second create.
        """
        return self._files.put_if_absent(self._locate(path), data)

    def exists(self, path: str) -> bool:
        """Return whether a file is there."""
        return self._files.exists(self._locate(path))

    def size(self, path: str) -> int:
        """Return the size of a file in bytes; raises `NotFound`."""
        return self._files.stat(self._locate(path))[0]

    def modified(self, path: str) -> datetime:
        """Return the time of a file's last write, in UTC, by the store's clock.

        Raises `NotFound`.
        """
        return self._files.stat(self._locate(path))[1]

    def list(self, path: str = "") -> Names:
        """Return all files below a folder, at any depth, sorted; none where there is no folder.

        They are relative to this store.
        """
        root = self._root.rstrip("/") + "/"
        return sorted(
            found.removeprefix(root) for found in self._files.walk(self._locate_folder(path))
        )

    def listdir(self, path: str = "") -> Names:
        """Return the names directly in a folder, sorted; none where there is no folder."""
        return sorted(self._files.listdir(self._locate_folder(path)))

    def delete(self, path: str) -> None:
        """Deletes a file; no fault if it is gone already. Folders left empty disappear."""
        self._files.delete(self._locate(path), self._root)

    def sweep(self, before: datetime, *, folders: bool = False, dry_run: bool = False) -> int:
        """Deletes what killed writers left: temporary files last written before a time.

        Args:
            before: The time; writers that still live keep their files for a day anyway.
            folders: Whether empty folders go as well.
            dry_run: Whether only to count.

        Returns:
            How many files.
        """
        return self._files.sweep(self._root, before, folders=folders, dry_run=dry_run)

    def address(self, path: str = "") -> str:
        """Return the absolute path or full URL of a file."""
        return f"{self.url}/{_clean(path)}" if path else self.url

    def local_path(self, path: str = "") -> Path | None:
        """Return the file as a path of this machine; None where the store is remote."""
        return Path(self._locate_folder(path)) if self.is_local else None

    def probe(self) -> None:
        """Writes, creates twice, reads and deletes a small file.

        Raises:
            UnsupportedStore: A second create succeeded, so commits could be lost.
            NotWritable: The store is read-only.
            OutOfSpace: It is full.
            Unreachable: It does not answer.
        """
        self._files.probe(self._locate(f".lepton-probe-{os.urandom(8).hex()}"))


def _clean(path: str) -> str:
    """Return a relative path without empty parts; refuses what could lead out of the store."""
    parts = path.split("/")
    if path.startswith("/") or ".." in parts or "." in parts or "\0" in path or not path.strip("/"):
        raise InvalidInput(
            f"a path in a store ({path!r}) must be relative, separated by '/', without '.' and "
            "'..'; use `Store.child` or another store"
        )
    return "/".join(part for part in parts if part)
