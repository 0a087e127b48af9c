"""Tables that a plug-in can add a row to: forms, objectives and kinds are found in them by name.

A plug-in is a Python package with one module for each floor that it adds to, each named after the
floor: `storage`, `gates`, `specs`, `lightning_modules`, `targets`, `tasks`, `flows`. `specs` says
of networks what a recipe may say, without torch. Importing such a module registers what it adds.
Lepton finds plug-ins by the entry-point group `lepton.plugins`, and, for packages that are not
installed, by the comma-separated names in `LEPTON_PLUGINS`. Every process of a run, the training
process and Dask's workers among them, loads them by itself. They are loaded when a table is first
asked: no module asks one while it is imported, for a plug-in may import it.
"""

import importlib
import importlib.util
import os
from collections.abc import Iterator
from functools import cache
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from storage.base.errors import StorageError

GROUP = "lepton.plugins"
VARIABLE = "LEPTON_PLUGINS"
T = TypeVar("T")


class UnknownName(StorageError):
    """A table has no row of that name."""


class Registry(Generic[T]):
    """One table of a floor: rows by name, in the order in which they were registered.

    Args:
        what: What a row is, for messages, such as "form of rows".
        floor: The floor's package, such as "gates"; also the plug-in's module that adds to it.
    """

    def __init__(self, what: str, floor: str) -> None:
        self.what = what
        self.floor = floor
        self._rows: dict[str, T] = {}

    def register(self, name: str, row: T) -> T:
        """Adds a row.

        Raises:
            ValueError: The name is taken by another row.
        """
        if self._rows.get(name, row) is not row:
            raise ValueError(f"{self.what} ({name}) must be a new name; got one that is taken")
        self._rows[name] = row
        return row

    def find(self, name: str) -> T:
        """Return the row of a name.

        Raises:
            UnknownName: There is none, with the names that there are.
        """
        load_plugins(self.floor)
        if name not in self._rows:
            raise UnknownName(
                f"{self.what} ({name}) must be one of {', '.join(self._rows)}; got another; choose "
                "one of these, or install the plug-in that brings it"
            )
        return self._rows[name]

    def __contains__(self, name: object) -> bool:
        load_plugins(self.floor)
        return name in self._rows

    def __iter__(self) -> Iterator[str]:
        load_plugins(self.floor)
        return iter(tuple(self._rows))

    @property
    def rows(self) -> tuple[T, ...]:
        """All rows."""
        load_plugins(self.floor)
        return tuple(self._rows.values())


_loaded: set[str] = set()


def load_plugins(floor: str) -> None:
    """Imports every plug-in's module for a floor, once a process."""
    if floor in _loaded:
        return
    _loaded.add(floor)
    for package in list_plugins():
        module = f"{package}.{floor}"
        if importlib.util.find_spec(module) is not None:
            importlib.import_module(module)


@cache
def _list_installed() -> tuple[str, ...]:
    """The packages that installed distributions name; looking through all of these takes 20 ms."""
    return tuple(entry.value for entry in entry_points(group=GROUP))


def list_plugins() -> tuple[str, ...]:
    """Return the packages of all plug-ins, each once."""
    named = list(_list_installed())
    named += [name.strip() for name in os.environ.get(VARIABLE, "").split(",") if name.strip()]
    return tuple(dict.fromkeys(named))
