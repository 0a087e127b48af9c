"""The object stores that can be written, each with its own way to create a file once."""

import threading
from collections.abc import Mapping
from typing import Any, ClassVar

import fsspec

from storage.base.errors import UnsupportedStore
from storage.base.redaction import redact, redact_said
from storage.base.remote import RemoteFiles
from storage.base.remote_errors import translate_error, translated

_MARK = "lepton-put"
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
            "file systems, which can show an old copy or a part; write what stands behind its "
            "last `::`, or use it as a source"
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
            f"{redact_said(str(error))}; {package}, give its options, or use a directory or an "
            "s3:// URL"
        ) from None
    except Exception as error:  # noqa: BLE001 - each file system has exceptions of its own
        raise translate_error(url, error) from None
    return _KINDS.get(protocol, RemoteFiles)(fs, protocol)


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
        with translated(path):
            bucket, key, _ = self._fs.split_path(path)
            head = self._fs.call_s3("head_object", Bucket=bucket, Key=key)
        return bool(head.get("Metadata", {}).get(_MARK) == mark)


class GoogleFiles(RemoteFiles):
    """Google Cloud Storage, by gcsfs (ifGenerationMatch=0). The mark is metadata of the object."""

    _can_write = True

    def _create(self, path: str, data: bytes, mark: str) -> None:
        self._fs.pipe_file(path, data, mode="create", metadata={_MARK: mark})

    def _is_ours(self, path: str, mark: str) -> bool:
        with translated(path):
            return bool(self._fs.info(path).get("metadata", {}).get(_MARK) == mark)


class AzureFiles(RemoteFiles):
    """Azure Blob Storage, by adlfs (If-None-Match: *).

    The mark is a parameter of the blob's Content-Disposition.

    adlfs sets the metadata of a blob itself and lets nobody add to it.
    """

    _can_write = True

    def _create(self, path: str, data: bytes, mark: str) -> None:
        self._fs.pipe_file(
            path, data, mode="create", content_settings={"content_disposition": _dispose(mark)}
        )

    def _is_ours(self, path: str, mark: str) -> bool:
        with translated(path):
            return bool(
                self._fs.info(path)["content_settings"]["content_disposition"] == _dispose(mark)
            )


class MemoryFiles(RemoteFiles):
    """The memory of this process, for tests and notebooks.

    Threads share it; other processes do not see it.
    """

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
    """Return a Content-Disposition (RFC 6266) that holds the mark."""
    return f'inline; {_MARK}="{mark}"'
