"""Unpacks a file of rows that a model is asked with, as it may be packed where one learns."""

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Any

from deployments.targets.errors import BadInput

STEP_BYTES = 1024
"""Bytes of a .zst file that are unpacked at once: of these, 32 MiB may come at most."""


class _ZstdReader:
    """Unpacks one frame of a .zst file, as the standard library's readers unpack theirs."""

    def __init__(self) -> None:
        import zstandard

        self._reader = zstandard.ZstdDecompressor().decompressobj()
        self.eof, self.unused_data = False, b""

    def decompress(self, data: bytes, most_bytes: int) -> bytes:
        """Return what data unpack to, at least so much of it where it is more.

        Raises:
            EOFError: They are damaged.
        """
        import zstandard

        found: list[bytes] = []
        left = most_bytes
        for start in range(0, len(data), STEP_BYTES):
            try:
                found.append(self._reader.decompress(data[start : start + STEP_BYTES]))
            except zstandard.ZstdError as error:
                raise EOFError(str(error)) from error
            left -= len(found[-1])
            self.eof = self._reader.eof
            if self.eof:
                self.unused_data = self._reader.unused_data + data[start + STEP_BYTES :]
            if self.eof or left <= 0:
                break
        return b"".join(found)


_READERS: dict[bytes, Callable[[], Any]] = {
    b"\x1f\x8b": lambda: zlib.decompressobj(31),
    b"\xfd7zXZ\x00": lzma.LZMADecompressor,
    b"BZh": bz2.BZ2Decompressor,
    b"\x28\xb5\x2f\xfd": _ZstdReader,
}


def unpack(data: bytes, most_bytes: int, where: str) -> bytes:
    """Return what a file holds that is packed by gzip, xz, bzip2 or zstd; another one as it is.

    Args:
        data: The file.
        most_bytes: Most bytes that it may unpack to.
        where: Its name, for messages.

    Raises:
        BadInput: It is damaged, or unpacks to more.
    """
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
