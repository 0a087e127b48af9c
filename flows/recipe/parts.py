"""Components in a file beside the recipe, `parts.py:Name`: kept, and named by the file's digest."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from deployments.targets.trust.key_files import cache_dir
from flows.errors import RecipeFault
from storage.base.parts import FILE_NAME, is_part, keep_part, offer_parts
from storage.base.shown import show_value

PLACES = (
    ("model", "network", "family"),
    ("model", "head", "name"),
    ("train", "loss", "name"),
    ("train", "optimizer", "name"),
    ("train", "scheduler", "name"),
    ("train", "augmentation", "name"),
    ("train", "select_by"),
    ("data", "transform"),
)
"""Where a recipe names a component; suites of expectations are a list."""
SUITES = ("gates", "raw", "suites")
MOST_BYTES = 1 << 20


def find_parts(
    document: Mapping[str, Any], folder: Path
) -> tuple[dict[str, Any], list[RecipeFault]]:
    """Return a recipe whose files of code are named by their digests, and what cannot be read.

    Args:
        document: The recipe as plain data.
        folder: The recipe's own, which paths are relative to.
    """
    faults: list[RecipeFault] = []
    changed = dict(document)
    for path, name in _list_names(document):
        if is_part(name.partition(":")[0]):
            offer_parts(cache_dir() / "parts")
        told = FILE_NAME.fullmatch(name)
        if told is None:
            continue
        try:
            module = _keep(folder / Path(told["path"]).expanduser())
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            rule, remedy = "name a file of code beside the recipe", f"check the path: {reason}"
            faults.append(RecipeFault(".".join(map(str, path)), show_value(name), rule, remedy))
            continue
        changed = _put(changed, path, f"{module}:{told['name']}")
    return changed, faults


def _list_names(document: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for path in PLACES:
        if isinstance(name := _find(document, path), str):
            yield path, name
    suites = _find(document, SUITES)
    for place, name in enumerate(suites if isinstance(suites, list | tuple) else ()):
        if isinstance(name, str):
            yield (*SUITES, place), name


def _find(document: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        document = document.get(key) if isinstance(document, Mapping) else None
    return document


def _put(section: Any, path: tuple[str | int, ...], value: str) -> Any:
    """Return a copy of a section with a value at a path that it has."""
    if not path:
        return value
    first, *rest = path
    if isinstance(first, int):
        return [*section[:first], _put(section[first], tuple(rest), value), *section[first + 1 :]]
    return {**section, first: _put(section[first], tuple(rest), value)}


def _keep(path: Path) -> str:
    """Keep a file's bytes on this machine, and return its module's name."""
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"it has more than {MOST_BYTES} bytes")
    return keep_part(path.read_bytes(), cache_dir() / "parts")
