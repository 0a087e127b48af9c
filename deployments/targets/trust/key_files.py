"""Small private files: mode 0600 in directories of mode 0700, durable, and safe when two processes write at once."""

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from platformdirs import user_cache_path, user_config_path

from deployments.targets.errors import KeyAbsent, KeyStoreError, KeyUnsafe

CONFIG_VARIABLE = "LEPTON_CONFIG_DIR"
CACHE_VARIABLE = "LEPTON_CACHE_DIR"
_TEMPORARY = ".new-"


def config_dir() -> Path:
    """Directory of keys and pinned roots: $LEPTON_CONFIG_DIR, else the user's config directory."""
    chosen = os.environ.get(CONFIG_VARIABLE)
    return Path(chosen).absolute() if chosen else user_config_path("lepton", appauthor=False)


def cache_dir() -> Path:
    """Directory of verified models and of what was seen of channels: $LEPTON_CACHE_DIR, else the user's cache."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen).absolute() if chosen else user_cache_path("lepton", appauthor=False)


def make_private_dir(path: Path) -> None:
    """Makes a directory, and those above it, with mode 0700; one that is there must not be writable by others.

    Raises:
        KeyUnsafe: Others may write to it.
        KeyStoreError: It cannot be made.
    """
    with _translated("directory of keys", path):
        for folder in [*reversed(path.parents), path]:
            if folder.is_dir():
                continue
            with contextlib.suppress(FileExistsError):
                folder.mkdir(mode=0o700)
                sync_dir(folder.parent)
        mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o022:
        raise KeyUnsafe(
            f"directory of keys ({path}) must be writable by its owner only; got mode {mode:04o}; "
            "run chmod 700 on it"
        )


def put_private(path: Path, data: bytes) -> bool:
    """Writes a file of mode 0600 that does not exist yet, durably.

    Returns:
        False if it is there already; then nothing is changed.
    """
    with _translated("key file", path):
        temporary = _write_temporary(path, data)
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        finally:
            temporary.unlink()
        sync_dir(path.parent)
        return True


def replace_private(path: Path, data: bytes) -> None:
    """Writes a file of mode 0600 in one durable step, whether or not it exists."""
    with _translated("file", path):
        temporary = _write_temporary(path, data)
        try:
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_dir(path.parent)


def read_private(path: Path) -> bytes:
    """Reads a secret.

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
    """Reads a file that holds no secret; None if it is not there."""
    with _translated("file", path):
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None


def list_names(path: Path) -> list[str]:
    """Names in a directory, sorted; those still being written are left out; none if there is no such directory."""
    with _translated("directory", path):
        try:
            return sorted(entry.name for entry in path.iterdir() if not entry.name.startswith("."))
        except FileNotFoundError:
            return []


def publish_dir(files: dict[str, bytes], path: Path) -> None:
    """Makes a directory with all its private files appear at once; one that is there already is left as it is."""
    temporary = path.parent / f"{_TEMPORARY}{secrets.token_hex(8)}"
    with _translated("directory of keys", path):
        temporary.mkdir(mode=0o700)
    for name, data in files.items():
        put_private(temporary / name, data)
    with _translated("directory of keys", path):
        try:
            temporary.rename(path)
        except OSError:
            remove_dir(temporary)
            if not path.is_dir():
                raise
        sync_dir(path.parent)


def remove_dir(path: Path) -> None:
    """Removes a flat directory; none there is no fault."""
    if not path.is_dir():
        return
    for entry in path.iterdir():
        entry.unlink(missing_ok=True)
    path.rmdir()


def sync_dir(path: Path) -> None:
    """Makes the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_temporary(path: Path, data: bytes) -> Path:
    temporary = path.parent / f"{_TEMPORARY}{secrets.token_hex(8)}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


@contextlib.contextmanager
def _translated(what: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise KeyStoreError(
            f"{what} ({path}) must be readable and writable by this user; got "
            f"{error.strerror or error}; "
            f"make it so, or set {CONFIG_VARIABLE} or {CACHE_VARIABLE} to a directory that is"
        ) from error
