"""URLs of stores: where they lead, and how they look without secrets."""

import os
import re
from pathlib import Path

from storage.base.errors import InvalidInput

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(?:::|://)\S*")
_USER = re.compile(r"(?<=://)([^/\s?#]*)@")
_QUERY = re.compile(r"([?&;][^=&;#\s]+=)[^&;#\s]*")
_CONTAINER_SCHEMES = ("abfs", "abfss", "wasb", "wasbs")


def redact(text: str) -> str:
    """Return a text with the user information and query values of its URLs replaced by `***`.

    A value of a query can be a signature or a token under any name, so all of them go. In Azure's
    `abfs://container@account` the first part is no secret and stays.
    """
    return _URL.sub(lambda match: _redact_url(match.group()), text)


def _redact_url(url: str) -> str:
    return _QUERY.sub(r"\1***", _USER.sub(lambda match: _redact_user(url, match), url))


def _redact_user(url: str, match: re.Match[str]) -> str:
    scheme = url[: match.start()].removesuffix("://").rpartition("::")[2]
    if scheme in _CONTAINER_SCHEMES and ":" not in match.group(1):
        return match.group()
    return "***@"


def split_url(url: str) -> tuple[str, str]:
    """Return protocol and path of a store's URL.

    Args:
        url: A local path (`~` is the home directory), `file://...`, or a URL of another protocol.

    Returns:
        ("file", the absolute path), or the protocol and the URL without a trailing slash.

    Raises:
        InvalidInput: The URL is empty, or names a protocol that cannot be a store.
    """
    if not url.strip() or "\0" in url:
        raise InvalidInput(
            f"the URL of a store ({url!r}) must name a directory or a remote location"
        )
    protocol, separator, path = url.partition("://")
    if not separator:
        # The path is made absolute as text: a link in it stays what the user chose.
        return "file", os.path.normpath(Path(url).expanduser().absolute())
    if protocol in ("file", "local"):
        if not path.startswith("/"):
            raise InvalidInput(
                f"the URL of a store ({redact(url)}) must have an absolute path; write file:///..."
            )
        return "file", os.path.normpath(path)
    if not path.strip("/") and protocol != "memory":
        raise InvalidInput(f"the URL of a store ({redact(url)}) must name a bucket or a host")
    return protocol, url.rstrip("/") if path.strip("/") else f"{protocol}:/"
