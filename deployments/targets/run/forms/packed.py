"""Unpacks a file of rows that a model is asked with, as it may be packed where one learns."""

import bz2
import lzma
import re
import zlib
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from deployments.targets.errors import BadInput

FIRST_STEP_BYTES: Final = 512
"""Bytes of a frame that are read first; then twice as many each time. So what is read beyond a
frame's end is never longer than the frame, and many small frames cost no more than a long one."""
MOST_FRAMES: Final = 2**16
"""Most frames of a file: tools that pack by the block put at least some hundred bytes in each."""
_FILLED: Final = re.compile(rb"[^\0]")


class _ZstdReader:
    """Unpacks one frame of a .zst file, as the standard library's readers unpack theirs."""

    def __init__(self) -> None:
        import zstandard

        self._reader = zstandard.ZstdDecompressor().decompressobj()

    @property
    def eof(self) -> bool:
        """Whether the frame has ended."""
        return bool(self._reader.eof)

    @property
    def unused_data(self) -> bytes:
        """What was given beyond its end."""
        return bytes(self._reader.unused_data)

    def decompress(self, data: bytes, most_bytes: int) -> bytes:
        """Return what data unpack to, however much it is.

        Raises:
            EOFError: They are damaged.
        """
        del most_bytes
        import zstandard

        try:
            return bytes(self._reader.decompress(data))
        except zstandard.ZstdError as error:
            raise EOFError(str(error)) from error


class _Packing(NamedTuple):
    """A way to pack: what opens a frame of it, and the most bytes that are unpacked at once."""

    open_reader: Callable[[], Any]
    most_step_bytes: int = 2**20


_PACKINGS: Final = {
    b"\x1f\x8b": _Packing(lambda: zlib.decompressobj(31)),
    b"\xfd7zXZ\x00": _Packing(lzma.LZMADecompressor),
    b"BZh": _Packing(bz2.BZ2Decompressor),
    b"\x28\xb5\x2f\xfd": _Packing(_ZstdReader, 1024),  # of these, 32 MiB may come at most
}


def unpack(data: bytes, most_bytes: int, where: str) -> bytes:
    """Return what a file holds that is packed by gzip, xz, bzip2 or zstd; another one as it is.

    It takes time in proportion to the file's bytes, however many frames they are.

    Args:
        data: The file.
        most_bytes: Most bytes that it may unpack to.
        where: Its name, for messages.

    Raises:
        BadInput: It is damaged, unpacks to more, or is packed in too many frames.
    """
    packing = next((each for magic, each in _PACKINGS.items() if data.startswith(magic)), None)
    if packing is None:
        return data
    found = bytearray()
    start = 0
    for _ in range(MOST_FRAMES):
        try:
            end = _read_frame(packing, data, start, found, most_bytes)
        except (zlib.error, lzma.LZMAError, OSError, EOFError) as error:
            raise BadInput(
                f"input ({where}) must unpack to its end; got {error}; it is damaged: fetch it "
                "again"
            ) from error
        if len(found) > most_bytes:
            raise BadInput(
                f"input ({where}) must unpack to at most {most_bytes} bytes; got more; give fewer "
                "rows"
            )
        # Some tools fill a file up with zeros, which those who learn from it pass over, too.
        following = _FILLED.search(data, end)
        if following is None:
            return bytes(found)
        start = following.start()
    raise BadInput(
        f"input ({where}) must be packed in at most {MOST_FRAMES} frames; got more; unpack it, and "
        "pack it in one piece"
    )


def _read_frame(
    packing: _Packing, data: bytes, start: int, found: bytearray, most_bytes: int
) -> int:
    """Unpacks one frame of a file.

    Args:
        packing: How it is packed.
        data: The file.
        start: Where the frame begins.
        found: What came before it; what it holds is put behind.
        most_bytes: The frame is left once there are more than these.

    Returns:
        Where it ends.

    Raises:
        EOFError: It has no end.
    """
    reader = packing.open_reader()
    step = FIRST_STEP_BYTES
    while start < len(data):
        piece = data[start : start + step]
        found += reader.decompress(piece, most_bytes + 1 - len(found))
        start += len(piece)
        if reader.eof:
            return start - len(reader.unused_data)
        if len(found) > most_bytes:
            return start
        step = min(2 * step, packing.most_step_bytes)
    raise EOFError("a part of it, which is cut off")
