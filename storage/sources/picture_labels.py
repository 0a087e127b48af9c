"""Finds the class of a picture: by the folder around it, or by its line in a table of names."""

import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from storage.base.errors import SourceError
from storage.base.redaction import redact
from storage.base.text_style import Delimiter, Encoding
from storage.forms.columns import name_text_fields
from storage.forms.table import TableSpec
from storage.sources.addresses import join_url
from storage.sources.base import Part, SourceFile
from storage.sources.csv import CsvSource

_BLOCK_BYTES = 1 << 24


class LabelFile(BaseModel):
    """A CSV file that names the class of each picture."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    file: str = Field(min_length=1)
    """The CSV file: its path from the source's folder, as `../labels.csv`, or a URL."""
    name: str
    """Its column of pictures: path below the folder, or name, with its ending or without."""
    label: str
    """Its column of classes, as they stand in `data.labels`."""
    delimiter: Delimiter = ","
    """What stands between two values."""
    encoding: Encoding = "utf-8"
    """Encoding of a file without a byte order mark."""


class Labeller:
    """Numbers the classes of pictures by the folders that they lie in."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._known = {label: number for number, label in enumerate(labels)}
        self._declared = len(labels)

    def find(self, name: str) -> int | str:
        """Return the number of a picture's class; a text says why there is none.

        A class that is not declared gets a number past the last one.
        """
        return self._known.setdefault(name_folder(name), len(self._known))

    def name_strange(self, numbers: Sequence[int]) -> list[str]:
        """Return the names of those classes that are not declared, sorted."""
        asked = {number for number in numbers if number >= self._declared}
        return sorted(label for label, number in self._known.items() if number in asked)

    def list_unused(self) -> Iterator[tuple[str, str]]:
        """Yield what was to be a picture and is none, each with the reason."""
        yield from ()


class TableLabeller(Labeller):
    """Numbers the classes of pictures by a table."""

    def __init__(self, labels: Sequence[str], table: Mapping[str, str], file: str) -> None:
        super().__init__(labels)
        self._table = table
        self._file = file
        self._used: dict[str, str] = {}

    def find(self, name: str) -> int | str:
        """Return the number of a picture's class; a text says why there is none.

        Raises:
            SourceError: One line of the table names two pictures.
        """
        key = self._find_key(name)
        if key is None:
            return f"has no line in {self._file}; add one, or move it elsewhere"
        if (other := self._used.setdefault(key, name)) != name:
            raise SourceError(
                f"file ({self._file}) must name each picture once; got '{redact(key)}' for both "
                f"{other} and {name}; write their paths below the folder"
            )
        if not self._table[key]:
            return f"has no class in {self._file}; write one there, or move it elsewhere"
        return self._known.setdefault(self._table[key], len(self._known))

    def name_class(self, name: str) -> str | None:
        """Return the class of a picture as the table writes it; None where it has none."""
        key = self._find_key(name)
        return None if key is None else self._table[key] or None

    def _find_key(self, name: str) -> str | None:
        return next((key for key in list_keys(name) if key in self._table), None)

    def list_unused(self) -> Iterator[tuple[str, str]]:
        """Yield the lines that name no picture."""
        for key in self._table:
            if key not in self._used:
                yield redact(key), f"stands in {self._file}, and is no picture of the source"


def name_folder(name: str) -> str:
    """Return the name of the folder around a picture."""
    return posixpath.basename(posixpath.dirname(name))


def list_keys(name: str) -> tuple[str, ...]:
    """List the names by which a table may mean a picture, the most exact one first."""
    base = posixpath.basename(name)
    return name, posixpath.splitext(name)[0], base, posixpath.splitext(base)[0]


def read_labels(
    found: LabelFile,
    root: str,
    options: Mapping[str, JsonValue],
    labels: Sequence[str],
    tell: Callable[[SourceFile], object],
) -> TableLabeller:
    """Read the table of labels of pictures.

    Args:
        found: The file, as the recipe says it.
        root: Folder of the pictures.
        options: Options of its file system.
        labels: Names of the classes that are declared.
        tell: Takes the file, once it was read.

    Raises:
        SourceUnavailable: There is no such file.
        SourceError: It is no such table, or two lines contradict one another.
    """
    source = CsvSource(
        url=found.file if "://" in found.file else join_url(root, found.file),
        options=dict(options),
        delimiter=found.delimiter,
        encoding=found.encoding,
    )
    spec = TableSpec(texts=(found.name, found.label), missing=("",))
    fields = name_text_fields(spec)
    names, classes = (fields[column] for column in spec.texts)
    table: dict[str, str] = {}
    shown = redact(found.file)
    for item in source.scan(spec, _BLOCK_BYTES):
        if isinstance(item, SourceFile):
            tell(item.model_copy(update={"name": shown}))
        elif isinstance(item, Part):
            decoded = source.decode(item, spec)
            if decoded.faults:
                fault = decoded.faults[0]
                raise SourceError(
                    f"file ({shown}) must hold whole records; got {fault.name}, which "
                    f"{fault.reason}; mend it there"
                )
            for name, label in zip(decoded.rows[names], decoded.rows[classes], strict=True):
                _add(table, str(name), str(label), shown)
    return TableLabeller(labels, table, shown)


def _add(table: dict[str, str], name: str, label: str, file: str) -> None:
    key = posixpath.normpath(name.strip()) if name.strip() else ""
    if key and table.setdefault(key, label.strip()) != label.strip():
        raise SourceError(
            f"file ({file}) must name one class for each picture; got '{redact(key)}' twice, with "
            "two; remove one line"
        )
