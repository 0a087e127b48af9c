"""A request's body: read within bounds of size and time, and told what it is."""

import asyncio
from typing import Any, Literal

import orjson

from deployments.targets.run.forms.arrays import MAGIC
from deployments.targets.run.forms.records import quote
from deployments.targets.serve.replies import Gone, Receive, Refusal, Scope, refuse_busy
from storage.base.json_keys import RepeatedKey, load_json
from storage.base.pictures import is_picture
from storage.base.text_style import check_encoding

MAX_TEXT_BYTES = 8 * 2**20
"""Largest JSON or CSV: parsed, it takes many times its size."""
MAX_BODY_BYTES = 16 * 2**20
"""Largest picture or array."""
MAX_ROWS = 10_000
MAX_HELD_BYTES = 256 * 2**20
MAX_HELD_REQUESTS = 512
BODY_TIMEOUT_S = 30.0

Kind = Literal["file", "csv", "json"]
Headers = dict[bytes, bytes]
_KINDS: dict[str, Kind | None] = {
    "application/json": "json",
    "text/json": "json",
    "text/csv": "csv",
    "application/csv": "csv",
    "image/png": "file",
    "image/jpeg": "file",
    "image/jpg": "file",
    "image/webp": "file",
    "image/tiff": "file",
    "image/gif": "file",
    "image/bmp": "file",
    "application/x-npy": "file",
    # These say nothing: the first bytes do.
    "": None,
    "application/octet-stream": None,
    "application/x-www-form-urlencoded": None,
    "text/plain": None,
}


class Admission:
    """Counts the requests under way and the bytes of their bodies, and refuses what is too much."""

    def __init__(
        self, max_requests: int = MAX_HELD_REQUESTS, max_bytes: int = MAX_HELD_BYTES
    ) -> None:
        self._max_requests, self._max_bytes = max_requests, max_bytes
        self.requests = 0
        self.size_bytes = 0

    def enter(self) -> None:
        """Takes a request in; each call needs one of `leave`.

        Raises:
            Refusal: As many as may be are under way.
        """
        if self.requests >= self._max_requests:
            raise refuse_busy(f"requests under way must be at most {self._max_requests}; got more")
        self.requests += 1

    def leave(self, held_bytes: int) -> None:
        """Lets a request go, with the bytes that it held."""
        self.requests -= 1
        self.size_bytes -= held_bytes

    def hold(self, size_bytes: int) -> None:
        """Counts bytes of a body.

        Raises:
            Refusal: More than may be are held; these are not counted.
        """
        if self.size_bytes + size_bytes > self._max_bytes:
            raise refuse_busy(f"bodies under way must be at most {self._max_bytes} bytes; got more")
        self.size_bytes += size_bytes


class Body:
    """The body of one request under way, to be used as a context.

    Args:
        admission: What is counted of all requests.
    """

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._held_bytes = 0

    def __enter__(self) -> "Body":
        self._admission.enter()
        return self

    def __exit__(self, *_: object) -> None:
        self._admission.leave(self._held_bytes)

    async def read(self, headers: Headers, receive: Receive, max_bytes: int) -> bytes:
        """Reads the body.

        Raises:
            Refusal: It is too large, empty, packed, or does not come in time.
            Gone: The client left.
        """
        if headers.get(b"content-encoding", b"identity") != b"identity":
            raise Refusal(415, "body must not be packed; got a content-encoding; send it as it is")
        stated = headers.get(b"content-length", b"0")
        if stated.isdigit() and int(stated) > max_bytes:
            raise _refuse_size(int(stated), max_bytes)
        message = await receive()  # The connection bounds how long its first part may take.
        if message.get("more_body"):
            try:
                async with asyncio.timeout(BODY_TIMEOUT_S):
                    return await self._join(message, receive, max_bytes)
            except TimeoutError:
                raise Refusal(
                    408,
                    f"body must come within {BODY_TIMEOUT_S:.0f} s; got a part of it; send it "
                    "again",
                    [(b"connection", b"close")],
                ) from None
        return self._take(message, max_bytes)

    async def _join(self, message: Any, receive: Receive, max_bytes: int) -> bytes:
        parts = [self._take(message, max_bytes, whole=False)]
        while message.get("more_body"):
            message = await receive()
            parts.append(self._take(message, max_bytes - self._held_bytes, whole=False))
        return _require_some(b"".join(parts))

    def _take(self, message: Any, max_bytes: int, *, whole: bool = True) -> bytes:
        if message["type"] == "http.disconnect":
            raise Gone
        data: bytes = message.get("body", b"")
        if len(data) > max_bytes:
            raise _refuse_size(self._held_bytes + len(data), self._held_bytes + max_bytes)
        self._admission.hold(len(data))
        self._held_bytes += len(data)
        return _require_some(data) if whole else data


def _require_some(data: bytes) -> bytes:
    if not data:
        raise Refusal(400, "body must hold something; got an empty one; send what is asked for")
    return data


def _refuse_size(size_bytes: int, max_bytes: int) -> Refusal:
    return Refusal(
        413,
        f"body must be at most {max_bytes} bytes; got {size_bytes} or more; send less at once",
        [(b"connection", b"close")],
    )


def read_headers(scope: Scope) -> Headers:
    """Return a request's headers; of one that is there twice, the last."""
    return dict(scope["headers"])


def read_media_type(headers: Headers) -> str:
    """Return what a request says that its body is, without parameters."""
    stated = headers.get(b"content-type", b"").decode("latin-1")
    return stated.partition(";")[0].strip().lower()


def read_charset(headers: Headers) -> str | None:
    """Return the encoding that a request says its text has; None where it says none.

    Raises:
        Refusal: It is not known here.
    """
    stated = headers.get(b"content-type", b"").decode("latin-1")
    for parameter in stated.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            try:
                return check_encoding(value.strip(' "'))
            except ValueError:
                raise Refusal(
                    415, f"body must be in a charset known here; got {quote(value)}; send utf-8"
                ) from None
    return None


def tell_kind(data: bytes, headers: Headers) -> Kind:
    """Tell what a body is: by its first bytes, else by what the request says.

    Raises:
        Refusal: It is said to be something that cannot be read here.
    """
    if data.startswith(MAGIC) or is_picture(data):
        return "file"
    stated = read_media_type(headers)
    if stated not in _KINDS:
        raise Refusal(
            415,
            f"body must be a picture, as image/png, text/csv, application/json or a .npy file; got "
            f"{stated[:60]!r}; send the file itself as the body",
        )
    return _KINDS[stated] or ("json" if data.lstrip()[:1] in (b"{", b"[") else "csv")


def parse_json(data: bytes) -> Any:
    """Parses a JSON body.

    Raises:
        Refusal: It is none, or an object of it has a key twice, of which one would be lost.
    """
    _check_text(data)
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise Refusal(400, f"body must be JSON in UTF-8; got {error}; correct it") from error
    if not _is_complete(data, value):
        _require_single_keys(data)
    return value


def _is_complete(data: bytes, value: Any) -> bool:
    """Tell whether a value surely has all that its text has: a key that is lost loses its colon."""
    try:
        return b"\\u" not in data and data.count(b":") == orjson.dumps(value).count(b":")
    except orjson.JSONEncodeError:
        return False


def _require_single_keys(data: bytes) -> None:
    """Refuses a text in which an object has a key twice; it costs several times the parsing."""
    try:
        load_json(data)
    except RepeatedKey as error:
        raise Refusal(
            400, f"body must name each key once; got {error.key} twice; give it once"
        ) from None
    except RecursionError:
        raise Refusal(
            400, "body must be nested less deeply; got JSON that cannot be read"
        ) from None


def check_csv(data: bytes) -> None:
    """Refuses a CSV body that is too long, or of too many rows, before it is split."""
    _check_text(data)
    check_rows(max(data.count(b"\n"), data.count(b"\r")) - 1)


def _check_text(data: bytes) -> None:
    """Refuses a text that is too long to be parsed in the memory that a request may take."""
    if len(data) > MAX_TEXT_BYTES:
        raise _refuse_size(len(data), MAX_TEXT_BYTES)


def check_rows(rows: int) -> None:
    """Refuses more rows than one request may hold."""
    if rows > MAX_ROWS:
        raise Refusal(
            413, f"rows of a request must be at most {MAX_ROWS}; got {rows}; send fewer at once"
        )
