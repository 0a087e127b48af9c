"""Counts the files that lie beside those that a source reads by their names."""

import posixpath
from collections.abc import Collection, Iterator, Mapping

from storage.base.store import redact
from storage.sources.base import PassedOver
from storage.sources.faults import translated
from storage.sources.listing import WEB, count_endings, find_below, is_hidden, list_protocols


def find_beside(
    url: str, options: Mapping[str, object], read: Collection[str]
) -> Iterator[PassedOver]:
    """Yield how many files below a URL are not read, if there are any.

    A web server has no list of its files, and a store may let nobody see one: files that are read
    by their names are read all the same, and nothing is counted.

    Args:
        url: Folder or base address.
        options: Options of its file system.
        read: Names of the files that are read.
    """
    try:
        names = _list_names(url, options)
    except Exception:  # noqa: BLE001 - whatever forbids a list, the files themselves were read
        return
    kept = {posixpath.normpath(name) for name in read}
    endings = count_endings(name for name in names if name not in kept)
    if endings:
        yield PassedOver(endings)


def _list_names(url: str, options: Mapping[str, object]) -> list[str]:
    with translated(redact(url)):
        import fsspec

        filesystem, path = fsspec.core.url_to_fs(url, **options)
        if WEB & list_protocols(filesystem):
            return []
        base, found = find_below(filesystem, path.rstrip("/") or "/", path)
    names = {posixpath.relpath(file, base) for file in found}
    return sorted(name for name in names if not is_hidden(name))
