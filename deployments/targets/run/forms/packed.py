"""Unpacks a file of rows that a model is asked with, as it may be packed where one learns."""

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Any

from deployments.targets.errors import BadInput

_READERS: dict[bytes, Callable[[], Any]] = {
    b"\x1f\x8b": lambda: zlib.decompressobj(31),
    b"\xfd7zXZ\x00": lzma.LZMADecompressor,
    b"BZh": bz2.BZ2Decompressor,
}
_ZSTD = b"\x28\xb5\x2f\xfd"


def unpack(data: bytes, most_bytes: int, where: str) -> bytes:
    """Return what a file holds that is packed by gzip, xz or bzip2; another one as it is.

    Args:
        data: The file.
        most_bytes: Most bytes that it may unpack to.
        where: Its name, for messages.

    Raises:
        BadInput: It is damaged, unpacks to more, or is packed in a way that no device unpacks.
    """
    if data.startswith(_ZSTD):
        raise BadInput(
            f"input ({where}) must be packed by gzip, xz or bzip2, or not at all; got a .zst file; "
            "unpack it, as by zstd -d"
        )
    open_reader = next((made for magic, made in _READERS.items() if data.startswith(magic)), None)
    if open_reader is None:
        return data
    found: list[bytes] = []
    left = most_bytes + 1
    try:
        while data and left > 0:
            reader = open_reader()
            found.append(reader.decompress(data, left))
            left -= len(found[-1])
            if not reader.eof:
                break
            # Some tools fill a file up with zeros, which those who learn from it pass over, too.
            data = reader.unused_data.lstrip(b"\0")
    except (zlib.error, lzma.LZMAError, OSError, EOFError) as error:
        raise BadInput(
            f"input ({where}) must unpack to its end; got {error}; it is damaged: fetch it again"
        ) from error
    if left <= 0:
        raise BadInput(
            f"input ({where}) must unpack to at most {most_bytes} bytes; got more; give fewer rows"
        )
    if not reader.eof:
        raise BadInput(
            f"input ({where}) must unpack to its end; got a part of it; it is cut off: fetch it "
            "again"
        )
    return b"".join(found)
