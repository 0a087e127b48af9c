"""URLs of stores: where they lead."""

import os
from pathlib import Path

from storage.base.errors import InvalidInput
from storage.base.redaction import redact

__all__ = ["redact", "split_url"]


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
