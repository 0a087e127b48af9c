"""The file system behind a store, as a backend that is connected when it is first used."""

import os
from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from storage.base.redaction import remember_secrets


class Files(Protocol):
    """What a backend does: `storage.base.local` and `storage.base.remote`; paths are absolute."""

    def read(self, path: str, start: int | None = None, end: int | None = None) -> bytes:
        """Reads a file, or bytes `start` to `end` of it."""

    def write(self, files: Mapping[str, bytes], *, durable: bool = True) -> None:
        """Replaces files, each as a whole."""

    def put_if_absent(self, path: str, data: bytes) -> bool:
        """Creates a file unless it is there; says whether it did."""

    def exists(self, path: str) -> bool:
        """Says whether a file is there."""

    def stat(self, path: str) -> tuple[int, datetime]:
        """Returns a file's size in bytes and the time of its last write."""

    def walk(self, path: str) -> list[str]:
        """Lists all files at any depth."""

    def listdir(self, path: str) -> list[str]:
        """Lists names in a folder."""

    def delete(self, path: str, root: str) -> None:
        """Deletes a file, and folders below `root` that it leaves empty."""

    def sweep(self, path: str, before: datetime, *, folders: bool, dry_run: bool) -> int:
        """Deletes what killed writers left; counts the files."""

    def probe(self, path: str) -> None:
        """Tests that the two promises of a store hold."""


class Connection:
    """The file system of a store and of its children, connected once in each process."""

    def __init__(self, protocol: str, url: str, options: dict[str, object]) -> None:
        self.protocol = protocol
        self.url = url
        self.options = options
        remember_secrets(url, options)
        self._opened: tuple[int, Files] | None = None

    def open(self) -> Files:
        """Return the backend; a forked child connects anew, for it has no threads of its parent."""
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = os.getpid(), self._connect()
        return self._opened[1]

    def _connect(self) -> Files:
        if self.protocol == "file":
            from storage.base.local import LocalFiles

            return LocalFiles()
        from storage.base.clouds import connect_files

        return connect_files(self.protocol, self.url, self.options)
