"""Small private files: mode 0600 in directories of mode 0700, durable, safe when two write."""

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from platformdirs import user_cache_path, user_config_path

from deployments.targets.errors import KeyAbsent, KeyStoreError, KeyUnsafe
from storage.base.errors import StorageError
from storage.base.local import LocalFiles, flush_folders, make_folder

CONFIG_VARIABLE = "LEPTON_CONFIG_DIR"
CACHE_VARIABLE = "LEPTON_CACHE_DIR"
FOLDER_MODE = 0o700
_FILES = LocalFiles(file_mode=0o600, folder_mode=FOLDER_MODE)
_TEMPORARY = ".new-"


def config_dir() -> Path:
    """Return the directory of keys and pinned roots: $LEPTON_CONFIG_DIR, else the user's own."""
    chosen = os.environ.get(CONFIG_VARIABLE)
    return Path(chosen).absolute() if chosen else user_config_path("lepton", appauthor=False)


def cache_dir() -> Path:
    """Return the directory of verified models: $LEPTON_CACHE_DIR, else the user's own."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen).absolute() if chosen else user_cache_path("lepton", appauthor=False)


def make_private_dir(path: Path) -> None:
    """Make a directory, and those above it, with mode 0700.

    Raises:
        KeyUnsafe: It is there, and others may write to it.
        KeyStoreError: It cannot be made.
    """
    with _translated("directory of keys", path):
        make_folder(path, FOLDER_MODE)
        mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o022:
        raise KeyUnsafe(
            f"directory of keys ({path}) must be writable by its owner only; got mode {mode:04o}; "
            "run chmod 700 on it"
        )


def put_private(path: Path, data: bytes) -> bool:
    """Write a file of mode 0600 that does not exist yet, durably.

    Returns:
        False if it is there already; then nothing is changed.
    """
    with _translated("key file", path):
        return _FILES.put_if_absent(str(path), data)


def replace_private(path: Path, data: bytes) -> None:
    """Write a file of mode 0600 in one durable step, whether or not it exists."""
    with _translated("file", path):
        _FILES.write({str(path): data})


def read_private(path: Path) -> bytes:
    """Read a secret.

    Raises:
        KeyAbsent: There is no such file.
        KeyUnsafe: Its mode lets others read or write it.
        KeyStoreError: It cannot be read.
    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError as error:
        raise KeyAbsent(
            f"key ({path}) must be on this machine; got no such file; run `lepton keys import`"
        ) from error
    except OSError as error:
        raise KeyStoreError(
            f"key ({path}) must be readable; got {error.strerror}; check its owner"
        ) from error
    if mode & 0o077:
        raise KeyUnsafe(
            f"key ({path}) must be closed to other users (mode 0600); got mode {mode:04o}; run "
            "chmod 600 on it"
        )
    with _translated("key", path):
        return path.read_bytes()


def read_public(path: Path) -> bytes | None:
    """Read a file that holds no secret; None if it is not there."""
    with _translated("file", path):
        try:
            return path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None


def list_names(path: Path) -> list[str]:
    """List the names in a directory, sorted, without those that are still being written."""
    with _translated("directory", path):
        try:
            return sorted(entry.name for entry in path.iterdir() if not entry.name.startswith("."))
        except FileNotFoundError:
            return []


def publish_dir(files: dict[str, bytes], path: Path) -> None:
    """Make a directory with all its private files appear at once; one that is there stays."""
    temporary = path.parent / f"{_TEMPORARY}{secrets.token_hex(8)}"
    with _translated("directory of keys", path):
        temporary.mkdir(mode=FOLDER_MODE)
        _FILES.write({str(temporary / name): data for name, data in files.items()})
        try:
            temporary.rename(path)
        except OSError:
            remove_dir(temporary)
            if not path.is_dir():
                raise
        flush_folders({str(path.parent)})


def remove_private(path: Path) -> None:
    """Remove a file durably; none there is no fault."""
    with _translated("key file", path):
        path.unlink(missing_ok=True)
        flush_folders({str(path.parent)})


def sweep_dir(path: Path) -> None:
    """Remove files in a directory that a process that has ended left half-written."""
    with _translated("directory", path):
        _FILES.sweep(str(path), datetime.now(UTC), folders=False, dry_run=False)


def remove_dir(path: Path) -> None:
    """Remove a flat directory; none there is no fault."""
    if not path.is_dir():
        return
    for entry in path.iterdir():
        entry.unlink(missing_ok=True)
    path.rmdir()


@contextlib.contextmanager
def _translated(what: str, path: Path) -> Iterator[None]:
    """Gives faults of the operating system, and those of durable files, our names."""
    try:
        yield
    except (OSError, StorageError) as error:
        cause = error.__cause__ if isinstance(error, StorageError) else error
        reason = getattr(cause, "strerror", None) or error
        raise KeyStoreError(
            f"{what} ({path}) must be readable and writable by this user; got {reason}; make it "
            f"so, or set {CONFIG_VARIABLE} or {CACHE_VARIABLE} to a directory that is"
        ) from error
