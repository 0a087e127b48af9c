"""Sends requests: pooled connections, one deadline over all attempts, and bounded answers."""

import time
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

import urllib3
from urllib3.exceptions import HTTPError, LocationValueError, SSLError
from urllib3.util import Timeout, parse_url

from lepton_ai.client.errors import (
    BadAnswer,
    ClientError,
    DeadlinePassed,
    RequestRefused,
    ServerBusy,
    ServerUnreachable,
)
from lepton_ai.client.retries import BUSY, Retries, read_retry_after
from storage.base.json_keys import load_json
from storage.base.store import redact

MAX_ANSWER_BYTES = 256 * 2**20
MAX_TEXT_CHARS = 2000
DEADLINE, MAX_DEADLINE_MS = "x-request-timeout-ms", 600_000
"""Header that says how long the answer is waited for, so that none is made after that."""
_CHUNK_BYTES = 1 << 18
_SLACK_S = 0.01
_UNREACHABLE_HINT = "see that it runs, and that the address is right"


@dataclass(frozen=True)
class Reply:
    """What came back.

    Attributes:
        status: HTTP status.
        headers: Its headers, by names in small letters.
        body: Its bytes.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class Transport:
    """Sends requests to one server; safe to use from many threads.

    Args:
        url: The server's address, http(s)://host[:port][/prefix].
        key: The API key, sent as a bearer token; None for none.
        timeout_s: Seconds that a call may take, all its attempts and pauses together.
        retries: How often and how soon a request is sent again.
        connections: Most connections that are kept open.
        ca_file: Certificates that the server's is verified by; None for the system's.

    Raises:
        ValueError: The address or the key cannot be one.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | None,
        timeout_s: float,
        retries: Retries,
        connections: int,
        ca_file: str | None,
    ) -> None:
        self.url = _check_url(url)
        self.timeout_s, self._retries = timeout_s, retries
        self._headers = {} if key is None else {"authorization": f"Bearer {_check_key(key)}"}
        self._pool = urllib3.PoolManager(maxsize=connections, block=False, ca_certs=ca_file)

    def close(self) -> None:
        """Closes the connections."""
        self._pool.clear()

    def ask(
        self,
        method: str,
        path: tuple[str, ...],
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        query: str = "",
    ) -> Reply:
        """Send a request until it is answered, refused for good, or no time is left.

        Args:
            method: "GET" or "POST"; what is sent may be sent again.
            path: Parts of the path, which are escaped.
            body: What is sent.
            headers: Headers beside the client's own.
            timeout_s: Seconds that it may take; None for the client's.
            query: What stands behind the path, escaped.

        Raises:
            ClientError: It was not answered.
        """
        deadline = time.monotonic() + (self.timeout_s if timeout_s is None else timeout_s)
        address = self._locate(path) + query
        every = {**self._headers, **(headers or {})}
        attempt = 0
        failed: ClientError
        while True:
            asked_s: float | None = None
            try:
                reply = self._send(method, address, body, every, deadline)
                if 200 <= reply.status < 300:
                    return reply
                failed = _read_refusal(reply)
                if reply.status not in BUSY:
                    raise failed
                asked_s = read_retry_after(reply.headers.get("retry-after"))
            except ServerUnreachable as error:
                failed = error
            pause_s = self._retries.draw_pause(attempt, asked_s)
            if attempt >= self._retries.most or time.monotonic() + pause_s >= deadline:
                raise failed
            time.sleep(pause_s)
            attempt += 1

    def is_there(
        self, path: tuple[str, ...], absent: Container[int], timeout_s: float | None = None
    ) -> bool:
        """Ask once whether a path answers; a server that cannot be reached does not.

        Args:
            path: Parts of the path.
            absent: Statuses that say no.
            timeout_s: Seconds that it may take; None for the client's.

        Raises:
            ClientError: The server refuses to say, such as for a wrong key.
        """
        deadline = time.monotonic() + (self.timeout_s if timeout_s is None else timeout_s)
        try:
            reply = self._send("GET", self._locate(path), None, self._headers, deadline)
        except (ServerUnreachable, DeadlinePassed):
            return False
        if 200 <= reply.status < 300 or reply.status in absent:
            return reply.status < 300
        raise _read_refusal(reply)

    def _locate(self, path: tuple[str, ...]) -> str:
        return "/".join((self.url, *(quote(part, safe="") for part in path)))

    def _send(
        self,
        method: str,
        address: str,
        body: bytes | None,
        headers: Mapping[str, str],
        deadline: float,
    ) -> Reply:
        left_s = deadline - time.monotonic()
        try:
            if left_s <= 0:
                raise TimeoutError
            response = self._pool.request(
                method,
                address,
                body=body,
                headers={**headers, DEADLINE: str(_count_ms(left_s))},
                timeout=Timeout(total=left_s),
                retries=False,
                redirect=False,
                preload_content=False,
            )
            return Reply(
                response.status,
                {name.lower(): text for name, text in response.headers.items()},
                _read_body(response, deadline),
            )
        except (HTTPError, OSError) as error:
            raise self._explain(error, deadline) from error

    def _explain(self, error: Exception, deadline: float) -> ClientError:
        shown = redact(self.url)
        if time.monotonic() >= deadline - _SLACK_S:
            return DeadlinePassed(
                f"server ({shown}) must answer in time; got none; give it longer (timeout_s), or "
                "ask for less at once"
            )
        if isinstance(error, SSLError):
            return ClientError(
                f"server ({shown}) must prove who it is; got {redact(str(error))}; name the file "
                "of its authority's certificates (ca_file)"
            )
        return ServerUnreachable(
            f"server ({shown}) must be reachable; got {redact(str(error))}; {_UNREACHABLE_HINT}"
        )


def _count_ms(left_s: float) -> int:
    """Return the milliseconds that are left, as a server takes them."""
    return min(MAX_DEADLINE_MS, max(1, int(left_s * 1000)))


def _read_body(response: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
    """Read a body within the deadline: a server that gives a byte now and then ends there, too."""
    parts: list[bytes] = []
    held = 0
    try:
        while part := _read_part(response, deadline):
            parts.append(part)
            held += len(part)
            _check_size(held)
    except BaseException:
        response.close()
        raise
    response.release_conn()
    return b"".join(parts)


def _read_part(response: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    held = getattr(response.connection, "sock", None)
    if held is not None:
        held.settimeout(left_s)
    return response.read1(_CHUNK_BYTES)


def _check_size(held_bytes: int) -> None:
    if held_bytes > MAX_ANSWER_BYTES:
        raise BadAnswer(
            f"answer must be at most {MAX_ANSWER_BYTES} bytes; got more; ask for less at once"
        )


def _read_refusal(reply: Reply) -> RequestRefused:
    """Read what a server said of a request that it refused."""
    text = reply.body[: 4 * MAX_TEXT_CHARS].decode("utf-8", "replace")
    try:
        document = load_json(reply.body)
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict) and isinstance(document.get("error"), str):
        text = document["error"]
    kind = ServerBusy if reply.status in BUSY else RequestRefused
    return kind(reply.status, redact(text)[:MAX_TEXT_CHARS] or "no word of why")


def _check_url(url: str) -> str:
    try:
        parsed = parse_url(url)
    except LocationValueError:
        parsed = parse_url("")
    if parsed.scheme not in ("http", "https") or not parsed.host or parsed.auth or parsed.query:
        raise ValueError(
            f"url ({redact(url)}) must be http(s)://host[:port][/prefix], without a login; got "
            "another; give an API key as key="
        )
    return url.split("#")[0].rstrip("/")


def _check_key(key: str) -> str:
    if not key or not all("!" <= sign <= "~" for sign in key):
        raise ValueError("key must be printable ASCII without spaces; got another; copy it anew")
    return key
