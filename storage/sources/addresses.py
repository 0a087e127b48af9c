"""Addresses of files below a source's URL, and which of several names is there."""

import posixpath
from collections.abc import Mapping, Sequence

from storage.base.errors import SourceUnavailable
from storage.base.store import redact
from storage.sources.faults import translated


def find_file(url: str, options: Mapping[str, object], candidates: Sequence[str]) -> str:
    """Return the first of several names under which a file lies below a URL.

    Raises:
        SourceUnavailable: None of them is there.
    """
    with translated(redact(url)):
        import fsspec

        filesystem, path = fsspec.core.url_to_fs(url, **options)
        for candidate in candidates:
            if filesystem.exists(join_url(path, candidate)):
                return candidate
    raise SourceUnavailable(
        f"file ({join_url(redact(url), candidates[0])}) must exist; got nothing there, nor under "
        f"the names {', '.join(candidates[1:]) or '(no others)'}; check the source's url and file "
        "names"
    )


def join_url(url: str, name: str) -> str:
    """Return the address of a file below a folder or base URL.

    A query such as a signature stays at the end.
    """
    inner, outer = split_chain(url)
    base, mark, query = inner.partition("?") if has_query(inner) else (inner, "", "")
    folder = base if base.endswith("://") else base.rstrip("/") or "/"
    return posixpath.join(folder, name) + mark + query + outer


def show_name(name: str) -> str:
    """Return a file's name as text that can be stored, whatever its bytes are."""
    return name.encode("utf-8", "backslashreplace").decode()


def has_query(url: str) -> bool:
    """Return whether a question mark begins a query there, rather than being part of a name."""
    protocol, mark, _ = url.partition("://")
    return bool(mark) and protocol not in ("file", "local")


def find_cache(url: str) -> str:
    """Return what a URL names before its protocol, as `simplecache::`; "" without such."""
    protocol, mark, _ = url.partition("://")
    cache, chain, _ = protocol.rpartition("::")
    return cache + chain if mark else ""


def split_chain(url: str) -> tuple[str, str]:
    """Splits a URL into the part that names are below, and what that lies in.

    As `zip://folder` and `::s3://bucket/archive.zip`.
    """
    inner, mark, outer = url.partition("::")
    return (inner, mark + outer) if "://" in inner else (url, "")
