"""Reading a channel's files for python-tuf's client: http(s) by urllib3, all else by fsspec.

A server that gives a byte now and then never runs into a timeout of its socket. So a download over
http(s) runs in a thread of its own, which is left to itself once it takes too long in all.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tuf.api.exceptions import DownloadError, DownloadHTTPError, SlowRetrievalError
from tuf.ngclient import FetcherInterface
from tuf.ngclient.urllib3_fetcher import Urllib3Fetcher
from urllib3 import BaseHTTPResponse

from deployments.targets.trust.address import Location
from storage.base.errors import NotFound
from storage.base.store import Store

HTTP_TIMEOUT_S = 20
_HTTP_CHUNK_BYTES = 1 << 16
_WAITING_CHUNKS = 16
_CHUNK_BYTES = 4 * 2**20


class StoreFetcher(FetcherInterface):
    """Reads paths relative to a store, in pieces: an endless file ends at its stated length."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def _fetch(self, url: str) -> Iterator[bytes]:
        try:
            size_bytes = self._store.size(url)
        except NotFound as error:
            raise DownloadHTTPError(f"{url} must exist; got no such file", 404) from error
        return self._read_chunks(url, size_bytes)

    def _read_chunks(self, path: str, size_bytes: int) -> Iterator[bytes]:
        for start in range(0, size_bytes, _CHUNK_BYTES):
            yield self._store.read_range(path, start, min(start + _CHUNK_BYTES, size_bytes))


@dataclass(frozen=True)
class Deadline:
    """How long a download may take in all.

    Attributes:
        first_s: Seconds until something must have come.
        least_rate: Bytes a second that must come in the mean after these.
        most_s: Seconds after which it ends, however much has come.
    """

    first_s: float = 30.0
    least_rate: float = 4096.0
    most_s: float = 3600.0

    def find_left(self, passed_s: float, received_bytes: int) -> float:
        """Return the seconds that are left to wait for the next bytes; none left below 0."""
        allowed_s = min(self.most_s, self.first_s + received_bytes / self.least_rate)
        return allowed_s - passed_s


DEADLINE = Deadline()


class HttpFetcher(FetcherInterface):
    """Reads paths relative to an http(s) address; each within a deadline.

    Args:
        url: The address; "" where whole addresses are read.
        deadline: How long each download may take.
    """

    def __init__(self, url: str = "", deadline: Deadline | None = None) -> None:
        self._url = url
        self._deadline = deadline or DEADLINE
        self._fetcher = _PromptFetcher(socket_timeout=HTTP_TIMEOUT_S, app_user_agent="lepton")

    def _fetch(self, url: str) -> Iterator[bytes]:
        address = f"{self._url}/{url}" if self._url else url
        download = _Download(lambda: self._fetcher.fetch(address), self._deadline)
        first = download.take()
        return download.follow(first)


class _PromptFetcher(Urllib3Fetcher):
    """Gives bytes as they come, not only once a whole chunk is there.

    So a download that was left ends with its next bytes, and no threads of slow servers gather.
    """

    def _chunks(self, response: BaseHTTPResponse) -> Iterator[bytes]:
        # A urllib3 without it reads whole chunks: the deadline holds all the same.
        read = getattr(response, "read1", response.read)
        try:
            while data := read(_HTTP_CHUNK_BYTES):
                yield data
        finally:
            response.release_conn()


class _Download:
    """One download in a thread of its own.

    Args:
        start: Opens it, and gives its chunks.
        deadline: How long it may take.
    """

    def __init__(self, start: Callable[[], Iterator[bytes]], deadline: Deadline) -> None:
        self._start = start
        self._deadline = deadline
        self._chunks: queue.Queue[bytes | Exception] = queue.Queue(_WAITING_CHUNKS)
        self._left = threading.Event()
        self._begun = time.monotonic()
        self._received_bytes = 0
        # A daemon: what a server holds up must not hold up the end of this process.
        threading.Thread(target=self._run, name="lepton-download", daemon=True).start()

    def take(self) -> bytes:
        """Return the next bytes; none at the end.

        Raises:
            DownloadError: It failed, or takes too long.
        """
        passed_s = time.monotonic() - self._begun
        left_s = self._deadline.find_left(passed_s, self._received_bytes)
        try:
            found = self._chunks.get(timeout=max(left_s, 0.001))
        except queue.Empty:
            self._left.set()
            raise SlowRetrievalError(
                f"a download must give {self._deadline.least_rate:g} bytes a second after its "
                f"first {self._deadline.first_s:g} s, and end within {self._deadline.most_s:g} s; "
                f"got {self._received_bytes} bytes in {passed_s + max(left_s, 0):.0f} s"
            ) from None
        if isinstance(found, DownloadError):
            raise found
        if isinstance(found, Exception):
            raise DownloadError(f"{type(found).__name__}: {found}") from found
        self._received_bytes += len(found)
        return found

    def follow(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the bytes that were taken, and all that come after them."""
        try:
            while chunk:
                yield chunk
                chunk = self.take()
        finally:
            self._left.set()

    def _run(self) -> None:
        try:
            for chunk in self._start():
                if chunk and not self._put(chunk):
                    return
            self._put(b"")
        except Exception as error:  # noqa: BLE001 - urllib3 raises what it does not expect as it is
            self._put(error)

    def _put(self, item: bytes | Exception) -> bool:
        """Hands something over; says no once nobody waits for it."""
        while not self._left.is_set():
            try:
                self._chunks.put(item, timeout=1.0)
            except queue.Full:
                continue
            return True
        return False


def read_http(url: str, max_bytes: int) -> bytes:
    """Reads one file of an http(s) address.

    Raises:
        DownloadError: It cannot be read, or is longer.
    """
    return HttpFetcher().download_bytes(url, max_bytes)


def open_fetcher(location: Location) -> FetcherInterface:
    """Opens a fetcher of paths relative to the channel, so that its errors hold no secrets."""
    return StoreFetcher(location.store) if location.store is not None else HttpFetcher(location.url)
