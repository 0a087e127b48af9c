"""Drafts a recipe for IDX files: pairs of images and labels."""

import posixpath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.base.errors import StorageError
from storage.base.redaction import redact
from storage.sources.addresses import join_url
from storage.sources.idx import read_header
from storage.sources.opening import open_stream
from tasks.drafting.classes import draft_images
from tasks.drafting.draft import Draft
from tasks.drafting.finding import Material, find_split
from tasks.drafting.guesses import LIKELY, SURE, DraftError, Notes
from tasks.drafting.image_race import MOST_ROWS, measure_images

MOST_LABELS, SAMPLE_ROWS = 10_000_000, 2000


def draft_idx(
    material: Material, target: str | None, kind: str | None, name: str, notes: Notes
) -> Draft:
    """Draft a recipe for pairs of IDX files.

    Raises:
        DraftError: They are no pairs, or damaged.
    """
    del target, kind
    pairs = _find_pairs(material)
    train = pairs.get("train") or next(iter(pairs.values()))
    held_out = pairs.get("held_out")
    images = _look_at_images(material, train[0])
    dtype, most = images.dtype.name, (float(images.min()), float(images.max()))
    labels = _read_labels(material, train[1])
    counts = np.bincount(labels)
    if held_out is not None:
        later = np.bincount(_read_labels(material, held_out[1]), minlength=len(counts))
        counts = np.pad(counts, (0, len(later) - len(counts))) + later
    source: dict[str, Any] = {"type": "idx", "url": _find_folder(material)}
    source["train"] = list(train)
    source["held_out"] = list(held_out) if held_out is not None else None
    notes.add("source.train", train, SURE if held_out else LIKELY, "images, and their labels")
    if held_out is not None:
        notes.add("source.held_out", held_out, LIKELY, "the files' names say so")
    image = {
        "shape": list(images.shape[1:]),
        "dtype": dtype,
        "value_range": find_range(dtype, most, notes),
    }
    named = {str(label): int(count) for label, count in enumerate(counts)}
    given = ("held_out",) if held_out is not None else ()
    reached = measure_images(images[:MOST_ROWS], labels[: min(len(images), MOST_ROWS)])
    return draft_images(name, source, image, named, given, notes, reached)


def find_range(dtype: str, most: tuple[float, float], notes: Notes) -> list[float]:
    """Return the smallest and largest value that images can hold."""
    least, greatest = most
    if dtype == "uint8" and greatest > 64:
        return [0, 255]
    values = [min(0.0, least), greatest]
    shown = [int(value) if float(value).is_integer() else float(value) for value in values]
    why = "the least and greatest value of the first images; what lies outside stops the run"
    notes.add("data.image", f"value_range {shown}", LIKELY, why)
    return shown


def _find_pairs(material: Material) -> dict[str, tuple[str, str]]:
    """Return the pairs by split: files of images have three sizes or more, those of labels one."""
    images: dict[str, str] = {}
    labels: dict[str, str] = {}
    for path in material.names:
        dimensions = len(_read_sizes(material, path)[1])
        split = find_split(posixpath.basename(path)) or "train"
        (labels if dimensions == 1 else images)[split] = path
    pairs = {split: (path, labels[split]) for split, path in images.items() if split in labels}
    if not pairs:
        raise DraftError(
            f"source ({redact(material.url)}) must hold pairs of IDX files, images and labels; got "
            f"{', '.join(material.names[:6])}; name them train-images-idx3-ubyte and "
            "train-labels-idx1-ubyte"
        )
    return pairs


def _find_folder(material: Material) -> str:
    """Return the folder that the names are below; a URL of one file names its folder."""
    last = material.url.rstrip("/").rpartition("/")
    return last[0] if last[2] in material.names else material.url


def _read_sizes(material: Material, path: str) -> tuple[str, tuple[int, ...]]:
    try:
        with open_stream(join_url(material.root, path), material.options, path) as stream:
            return read_header(stream)
    except StorageError as error:
        raise DraftError(str(error)) from error


def _look_at_images(material: Material, path: str) -> NDArray[Any]:
    """Return the first images, (N, C, H, W)."""
    values, sizes = _read_values(material, path, SAMPLE_ROWS)
    rows = sizes[1:]
    shape = (1, *rows) if len(rows) == 2 else rows
    if len(shape) != 3 or not values.size:
        raise DraftError(
            f"file ({redact(path)}) must hold images, (N, H, W) or (N, C, H, W); got sizes {sizes}"
        )
    return values.reshape(-1, *shape)


def _read_labels(material: Material, path: str) -> NDArray[np.int64]:
    values, sizes = _read_values(material, path, MOST_LABELS)
    labels = values.astype(np.int64)
    if len(sizes) != 1 or labels.min(initial=0) < 0 or labels.max(initial=0) > 10_000:
        raise DraftError(
            f"file ({redact(path)}) must hold one label a row, 0 for the first class; got sizes "
            f"{sizes}, {labels.min(initial=0)} to {labels.max(initial=0)}"
        )
    return labels


def _read_values(
    material: Material, path: str, most_rows: int
) -> tuple[NDArray[Any], tuple[int, ...]]:
    try:
        with open_stream(join_url(material.root, path), material.options, path) as stream:
            dtype, sizes = read_header(stream)
            rows = min(sizes[0], most_rows)
            count = rows * int(np.prod(sizes[1:]))
            data = stream.read_exactly(count * np.dtype(dtype).itemsize, f"rows 0 to {rows}")
    except StorageError as error:
        raise DraftError(str(error)) from error
    return np.frombuffer(data, dtype=dtype), sizes
