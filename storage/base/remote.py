"""Files of an object store behind fsspec: S3 and its like, Google Cloud, Azure, memory.

Object stores make a whole object visible at once, which `write` needs, and can refuse to create one
twice ("conditional write", RFC 9110 section 13.1.2, If-None-Match), which `put_if_absent` needs.
The second is tested before the first use. A file system of which nobody knows the first, such as
SFTP, can be read here but not written: a killed writer would leave half of a file.
"""

import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

from storage.base.errors import NotFound, NotWritable, UnsupportedStore
from storage.base.remote_errors import translate_error, translated
from storage.base.urls import redact

_ATTEMPTS = 5
_FIRST_WAIT_S = 0.2


class RemoteFiles:
    """Files of one fsspec file system, to be read. Paths are full URLs.

    A subclass that knows how its service keeps both promises can write, too.

    Args:
        fs: The file system.
        protocol: Its protocol, as the URLs spell it.
    """

    _read_options: ClassVar[dict[str, Any]] = {}
    _write_options: ClassVar[dict[str, Any]] = {}
    _can_write = False

    def __init__(self, fs: Any, protocol: str) -> None:
        self._fs = fs
        self._protocol = protocol
        self._probed = False

    def read(self, path: str, start: int | None = None, end: int | None = None) -> bytes:
        """Reads a file or a range of it."""
        with translated(path):
            try:
                return bytes(self._fs.cat_file(path, start=start, end=end, **self._read_options))
            except FileNotFoundError:
                raise
            except Exception:
                # Some answer a range past the end with an error (416), others with nothing.
                if start is not None and start >= self._fs.size(path):
                    return b""
                raise

    def write(self, files: Mapping[str, bytes], *, durable: bool = True) -> None:
        """Replaces files, many at once where the file system can.

        What an object store has taken is durable.
        """
        first = next(iter(files), None)
        if first is None:
            return
        self._check_writable(first)
        with translated(first):
            self._fs.pipe(dict(files), **self._write_options)

    def put_if_absent(self, path: str, data: bytes) -> bool:
        """Creates a file once."""
        if not self._probed:
            self.probe(f"{path}.lepton-probe-{secrets.token_hex(8)}")
        return self._put(path, data)

    def _put(self, path: str, data: bytes) -> bool:
        self._check_writable(path)
        mark = secrets.token_hex(16)
        wait_s = _FIRST_WAIT_S
        for attempt in range(_ATTEMPTS):
            try:
                self._create(path, data, mark)
            except FileExistsError:
                return self._is_ours(path, mark)
            except Exception as error:  # noqa: BLE001 - each file system has exceptions of its own
                # The reply is lost or refuses us; what lies there tells which. PreconditionFailed
                # comes here as well from servers that do not say which condition failed.
                if self.exists(path):
                    return self._is_ours(path, mark)
                fault = translate_error(path, error)
                if attempt == _ATTEMPTS - 1 or isinstance(fault, NotFound | NotWritable):
                    raise fault from None
                time.sleep(wait_s)
                wait_s *= 2
            else:
                return True
        return False

    def _create(self, path: str, data: bytes, mark: str) -> None:
        """Creates a file that carries a mark of the call; raises `FileExistsError`."""
        raise NotImplementedError

    def _is_ours(self, path: str, mark: str) -> bool:
        """Return whether what exists was put by this call, whose reply was lost.

        Its mark says so.
        """
        raise NotImplementedError

    def exists(self, path: str) -> bool:
        """Return whether a file is there."""
        with translated(path):
            try:
                return bool(self._fs.info(path)["type"] == "file")
            except FileNotFoundError:
                return False

    def stat(self, path: str) -> tuple[int, datetime]:
        """Return the size in bytes and time of the last write."""
        with translated(path):
            info = self._fs.info(path)
            if info["type"] != "file":
                raise FileNotFoundError(path)
            found = info.get("LastModified") or self._fs.modified(path)
        return int(info["size"]), found if found.tzinfo else found.replace(tzinfo=UTC)

    def walk(self, path: str) -> list[str]:
        """Return all files at any depth."""
        with translated(path):
            self._fs.invalidate_cache()
            return self._restore(path, self._fs.find(path))

    def listdir(self, path: str) -> list[str]:
        """Return the names in a folder."""
        with translated(path):
            self._fs.invalidate_cache()
            try:
                found = self._restore(path, self._fs.ls(path, detail=False))
            except FileNotFoundError:
                return []
        return [
            name.rstrip("/").rpartition("/")[2]
            for name in found
            if name.rstrip("/") != path.rstrip("/")
        ]

    def _restore(self, path: str, found: list[str]) -> list[str]:
        """Gives paths, as the file system spells them, the URL that they were asked for with."""
        stripped = self._fs._strip_protocol(path).rstrip("/")
        return [path.rstrip("/") + name.removeprefix(stripped) for name in found]

    def delete(self, path: str, root: str) -> None:
        """Deletes a file. Folders do not exist."""
        self._check_writable(path)
        with translated(path):
            try:
                self._fs.rm_file(path)
            except FileNotFoundError:
                return

    def sweep(self, path: str, before: datetime, *, folders: bool, dry_run: bool) -> int:
        """Does nothing: an object is there as a whole or not at all, and folders are not."""
        return 0

    def probe(self, path: str) -> None:
        """Creates a file twice."""
        self._check_writable(path)
        try:
            answers = self._put(path, b"1"), self._put(path, b"2")
            content = self.read(path)
        finally:
            if self.exists(path):
                self.delete(path, path)
        if answers != (True, False) or content != b"1":
            raise UnsupportedStore(
                f"the store of {redact(path).rpartition('/')[0]} must refuse to create a file "
                "twice, else commits get lost; it does not; use a directory, or a service with "
                "conditional writes"
            )
        self._probed = True

    def _check_writable(self, path: str) -> None:
        if not self._can_write:
            raise UnsupportedStore(
                f"the store of {redact(path)} must show a file only once it is complete, and "
                f"create one only once; of {self._protocol}:// that is not known; use it as a "
                "source, and a directory, s3://, gs:// or az:// as the workspace"
            )
