"""Reading a channel's files for python-tuf's client: http(s) by urllib3, all else by fsspec."""

from collections.abc import Iterator

from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface
from tuf.ngclient.urllib3_fetcher import Urllib3Fetcher

from deployments.targets.trust.address import Location
from storage.base.errors import NotFound
from storage.base.store import Store

HTTP_TIMEOUT_S = 20
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


class HttpFetcher(FetcherInterface):
    """Reads paths relative to an http(s) address."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._fetcher = Urllib3Fetcher(socket_timeout=HTTP_TIMEOUT_S, app_user_agent="lepton")

    def _fetch(self, url: str) -> Iterator[bytes]:
        return self._fetcher.fetch(f"{self._url}/{url}")


def read_http(url: str, max_bytes: int) -> bytes:
    """Reads one file of an http(s) address.

    Raises:
        DownloadError: It cannot be read, or is longer.
    """
    fetcher = Urllib3Fetcher(socket_timeout=HTTP_TIMEOUT_S, app_user_agent="lepton")
    return fetcher.download_bytes(url, max_bytes)


def open_fetcher(location: Location) -> FetcherInterface:
    """Opens a fetcher of paths relative to the channel, so that its errors hold no secrets."""
    return StoreFetcher(location.store) if location.store is not None else HttpFetcher(location.url)
