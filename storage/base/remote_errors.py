"""What vendors' clients raise, in our own words and without secrets."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from storage.base.errors import NotFound, NotWritable, OutOfSpace, StorageError, Unreachable
from storage.base.redaction import redact, redact_said

_REFUSALS = (
    "NoCredentialsError",
    "PartialCredentialsError",
    "DefaultCredentialsError",
    "CredentialUnavailableError",
)


@contextmanager
def translated(path: str) -> Iterator[None]:
    """Gives faults of a vendor's client our names.

    Their texts can hold secrets, so they are not chained.
    """
    try:
        yield
    except StorageError:
        raise
    except Exception as error:  # noqa: BLE001 - each file system has exceptions of its own
        raise translate_error(path, error) from None


def translate_error(path: str, error: Exception) -> StorageError:
    """Return a vendor's error in our words."""
    shown, reason = (
        redact(path),
        f"{type(error).__name__}: {redact_said(str(error)).partition(chr(10))[0]}",
    )
    if isinstance(error, FileNotFoundError) or type(error).__name__ == "ResourceNotFoundError":
        return NotFound(
            f"file ({shown}) must exist; got nothing there; check the bucket and the path"
        )
    if _is_refusal(error):
        return NotWritable(
            f"file ({shown}) must be open to these credentials; got {reason}; check them and the "
            "bucket's rules"
        )
    if "QuotaExceeded" in reason or "XMinioStorageFull" in reason:
        return OutOfSpace(
            f"file ({shown}) must fit into the bucket; got {reason}; free some space, then run "
            "again"
        )
    if isinstance(error, asyncio.TimeoutError):
        reason = "no answer in time"
    return Unreachable(
        f"file ({shown}) must be reachable; got {reason}; check the endpoint and the network"
    )


def _is_refusal(error: Exception) -> bool:
    """Return whether a service, or its client before it asks, refuses the credentials.

    Each has its own way to say so.
    """
    status = getattr(error, "status_code", getattr(error, "code", None))
    known = (
        isinstance(error, PermissionError)
        or type(error).__name__ in _REFUSALS
        or status in (401, 403)
    )
    return known or (isinstance(error, OSError) and str(error).startswith("Forbidden: "))
