"""What can go wrong with stored data.

    StorageError
    |-- InvalidInput         a name, a path, rows or settings that storage cannot take
    |-- NotFound             a file, a dataset or a version does not exist
    |-- Conflict             another writer was first, or other bytes are there already
    |   |-- Overtaken            another writer created the next entry of a log
    |   `-- BeingCollected       garbage collection deletes it just now
    |-- Corrupt              stored bytes are not the bytes that were written
    |-- SourceError          raw data cannot be read as their source declares: they are at fault
    |   `-- SourceUnavailable    nothing was read: absent, out of reach, or not declared
    `-- StoreError           the store itself
        |-- UnsupportedStore     it cannot keep the promises that commits need
        |-- NotWritable          permission denied, or read-only
        |-- OutOfSpace           disk or quota is full
        `-- Unreachable          it does not answer, or answers with a fault of its own

Every message says what, where (secrets removed), what was expected, what was found, and the remedy.
"""

import re

_ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+")


class StorageError(Exception):
    """Stored data could not be read, written or trusted."""


class InvalidInput(StorageError):
    """A name, a path, rows or settings break a rule that the message states."""


class NotFound(StorageError):
    """A file, a dataset or a version does not exist."""


class Conflict(StorageError):
    """Another writer was first, or other bytes are there already."""


class Overtaken(Conflict):
    """Another writer created the next entry of a log first."""


class BeingCollected(Conflict):
    """Garbage collection deletes a file just now that a commit needs."""


class Corrupt(StorageError):
    """Stored bytes are not the bytes that were written."""


class SourceError(StorageError):
    """Raw data cannot be read as its source declares."""


class SourceUnavailable(SourceError):
    """Raw data are absent, out of reach or not declared: nothing is known of them."""


class StoreError(StorageError):
    """The store itself failed."""


class UnsupportedStore(StoreError):
    """The store cannot keep the promises that commits need."""


class NotWritable(StoreError):
    """Permission is denied, or the store is read-only."""


class OutOfSpace(StoreError):
    """The disk or the quota is full."""


class Unreachable(StoreError):
    """The store does not answer, or answers with a fault of its own."""


def describe_error(error: BaseException) -> str:
    """Return the text of anybody's exception without addresses in memory.

    A reason is kept with a version: of unchanged data it must read the same in every process.
    """
    return _ADDRESS.sub("", str(error))
