"""Where batches go: a workspace's `uplinks` folder at any URL, or an endpoint that takes them."""

import json
import os
from typing import Protocol

from deployments.targets.errors import UplinkRefused
from deployments.targets.run.device_figures import is_figures_file
from storage.base.errors import Unreachable
from storage.base.store import Store, redact, sha256_bytes

CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 10, 60
_MAX_REPLY_BYTES = 2**16
_OK, _FORBIDDEN = 200, 403
API_KEY_VARIABLE = "LEPTON_API_KEY"
"""Holds the API key of an endpoint that asks for one."""


class Uplink(Protocol):
    """Takes batches, each as often as it is sent."""

    display: str

    def send(self, name: str, data: bytes) -> None:
        """Sends one batch; when it returns, the batch is durable at the other end.

        Raises:
            UplinkRefused: The other end does not trust it.
            StorageError: It could not be sent now.
        """


class StoreUplink:
    """The `uplinks` folder of a workspace. A device needs to write there and nowhere else."""

    def __init__(self, url: str) -> None:
        self._store = Store(url)
        self.display = self._store.display

    def send(self, name: str, data: bytes) -> None:
        """Creates the batch's file unless it is there already: its name holds its digest."""
        folder = self._store.local_path()
        if folder is not None and not folder.parent.is_dir():
            # A disk that is not mounted: files made here would be seen by nobody.
            raise Unreachable(
                f"uplink ({self.display}) must lie in a workspace that is there; got no folder "
                f"{folder.parent}; mount it, or correct the address"
            )
        self._store.put_if_absent(name, data)


class HttpUplink:
    """An endpoint that verifies batches, and puts them into its workspace."""

    def __init__(self, url: str) -> None:
        import urllib3

        self._url = url
        self.display = redact(url)
        timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=READ_TIMEOUT_S)
        self._pool = urllib3.PoolManager(retries=False, timeout=timeout)

    def send(self, name: str, data: bytes) -> None:
        """Posts the batch, and waits until the endpoint says that it has it."""
        import urllib3

        headers = {"Content-Type": "application/octet-stream", "User-Agent": "lepton"}
        if key := os.environ.get(API_KEY_VARIABLE):
            headers["Authorization"] = f"Bearer {key}"
        try:
            reply = self._pool.request(
                "POST", self._url, body=data, headers=headers, redirect=False, preload_content=False
            )
            try:
                text = reply.read(_MAX_REPLY_BYTES)
            finally:
                # What was not read of a long reply must not be read as the next one.
                reply.close()
        except urllib3.exceptions.HTTPError as error:
            raise Unreachable(
                f"uplink ({self.display}) must answer; got {redact(str(error))}; check the address "
                "and the network"
            ) from None
        if reply.status == _FORBIDDEN:
            raise UplinkRefused(f"uplink ({self.display}) refuses: {_read_error(text)}")
        wanted = _find_taken(name, data)
        if reply.status != _OK or _read_member(text, "accepted") != wanted:
            named = wanted if isinstance(wanted, str) else "-".join(map(str, wanted))
            raise Unreachable(
                f"uplink ({self.display}) must say that it took {named}; got status "
                f"{reply.status}: {_read_error(text)}; check the address"
            )


def open_uplink(url: str) -> Uplink:
    """Opens an uplink: an endpoint's `/uplink` at http(s), else a workspace's `uplinks` folder.

    Raises:
        InvalidInput: The URL cannot be that of a store.
    """
    is_http = url.startswith(("http://", "https://"))
    return HttpUplink(url) if is_http else StoreUplink(url)


def _find_taken(name: str, data: bytes) -> list[int] | str:
    """Return what an endpoint says that it took: a batch's range, or the digest of figures."""
    if is_figures_file(name):
        return sha256_bytes(data)
    first, last = name.rpartition("/")[2].split("-")[:2]
    return [int(first), int(last)]


def _read_member(reply: bytes, name: str) -> object:
    """Return a member of the reply's object; None of any other reply."""
    try:
        document = json.loads(reply)
    except (ValueError, RecursionError):
        return None
    return document.get(name) if isinstance(document, dict) else None


def _read_error(reply: bytes) -> str:
    found = _read_member(reply, "error")
    return redact(str(found if found is not None else reply.decode("utf-8", "replace")))[:300]
