"""Durable files of this machine, after the recipe that file systems honour.

It is that of POSIX: rename(2), link(2), fsync(2).

A file is written under a temporary name in the same directory, flushed, and then renamed (replace)
or linked (create once) to its name; then the directory is flushed. `link` fails if the name exists,
for any number of racing processes.
"""

import contextlib
import errno
import os
import secrets
import socket
import stat
import zlib
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from io import FileIO
from pathlib import Path

from storage.base.errors import NotFound, UnsupportedStore
from storage.base.local_errors import translate_faults

_TEMPORARY = ".lepton-tmp-"
_FOREIGN_AGE = timedelta(days=1)
_FLUSH_THREADS = 8
_ATTEMPTS = 10


class LocalFiles:
    """Files of this machine; holds no state but who may read what it makes.

    Args:
        file_mode: Mode of new files, of which the process's umask is taken away.
        folder_mode: Mode of new directories, likewise.
    """

    def __init__(self, file_mode: int = 0o666, folder_mode: int = 0o777) -> None:
        self._modes = (file_mode, folder_mode)

    def read(self, path: str, start: int | None = None, end: int | None = None) -> bytes:
        """Reads a file or a range of it."""
        with translate_faults(path), _open_plain(path) as file:
            if start is None or end is None:
                return file.read()
            # A range may end past the file: pread gives what there is.
            return os.pread(file.fileno(), end - start, start)

    def write(self, files: Mapping[str, bytes], *, durable: bool = True) -> None:
        """Replaces files; all are durable afterwards, unless that is not wanted."""
        temporary: dict[str, str] = {}
        try:
            for path, data in files.items():
                temporary[path] = _write_temporary(path, data, *self._modes)
            if durable:
                _flush(temporary.values())
            for path in list(temporary):
                with translate_faults(path):
                    Path(temporary[path]).replace(path)
                    del temporary[path]
            if durable:
                flush_folders({str(Path(path).parent) for path in files})
        finally:
            for left in temporary.values():
                Path(left).unlink(missing_ok=True)

    def put_if_absent(self, path: str, data: bytes) -> bool:
        """Creates a file once. A link that exists already is the other writer's."""
        temporary = _write_temporary(path, data, *self._modes)
        try:
            _flush([temporary])
            if not _link(temporary, path):
                return False
            flush_folders({str(Path(path).parent)})
            return True
        finally:
            Path(temporary).unlink(missing_ok=True)

    def exists(self, path: str) -> bool:
        """Return whether a file is there."""
        with translate_faults(path):
            return Path(path).is_file()

    def stat(self, path: str) -> tuple[int, datetime]:
        """Return the size in bytes and time of the last write."""
        with translate_faults(path):
            found = Path(path).stat()
        return found.st_size, datetime.fromtimestamp(found.st_mtime, UTC)

    def walk(self, path: str) -> list[str]:
        """Return all files at any depth; what disappears meanwhile is left out."""
        with translate_faults(path):
            if Path(path).is_dir():
                os.listdir(path)  # noqa: PTH208 - os.walk would hide that it cannot be read
        return [file for file in _walk(path) if _TEMPORARY not in file]

    def listdir(self, path: str) -> list[str]:
        """Return the names in a directory."""
        with translate_faults(path):
            try:
                return [
                    entry.name
                    for entry in os.scandir(path)
                    if not entry.name.startswith(_TEMPORARY)
                ]
            except FileNotFoundError:
                return []

    def delete(self, path: str, root: str) -> None:
        """Deletes a file, and the directories below the root that this leaves empty."""
        with translate_faults(path):
            Path(path).unlink(missing_ok=True)
        for folder in Path(path).parents:
            if str(folder) == root:
                break
            try:
                folder.rmdir()
            except OSError:
                # Not empty: another file, or another process just now, needs it.
                break

    def sweep(self, path: str, before: datetime, *, folders: bool, dry_run: bool) -> int:
        """Deletes old temporary files whose writers have ended, and old folders without files."""
        swept = 0
        for file in _walk(path):
            if Path(file).name.startswith(_TEMPORARY):
                with contextlib.suppress(NotFound):
                    if self.stat(file)[1] < min(before, _find_end(Path(file).name, before)):
                        swept += 1
                        if not dry_run:
                            self.delete(file, path)
        if folders and not dry_run:
            _remove_empty(path, before)
        return swept

    def probe(self, path: str) -> None:
        """Creates a file twice."""
        first = self.put_if_absent(path, b"1")
        second = self.put_if_absent(path, b"2")
        content = self.read(path)
        self.delete(path, str(Path(path).parent))
        if (first, second, content) != (True, False, b"1"):
            raise UnsupportedStore(
                f"the file system of {Path(path).parent} must refuse to create a file twice; it "
                "does not; use another one"
            )


def _open_plain(path: str) -> FileIO:
    """Opens a plain file; a pipe would be waited for, and a device never ends."""
    # Without blocking, which plain files do not do anyway.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EISDIR, "it is a pipe, a device or a folder")
    return FileIO(descriptor, "rb")


def _link(temporary: str, path: str) -> bool:
    with translate_faults(path):
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno in (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS):
                raise UnsupportedStore(
                    f"the file system of {path} must support hard links, so that a commit is "
                    f"created once; got: {error.strerror}; use another file system, or an S3 bucket"
                ) from error
            raise
    return True


def _write_temporary(path: str, data: bytes, file_mode: int, folder_mode: int) -> str:
    """Writes a file beside its final name, directories included; flushing is the caller's."""
    folder = Path(path).parent
    temporary = f"{folder}/{_TEMPORARY}{_name_host()}-{os.getpid()}-{secrets.token_hex(8)}"
    with translate_faults(path):
        for attempt in range(_ATTEMPTS):
            try:
                make_folder(folder, folder_mode)
                _write_bytes(temporary, data, file_mode)
                break
            except FileNotFoundError:
                # Another process deleted the folder, which was empty, after it was made.
                if attempt == _ATTEMPTS - 1:
                    raise
            except OSError:
                with contextlib.suppress(OSError):
                    Path(temporary).unlink(missing_ok=True)
                raise
    return temporary


def _name_host() -> str:
    return f"{zlib.crc32(socket.gethostname().encode()):08x}"


def _find_end(name: str, before: datetime) -> datetime:
    """Return the time after which temporary files may still have a writer.

    That is one here that lives, or any on another machine.
    """
    host, _, rest = name.removeprefix(_TEMPORARY).partition("-")
    pid = rest.partition("-")[0]
    if host != _name_host() or not pid.isdecimal():
        return datetime.now(UTC) - _FOREIGN_AGE
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return before
    except (PermissionError, OverflowError):
        pass
    return datetime.now(UTC) - _FOREIGN_AGE


def _write_bytes(path: str, data: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        rest = memoryview(data)
        while rest:
            rest = rest[file.write(rest) :]


def make_folder(folder: Path, mode: int = 0o777) -> None:
    """Makes a directory; the names of new ones are made durable in their parents."""
    if folder.is_dir():
        return
    make_folder(folder.parent, mode)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode)
        flush_folders({str(folder.parent)})


def _flush(paths: Collection[str]) -> None:
    """Flushes files or directories to the disk; several at once, which costs less."""
    if len(paths) < 2:
        for path in paths:
            _flush_one(path)
        return
    with ThreadPoolExecutor(min(_FLUSH_THREADS, len(paths)), "lepton-flush") as threads:
        for _ in threads.map(_flush_one, paths):
            pass


def flush_folders(paths: Collection[str]) -> None:
    """Makes the names in directories durable; one that is gone was deleted after the write."""
    for path in paths:
        with contextlib.suppress(NotFound):
            _flush_one(path)


def _flush_one(path: str) -> None:
    with translate_faults(path):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove_empty(path: str, before: datetime) -> None:
    """Removes empty directories last changed before a time, the deepest first.

    A writer that needs one makes it again.
    """
    folders = [Path(folder) for folder, _, _ in os.walk(path, topdown=False) if folder != path]
    old: list[Path] = []
    for folder in folders:
        with contextlib.suppress(OSError):
            # All are looked at first: a folder changes when one inside it goes.
            old += [folder] if folder.stat().st_mtime < before.timestamp() else []
    for folder in old:
        with contextlib.suppress(OSError):
            # Fails, as it should, where there is anything inside.
            folder.rmdir()


def _walk(path: str) -> Iterator[str]:
    for folder, _, names in os.walk(path):
        for name in names:
            yield f"{folder}/{name}"
