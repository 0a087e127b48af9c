"""What file systems and decompressors raise, in our own words."""

import gzip
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from storage.base.errors import SourceError, SourceUnavailable, describe_error
from storage.base.redaction import redact_said


@contextmanager
def translated(display: str) -> Iterator[None]:
    """Gives the faults of file systems and decompressors our name, and keeps secrets out of them.

    Raises:
        SourceUnavailable: Nothing could be read, instead of whatever the vendor raised.
        SourceError: What was read is damaged.
    """
    try:
        yield
    except SourceError:
        raise
    except FileNotFoundError:
        raise SourceUnavailable(
            f"file ({display}) must exist; got nothing there; check the source's url and file names"
        ) from None
    except PermissionError:
        raise SourceUnavailable(
            f"file ({display}) must be readable; got: permission denied; check its mode, or the "
            "credentials in the environment"
        ) from None
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise SourceError(
            f"file ({display}) must unpack to its end; got: {redact_said(describe_error(error))}; "
            "it is cut off or damaged: fetch it again"
        ) from error
    except ImportError as error:
        raise SourceUnavailable(
            f"file ({display}) must lie on a file system that is installed; got: "
            f"{redact_said(str(error))}; install that package"
        ) from error
    except Exception as error:  # noqa: BLE001 - every file system has errors of its own
        # Not chained: a traceback would quote the URL with its secrets.
        if _is_damage(error):
            raise SourceError(
                f"file ({display}) must be whole; got {type(error).__name__}: "
                f"{redact_said(describe_error(error))}; it is cut off or damaged: fetch it again"
            ) from None
        raise SourceUnavailable(
            f"file ({display}) must be readable; got {type(error).__name__}: "
            f"{redact_said(describe_error(error))}; check the address, the network, and the "
            "credentials in the environment"
        ) from None


def _is_damage(error: Exception) -> bool:
    """Return whether a decoder found fault with the bytes.

    pyarrow says so in its own words, bzip2 by an OSError of no system call.
    """
    return type(error).__module__ == "pyarrow.lib" or (
        type(error) is OSError and error.errno is None
    )
