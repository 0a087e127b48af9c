"""What the operating system raises, in our own words."""

import contextlib
import errno
from collections.abc import Iterator

from storage.base.errors import NotFound, NotWritable, OutOfSpace, Unreachable


@contextlib.contextmanager
def translate_faults(path: str) -> Iterator[None]:
    """Gives faults of the operating system our names."""
    try:
        yield
    except FileNotFoundError as error:
        raise NotFound(
            f"file ({path}) must exist; got nothing there; check the path, or write it first"
        ) from error
    except OSError as error:
        raise _translate(path, error) from error


def _translate(path: str, error: OSError) -> Exception:
    reason = error.strerror or str(error)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return NotWritable(
            f"file ({path}) must be open to this user; got: {reason}; change its permissions or "
            "move on"
        )
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return OutOfSpace(
            f"file ({path}) must fit on its disk; got: {reason}; free some space, then run again"
        )
    if error.errno in (errno.ENOTDIR, errno.EISDIR):
        return NotFound(
            f"file ({path}) must be a file below directories; got: {reason}; move what is in the "
            "way"
        )
    return Unreachable(
        f"file ({path}) must be readable and writable; got: {reason}; check the disk"
    )
