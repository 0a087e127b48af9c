"""Files of an object store behind fsspec: S3 and its like, Google Cloud, Azure, and the memory of this process.

Object stores make a whole object visible at once, which `write` needs, and can refuse to create one
twice ("conditional write", RFC 9110 section 13.1.2, If-None-Match), which `put_if_absent` needs.
The second is tested before the first use. A file system of which nobody knows the first, such as
SFTP, can be read here but not written: a killed writer would leave half of a file.
"""

import asyncio
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, ClassVar

import fsspec

from storage.base.errors import (
    NotFound,
    NotWritable,
    OutOfSpace,
    StorageError,
    Unreachable,
    UnsupportedStore,
)
from storage.base.urls import redact

_ATTEMPTS = 5
_FIRST_WAIT_S = 0.2
_MARK = "lepton-put"
_REFUSALS = (
    "NoCredentialsError",
    "PartialCredentialsError",
    "DefaultCredentialsError",
    "CredentialUnavailableError",
)
_EXTRAS = {"gs": "gcs", "gcs": "gcs", "az": "azure", "abfs": "azure", "abfss": "azure"}


def connect_files(protocol: str, url: str, options: Mapping[str, object]) -> "RemoteFiles":
    """Connects to the file system of a URL.

    Raises:
        UnsupportedStore: fsspec does not know the protocol, or its package is not installed.
        Unreachable: The options are refused.
    """
    if protocol not in _KINDS and "::" in url:
        raise UnsupportedStore(
            f"the URL of a store ({redact(url)}) must lead straight to its files; got a chain of "
            "file systems, which can "
            "show an old copy or a part; write what stands behind its last `::`, or use it as a "
            "source"
        )
    try:
        opener = fsspec.get_filesystem_class(protocol)
        # A listing that was cached would hide what other processes wrote.
        fs = opener(**{**opener._get_kwargs_from_urls(url), "use_listings_cache": False, **options})
    except (ImportError, ValueError, TypeError, AttributeError) as error:
        package = (
            f"install lepton-ai[{_EXTRAS[protocol]}]"
            if protocol in _EXTRAS
            else "install what it names"
        )
        raise UnsupportedStore(
            f"the protocol of a store ({redact(url)}) must be one that fsspec can open here; got: "
            f"{redact(str(error))}; {package}, give its options, or use a directory or an s3:// URL"
        ) from None
    except Exception as error:  # noqa: BLE001 - each file system has exceptions of its own
        raise _translate(url, error) from None
    return _KINDS.get(protocol, RemoteFiles)(fs, protocol)


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
        with _translated(path):
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
        """Replaces files, many at once where the file system can; what an object store has taken is durable."""
        first = next(iter(files), None)
        if first is None:
            return
        self._check_writable(first)
        with _translated(first):
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
                fault = _translate(path, error)
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
        """Whether what exists was put by this call, whose reply was lost: it has the mark."""
        raise NotImplementedError

    def exists(self, path: str) -> bool:
        """Whether a file is there."""
        with _translated(path):
            try:
                return bool(self._fs.info(path)["type"] == "file")
            except FileNotFoundError:
                return False

    def stat(self, path: str) -> tuple[int, datetime]:
        """Size in bytes and time of the last write."""
        with _translated(path):
            info = self._fs.info(path)
            if info["type"] != "file":
                raise FileNotFoundError(path)
            found = info.get("LastModified") or self._fs.modified(path)
        return int(info["size"]), found if found.tzinfo else found.replace(tzinfo=UTC)

    def walk(self, path: str) -> list[str]:
        """All files at any depth."""
        with _translated(path):
            self._fs.invalidate_cache()
            return self._restore(path, self._fs.find(path))

    def listdir(self, path: str) -> list[str]:
        """Names in a folder."""
        with _translated(path):
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
        with _translated(path):
            try:
                self._fs.rm_file(path)
            except FileNotFoundError:
                return

    def sweep(self, path: str, before: datetime, *, folders: bool, dry_run: bool) -> int:
        """Nothing to do: an object that was not put completely is not there, and there are no folders."""
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
                "twice, else commits get "
                "lost; it does not; use a directory, or a service with conditional writes"
            )
        self._probed = True

    def _check_writable(self, path: str) -> None:
        if not self._can_write:
            raise UnsupportedStore(
                f"the store of {redact(path)} must show a file only once it is complete, and "
                "create one only once; of "
                f"{self._protocol}:// that is not known; use it as a source, and a directory, "
                "s3://, gs:// or az:// as the "
                "workspace"
            )


class S3Files(RemoteFiles):
    """S3 and services that speak it, by s3fs. The mark is metadata of the object.

    One file is one request. s3fs would ask for the size before it reads, to fetch large files in
    pieces; a stream has many files under way anyway. And it would write large files in parts, of
    which a killed writer leaves some that nobody sees and somebody pays for.
    """

    _read_options: ClassVar[dict[str, Any]] = {"max_concurrency": 1}
    # Half of the most that one request may carry: s3fs writes whole what is below twice a chunk.
    _write_options: ClassVar[dict[str, Any]] = {"chunksize": 5 * 2**29}
    _can_write = True

    def _create(self, path: str, data: bytes, mark: str) -> None:
        self._fs.pipe_file(path, data, mode="create", Metadata={_MARK: mark})

    def _is_ours(self, path: str, mark: str) -> bool:
        with _translated(path):
            bucket, key, _ = self._fs.split_path(path)
            head = self._fs.call_s3("head_object", Bucket=bucket, Key=key)
        return bool(head.get("Metadata", {}).get(_MARK) == mark)


class GoogleFiles(RemoteFiles):
    """Google Cloud Storage, by gcsfs (ifGenerationMatch=0). The mark is metadata of the object."""

    _can_write = True

    def _create(self, path: str, data: bytes, mark: str) -> None:
        self._fs.pipe_file(path, data, mode="create", metadata={_MARK: mark})

    def _is_ours(self, path: str, mark: str) -> bool:
        with _translated(path):
            return bool(self._fs.info(path).get("metadata", {}).get(_MARK) == mark)


class AzureFiles(RemoteFiles):
    """Azure Blob Storage, by adlfs (If-None-Match: *). The mark is a parameter of the blob's Content-Disposition.

    adlfs sets the metadata of a blob itself and lets nobody add to it.
    """

    _can_write = True

    def _create(self, path: str, data: bytes, mark: str) -> None:
        self._fs.pipe_file(
            path, data, mode="create", content_settings={"content_disposition": _dispose(mark)}
        )

    def _is_ours(self, path: str, mark: str) -> bool:
        with _translated(path):
            return bool(
                self._fs.info(path)["content_settings"]["content_disposition"] == _dispose(mark)
            )


class MemoryFiles(RemoteFiles):
    """The memory of this process, for tests and notebooks. Threads share it; other processes do not see it."""

    _can_write = True
    _lock = threading.Lock()

    def _create(self, path: str, data: bytes, mark: str) -> None:
        with self._lock:
            self._fs.pipe_file(path, data, mode="create")

    def _is_ours(self, path: str, mark: str) -> bool:
        return False


_KINDS: Mapping[str, type[RemoteFiles]] = {
    "s3": S3Files,
    "s3a": S3Files,
    "gs": GoogleFiles,
    "gcs": GoogleFiles,
    "az": AzureFiles,
    "abfs": AzureFiles,
    "abfss": AzureFiles,
    "memory": MemoryFiles,
}


def _dispose(mark: str) -> str:
    """A Content-Disposition (RFC 6266) that holds the mark."""
    return f'inline; {_MARK}="{mark}"'


@contextmanager
def _translated(path: str) -> Iterator[None]:
    """Gives faults of a vendor's client our names. Their texts can hold secrets, so they are not chained."""
    try:
        yield
    except StorageError:
        raise
    except Exception as error:  # noqa: BLE001 - each file system has exceptions of its own
        raise _translate(path, error) from None


def _translate(path: str, error: Exception) -> StorageError:
    shown, reason = (
        redact(path),
        f"{type(error).__name__}: {redact(str(error)).partition(chr(10))[0]}",
    )
    if isinstance(error, FileNotFoundError) or type(error).__name__ == "ResourceNotFoundError":
        return NotFound(
            f"file ({shown}) must exist; got nothing there; check the bucket and the path"
        )
    if _is_refusal(error):
        return NotWritable(
            f"file ({shown}) must be open to these credentials; got {reason}; check them and the "
            "bucket's rules"
        )
    if "QuotaExceeded" in reason or "XMinioStorageFull" in reason:
        return OutOfSpace(
            f"file ({shown}) must fit into the bucket; got {reason}; free some space, then run "
            "again"
        )
    if isinstance(error, asyncio.TimeoutError):
        reason = "no answer in time"
    return Unreachable(
        f"file ({shown}) must be reachable; got {reason}; check the endpoint and the network"
    )


def _is_refusal(error: Exception) -> bool:
    """Whether the service, or the client before it asks, does not take the credentials. Each has its own way to say so."""
    status = getattr(error, "status_code", getattr(error, "code", None))
    known = (
        isinstance(error, PermissionError)
        or type(error).__name__ in _REFUSALS
        or status in (401, 403)
    )
    return known or (isinstance(error, OSError) and str(error).startswith("Forbidden: "))
