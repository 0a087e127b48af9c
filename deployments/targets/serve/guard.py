"""Who may ask: each request shows an API key, which is for what it asks, and not too often."""

import base64
import binascii
import logging
import time
from dataclasses import dataclass, field
from pathlib import Path

from deployments.targets.errors import KeyStoreError
from deployments.targets.serve.replies import App, Receive, Refusal, Scope, Send, send_refusal
from deployments.targets.trust.api_keys import (
    Access,
    ApiKey,
    find_api_key,
    list_api_keys,
    locate_api_keys,
)

logger = logging.getLogger(__name__)
LOOK_EVERY_S = 0.5
YOUNG_S = 5.0
"""A folder that changed so lately may have changed again without another time of its change."""
_OPEN = ("/v2/health/live", "/v2/health/ready")
"""What a system asks that starts and stops endpoints; it says nothing else."""
_ACCESS: dict[str, Access] = {
    "feedback": "feedback",
    "uplink": "uplink",
    "health": "admin",
    "metrics": "admin",
}
"""What the first part of a path needs; any other needs "predict"."""
_CLOSE = (b"connection", b"close")
_ASKS_PROGRAM = (b"www-authenticate", b'Bearer realm="lepton"')
_ASKS_PERSON = (b"www-authenticate", b'Basic realm="the key as the password", charset="UTF-8"')


@dataclass
class _Bucket:
    """Requests that a key may still make: it fills by its rate, up to a second's worth."""

    left: float
    at_s: float = field(default_factory=lambda: time.monotonic())

    def take(self, rate_per_s: float) -> float:
        """Take one; return the seconds until there is one where there is none, else 0."""
        now_s = time.monotonic()
        most = max(1.0, rate_per_s)
        self.left = min(most, self.left + (now_s - self.at_s) * rate_per_s)
        self.at_s = now_s
        if self.left < 1.0:
            return (1.0 - self.left) / rate_per_s
        self.left -= 1.0
        return 0.0


class KeyFolder:
    """The API keys of a folder, looked at again twice a second: a dropped key is refused at once.

    Args:
        folder: Where they are; None: the config directory's.

    Raises:
        KeyStoreError: One cannot be read.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = locate_api_keys(folder)
        self._seen: object = None
        self._looked_s = 0.0
        self.keys: dict[str, ApiKey] = {}
        self._read()
        self._looked_s = time.monotonic()

    def find(self, shown: str) -> ApiKey | None:
        """Return the record of a key that was shown; None where it is none."""
        now_s = time.monotonic()
        if now_s - self._looked_s >= LOOK_EVERY_S:
            self._looked_s = now_s
            try:
                self._read()
            except KeyStoreError as error:
                # What cannot be read opens nothing.
                self.keys, self._seen = {}, None
                logger.warning("API keys cannot be read, all are refused: %s", error)
        return find_api_key(self.keys, shown)

    def _read(self) -> None:
        try:
            stat = self._folder.stat()
        except OSError:
            stat = None
        if stat is None or stat.st_mtime_ns != self._seen:
            self.keys = list_api_keys(self._folder)
            is_old = stat is not None and stat.st_mtime < time.time() - YOUNG_S
            self._seen = stat.st_mtime_ns if stat is not None and is_old else None


class Guard:
    """An application in front of another, which lets through who shows a key.

    Args:
        app: What is guarded.
        folder: The keys.
        processes: Processes that share a key's rate.
    """

    def __init__(self, app: App, folder: KeyFolder, processes: int = 1) -> None:
        self._app, self._folder, self._processes = app, folder, processes
        self._buckets: dict[str, _Bucket] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request, or refuses it before anything of its body is read."""
        if scope["type"] == "http" and scope["path"] not in _OPEN:
            try:
                self._admit(scope)
            except Refusal as refusal:
                await send_refusal(send, refusal)
                return
        await self._app(scope, receive, send)

    def _admit(self, scope: Scope) -> None:
        key = self._folder.find(_read_key(_find_header(scope, b"authorization")))
        if key is None:
            is_page = b"text/html" in _find_header(scope, b"accept")
            asks = _ASKS_PERSON if is_page else _ASKS_PROGRAM
            raise Refusal(
                401,
                "request must show an API key of this endpoint; got none, or another; send the "
                "header Authorization: Bearer KEY",
                [asks, _CLOSE],
            )
        scope["lepton.key"] = key.name
        access = _ACCESS.get(scope["path"].split("/", 2)[1], "predict")
        if access not in key.scopes:
            raise Refusal(
                403,
                f"API key ({key.id}) must have the scope {access}; got one for "
                f"{', '.join(key.scopes)}; ask for another key",
                [_CLOSE],
            )
        self._take(key)

    def _take(self, key: ApiKey) -> None:
        if key.rate_per_s is None:
            return
        rate_per_s = key.rate_per_s / self._processes
        bucket = self._buckets.setdefault(key.id, _Bucket(max(1.0, rate_per_s)))
        wait_s = bucket.take(rate_per_s)
        if wait_s:
            raise Refusal(
                429,
                f"requests of API key ({key.id}) must be at most {key.rate_per_s:g} a second; got "
                "more; ask less often",
                [(b"retry-after", str(int(wait_s) + 1).encode()), _CLOSE],
            )


def _find_header(scope: Scope, wanted: bytes) -> bytes:
    """Return a header of a request; empty where it has none."""
    for name, value in scope["headers"]:
        if name == wanted:
            return bytes(value)
    return b""


def _read_key(header: bytes) -> str:
    """Return the key that a header shows: as a bearer's token, or as the password of Basic."""
    kind, _, shown = header.decode("latin-1").strip().partition(" ")
    if kind.lower() == "bearer":
        return shown.strip()
    if kind.lower() == "basic":
        try:
            said = base64.b64decode(shown.strip(), validate=True).decode("utf-8", "replace")
        except (binascii.Error, ValueError):
            return ""
        return said.partition(":")[2]
    return ""
