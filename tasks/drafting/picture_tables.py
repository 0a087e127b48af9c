"""Finds the table beside pictures that names their classes."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from storage.base.errors import StorageError
from storage.base.redaction import redact
from storage.sources.csv import SUFFIXES
from storage.sources.listing import list_files
from storage.sources.picture_labels import LabelFile, list_keys, read_labels
from tasks.drafting.finding import Material
from tasks.drafting.guesses import LIKELY, UNSURE, DraftError, Notes
from tasks.drafting.tables import Looked, look_at_table

MOST_TABLES, MOST_LOOKED_AT = 10, 200
_STYLE = ("delimiter", "encoding")
_NAMED = 0.9
_ROWS_A_CLASS = 2


def find_table(
    material: Material, names: Sequence[str], target: str | None, notes: Notes
) -> tuple[dict[str, Any], Callable[[str], str | None]] | None:
    """Look for a CSV file that names the classes of pictures.

    Args:
        material: Where the pictures lie.
        names: Their names below the root.
        target: The column of classes, where somebody said it.
        notes: Takes what was guessed.

    Returns:
        The source's section `labels`, and what gives the class of a picture; None where no file
        names nine of ten pictures.
    """
    try:
        root, files = list_files(material.root, material.options, SUFFIXES, 1 << 20)
    except StorageError:
        return None
    for file in files[:MOST_TABLES]:
        try:
            looked = look_at_table(
                Material("csv", material.root, root, (file,), material.options), Notes()
            )
            section = _choose_columns(looked, names, target)
            if section is None:
                continue
            found: dict[str, Any] = {"file": file, **section}
            found |= {key: looked.source[key] for key in _STYLE if key in looked.source}
            labeller = read_labels(LabelFile(**found), root, material.options, (), lambda _: None)
        except (StorageError, DraftError):
            continue
        shown = f"{file}: {section['name']} -> {section['label']}"
        why = "its lines name the pictures; the column of classes has the fewest different texts"
        notes.add("source.labels", shown, LIKELY if target else UNSURE, why)
        return found, labeller.name_class
    return None


def _choose_columns(
    looked: Looked, names: Sequence[str], target: str | None
) -> dict[str, str] | None:
    """Return the columns of pictures and of classes; None where there are none."""
    columns: Mapping[str, list[str | None]] = {
        name: looked.table[name].to_pylist() for name in looked.table.column_names
    }
    step = max(1, len(names) // MOST_LOOKED_AT)
    some = names[::step]
    for column, cells in columns.items():
        known = {str(cell).strip() for cell in cells if cell is not None}
        if sum(not known.isdisjoint(list_keys(name)) for name in some) >= _NAMED * len(some):
            label = target or _choose_label({k: v for k, v in columns.items() if k != column})
            if label in columns and label != column:
                return {"name": column, "label": str(label)}
    return None


def _choose_label(columns: Mapping[str, list[str | None]]) -> str | None:
    """Return the column of the fewest different texts, of which there are two or more."""
    counts = {
        name: len(Counter(cell for cell in cells if cell is not None))
        for name, cells in columns.items()
    }
    able = {
        name: count
        for name, count in counts.items()
        if 2 <= count <= max(2, len(columns[name]) // _ROWS_A_CLASS)
    }
    return min(able, key=lambda name: able[name]) if able else None


def refuse_unlabelled(material: Material, count: int, folders: Sequence[str]) -> DraftError:
    """Return what is told of pictures whose classes nobody says."""
    return DraftError(
        f"source ({redact(material.url)}) must hold pictures in one folder a class, or a CSV file "
        f"that names the class of each; got {count} pictures in "
        f"{', '.join(sorted(folders)) or 'no folder'}; put those of each class into a folder of "
        "its name, or write such a file beside them"
    )
