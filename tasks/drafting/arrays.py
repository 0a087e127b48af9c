"""Drafts a recipe for arrays that numpy saved: images or rows of numbers, and the answers."""

import re
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from storage.base.errors import StorageError
from storage.base.redaction import redact
from storage.sources.addresses import join_url
from storage.sources.arrays import check_pair
from storage.sources.npy import ArrayFile
from storage.sources.opening import open_stream
from tasks.drafting.array_labels import find_classes
from tasks.drafting.array_windows import (
    GROUPS,
    are_windows,
    draft_array_windows,
    find_groups,
)
from tasks.drafting.classes import draft_images
from tasks.drafting.columns import profile_column
from tasks.drafting.draft import Draft
from tasks.drafting.finding import Material
from tasks.drafting.guesses import LIKELY, UNKNOWN, DraftError, Notes
from tasks.drafting.idx import find_range
from tasks.drafting.image_race import MOST_ROWS as MOST_IMAGES
from tasks.drafting.image_race import measure_images
from tasks.drafting.roles import find_roles
from tasks.drafting.tables import MOST_ROWS, Looked
from tasks.drafting.tabular import draft_tabular

TRUTH = re.compile(r"^(y|labels?|targets?|class(es)?)($|[_-])|[_-](y|labels?|targets?)$", re.I)
LATER = re.compile(r"test|held|hold", re.I)
VALID = re.compile(r"(^|[_-])(val|valid|validation|dev)($|[_-])", re.I)
_SAMPLE_ROWS = 2000
MOST_ANSWERS = 1 << 24
_SPOOL_BYTES = 64 << 20


def draft_arrays(
    material: Material, target: str | None, kind: str | None, name: str, notes: Notes
) -> Draft:
    """Draft a recipe for pairs of arrays.

    Raises:
        DraftError: They are no pairs, or damaged.
    """
    del target
    try:
        with _open_arrays(material) as arrays:
            return _draft(material, arrays, kind, name, notes)
    except StorageError as error:
        raise DraftError(str(error)) from error


def _draft(
    material: Material, arrays: Mapping[str, ArrayFile], kind: str | None, name: str, notes: Notes
) -> Draft:
    pairs = _choose_pairs(material, arrays, kind)
    train, held_out = pairs["train"], pairs.get("held_out")
    url = material.url
    if len(material.names) == 1 and not url.split("?")[0].endswith((".npz", ".npy")):
        url = join_url(url, material.names[0])
    source: dict[str, Any] = {"type": "arrays", "url": url, "train": list(train)}
    source["held_out"] = list(held_out) if held_out is not None else None
    notes.add("source.train", train, LIKELY, "values, and the answer to each row")
    if held_out is not None:
        notes.add("source.held_out", held_out, LIKELY, "their names say so")
    left = [each for each in arrays if each not in (*train, *(held_out or ()))]
    if left:
        notes.add(
            "source.train",
            f"without {', '.join(left)}",
            UNKNOWN,
            "a source has two pairs, with groups",
        )
    values = arrays[train[0]]
    if are_windows(values, kind):
        of_splits = {split: [arrays[each] for each in pair] for split, pair in pairs.items()}
        return draft_array_windows(source, of_splits, kind, name, notes)
    given = ("held_out",) if held_out is not None else ()
    if len(values.shape) > 2:
        answers = [_read(arrays[pair[1]], MOST_ANSWERS) for pair in (train, held_out) if pair]
        image, some = _look_at_images(values, notes)
        names, places = find_classes(np.concatenate(answers), redact(arrays[train[1]].display))
        counts = dict(zip(names, np.bincount(places).tolist(), strict=True))
        reached = measure_images(some[:MOST_IMAGES], places[: min(len(some), MOST_IMAGES)])
        return draft_images(name, source, image, counts, given, notes, reached)
    return _draft_rows(source, [arrays[each] for each in train], kind, name, notes)


def _draft_rows(
    source: Mapping[str, Any],
    arrays: Sequence[ArrayFile],
    kind: str | None,
    name: str,
    notes: Notes,
) -> Draft:
    """Draft a recipe for rows of numbers, whose columns have no names."""
    import pyarrow as pa

    features, answers = (_read(array, MOST_ROWS) for array in arrays)
    names = [f"column_{number}" for number in range(1, features.shape[1] + 1)]
    notes.add(
        "data.numbers", f"{names[0]} to {names[-1]}", LIKELY, "columns of an array have no names"
    )
    given = answers.reshape(len(answers))
    columns: dict[str, Any] = {
        each: features[:, n].astype(np.float64) for n, each in enumerate(names)
    }
    if given.dtype.kind == "U":
        columns["answer"] = given.tolist()
    else:
        whole = given.dtype.kind in "biu" or np.all(given == np.round(given))
        columns["answer"] = given.astype(np.int64 if whole else np.float64)
    table = pa.table(columns)
    profiles = [profile_column(each, table.column(each)) for each in table.column_names]
    # All columns of an array are read: none can be left out.
    roles = find_roles(profiles, "answer", kind, 1, notes)
    roles = _keep_all(roles, profiles)
    if source["held_out"] is not None:
        looked = Looked(dict(source), table, {"train": table.num_rows}, {}, complete=False)
    else:
        looked = Looked(dict(source), table, {"train": table.num_rows}, {}, complete=True)
    return draft_tabular(looked, roles, [], name, notes)


def _keep_all(roles: Any, profiles: Sequence[Any]) -> Any:
    from dataclasses import replace

    numbers = tuple(profile for profile in profiles if profile.name != "answer")
    return replace(roles, numbers=numbers, texts=(), group=None, left_out={})


@contextmanager
def _open_arrays(material: Material) -> Iterator[dict[str, ArrayFile]]:
    """Open every array, each behind its header."""
    from contextlib import ExitStack

    with ExitStack() as stack:
        found: dict[str, ArrayFile] = {}
        for path in material.names:
            stream = stack.enter_context(
                open_stream(join_url(material.root, path), material.options, path)
            )
            if not path.lower().endswith(".npz"):
                found[path.removesuffix(".npy")] = ArrayFile(path, stream.file, stream.most_bytes)
                continue
            copy = stack.enter_context(tempfile.SpooledTemporaryFile(_SPOOL_BYTES))
            while data := stream.file.read(1 << 20):
                copy.write(data)
            try:
                archive = stack.enter_context(zipfile.ZipFile(cast("BinaryIO", copy)))
            except zipfile.BadZipFile as error:
                raise DraftError(
                    f"file ({redact(path)}) must be a .npz file as numpy.savez writes it; got: "
                    f"{error}; save it again"
                ) from error
            for info in archive.infolist():
                handle = cast("BinaryIO", stack.enter_context(archive.open(info)))
                member = info.filename.removesuffix(".npy")
                found[member] = ArrayFile(f"{path}/{member}", handle, info.file_size)
        for array in found.values():
            array.read_header(texts=True)
        yield found


def _add_groups(pair: tuple[str, ...], arrays: Mapping[str, ArrayFile]) -> tuple[str, ...]:
    """Return the names of a pair, and of the array that says whose its rows are."""
    later = bool(LATER.search(pair[1]))
    others = {
        name: array
        for name, array in arrays.items()
        if name not in pair and bool(LATER.search(name)) == later
    }
    groups = find_groups(arrays[pair[0]], others)
    return pair if groups is None else (*pair, groups)


def _choose_pairs(
    material: Material, arrays: Mapping[str, ArrayFile], kind: str | None
) -> dict[str, tuple[str, ...]]:
    """Return the pairs that belong together, with groups if these are windows that have some."""
    pairs = _find_pairs(list(arrays), material)
    for values, truth in pairs.values():
        check_pair(arrays[values], [arrays[truth]])
    if not are_windows(arrays[pairs["train"][0]], kind):
        return pairs
    grouped = {split: _add_groups(pair, arrays) for split, pair in pairs.items()}
    return grouped if all(len(names) == 3 for names in grouped.values()) else pairs


def _find_pairs(names: Sequence[str], material: Material) -> dict[str, tuple[str, ...]]:
    """Return the pairs of values and answers: the one to learn from, the one that is held out."""
    pairs: dict[str, tuple[str, ...]] = {}
    for truth in (name for name in names if TRUTH.search(name)):
        later, valid = bool(LATER.search(truth)), bool(VALID.search(truth))
        others = [
            name
            for name in names
            if not TRUTH.search(name)
            and bool(LATER.search(name)) == later
            and bool(VALID.search(name)) == valid
        ]
        others = [name for name in others if not GROUPS.search(name)] or others
        if len(others) == 1 and not valid:
            pairs["held_out" if later else "train"] = (others[0], truth)
    if "train" not in pairs:
        raise DraftError(
            f"source ({redact(material.url)}) must hold two arrays that belong together, as x and "
            f"y, or x_train and y_train; got {', '.join(names[:12])}; rename them"
        )
    return pairs


def _look_at_images(values: ArrayFile, notes: Notes) -> tuple[dict[str, Any], NDArray[Any]]:
    """Return what an image is, and the first ones, (N, C, H, W)."""
    rows = values.shape[1:]
    if len(rows) not in (2, 3):
        raise DraftError(
            f"array ({redact(values.display)}) must hold images (N, H, W), (N, C, H, W) or (N, H, "
            f"W, C), or rows (N, columns); got {values.shape}; bring it to such a shape"
        )
    some = _read(values, _SAMPLE_ROWS)
    some = some[:, None] if len(rows) == 2 else some
    some = some if some.shape[1] in (1, 3, 4) else np.moveaxis(some, -1, 1)
    dtype, shape = some.dtype.name, list(some.shape[1:])
    span = float(np.nanmin(some)), float(np.nanmax(some))
    return {"shape": shape, "dtype": dtype, "value_range": find_range(dtype, span, notes)}, some


def _read(array: ArrayFile, most_rows: int) -> NDArray[Any]:
    count = min(array.shape[0], most_rows)
    data = array.read_rows(count)
    return np.frombuffer(data, dtype=array.dtype).reshape(count, *array.shape[1:])
