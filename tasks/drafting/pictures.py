"""Drafts a recipe for pictures in folders or tar archives: one folder a class."""

import posixpath
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from storage.base.errors import StorageError
from storage.base.pictures import (
    BLACK,
    ENDINGS,
    GREY_MODES,
    KINDS,
    has_sixteen_bits,
    is_transparent,
    open_picture,
)
from storage.base.redaction import redact
from storage.sources.addresses import join_url
from storage.sources.base import Undecodable
from storage.sources.images import ARCHIVES
from storage.sources.listing import read_files
from storage.sources.opening import open_stream
from storage.sources.picture_labels import name_folder
from storage.sources.pictures import decode_pictures
from storage.sources.tar import Bounds, read_members
from tasks.drafting.classes import FEW_ROWS, draft_images
from tasks.drafting.draft import Draft
from tasks.drafting.finding import Material, find_split
from tasks.drafting.guesses import LIKELY, SURE, UNSURE, DraftError, Notes
from tasks.drafting.image_race import measure_images
from tasks.drafting.picture_tables import find_table, refuse_unlabelled
from tasks.drafting.weights import Weights, look_at_weights

if TYPE_CHECKING:
    from PIL.Image import Image

SAMPLES, SAMPLES_A_FOLDER, MOST_FILE_BYTES = 600, 40, 64 << 20
EDGES = ((64, 64), (FEW_ROWS, 64), (1 << 62, 96))
WHITE, DARK, OPAQUE, MOSTLY = [255, 255, 255], 100, 128, 0.98
_BOUNDS = Bounds(10_000_000, MOST_FILE_BYTES, 1 << 40)


@dataclass(frozen=True)
class Listed:
    """Pictures that were found.

    Attributes:
        names: All of their names.
        samples: A few of them, evenly drawn where that costs nothing: name and bytes.
    """

    names: Sequence[str]
    samples: Sequence[tuple[str, bytes]]


def draft_pictures(
    material: Material, target: str | None, kind: str | None, name: str, notes: Notes
) -> Draft:
    """Draft a recipe for pictures.

    Raises:
        DraftError: No folder or table says their classes, or they cannot be read.
    """
    del kind
    try:
        listed = _list_pictures(material)
    except StorageError as error:
        raise DraftError(str(error)) from error
    splits = _find_splits(listed.names)
    names = [n for n in listed.names if not splits or _find_folder_split(n, splits)]
    source: dict[str, Any] = {"type": "images", "url": _find_address(material)}
    table = None
    if target is not None or len(set(map(name_folder, names)) - {""}) < 2:
        table = find_table(material, names, target, notes)
    if table is not None:
        source["labels"] = table[0]
    classify = name_folder if table is None else table[1]
    counts = Counter(filter(None, map(classify, names)))
    if len(counts) < 2 or (table is None and any(not name_folder(name) for name in names)):
        raise refuse_unlabelled(material, len(listed.names), list(counts))
    if splits:
        source["splits"] = splits
        notes.add(
            "source.splits", [f"{k}: {v}" for k, v in splits.items()], LIKELY, "by their names"
        )
    ordered = {label: counts[label] for label in sorted(counts)}
    weights = None if material.weights is None else look_at_weights(material.weights)
    image = _choose_image(listed, len(names), notes)
    if weights is not None:
        image = _suit_weights(image, weights, notes)
    reached = _measure(listed, image, splits, classify)
    return draft_images(name, source, image, ordered, tuple(splits), notes, reached, weights)


def _measure(
    listed: Listed,
    image: Mapping[str, Any],
    splits: Mapping[str, str],
    classify: Callable[[str], str | None],
) -> float | None:
    """Return what a linear map of a few pictures that are not held out reaches."""
    later, shape = splits.get("held_out"), image["shape"]
    some = [
        (n, data)
        for n, data in listed.samples
        if classify(n) and (later is None or f"/{later}/" not in f"/{n}")
    ]
    images, kept, _ = decode_pictures(
        some,
        (shape[0], shape[1], shape[2]),
        resize=True,
        dtype=image["dtype"],
        background=tuple(image.get("background", BLACK)),
    )
    labels = [str(classify(some[number][0])) for number in kept]
    known = sorted(set(labels))
    return measure_images(
        images, np.array([known.index(label) for label in labels], dtype=np.int64)
    )


def _find_address(material: Material) -> str:
    """Return the URL that the source reads: of archives their own, or a pattern of them all."""
    archives = [name for name in material.names if name.lower().endswith(ARCHIVES)]
    url = material.url
    if not archives or url.split("?")[0].endswith(ARCHIVES):
        return url
    if len(archives) < len(material.names):
        raise DraftError(
            f"source ({redact(url)}) must hold pictures or archives of them; got both; name one"
        )
    endings = {ending for name in archives for ending in ARCHIVES if name.lower().endswith(ending)}
    if len(archives) == 1:
        return join_url(url, archives[0])
    if len(endings) > 1:
        raise DraftError(
            f"source ({redact(url)}) must hold archives of one ending; got "
            f"{', '.join(sorted(endings))}; name one of them"
        )
    return join_url(url, f"*{endings.pop()}")


def _list_pictures(material: Material) -> Listed:
    archives = [name for name in material.names if name.lower().endswith(ARCHIVES)]
    if not archives:
        names = material.names
        step = max(1, len(names) // SAMPLES)
        some = names[::step][:SAMPLES]
        found = read_files(material.root, material.options, some, MOST_FILE_BYTES)
        pairs = zip(some, found, strict=True)
        return Listed(names, [(n, data) for n, data in pairs if isinstance(data, bytes)])
    found_names: list[str] = []
    drawn: dict[str, list[tuple[str, bytes]]] = {}
    for path in archives:
        with open_stream(join_url(material.root, path), material.options, path) as stream:
            for member in read_members(stream, _BOUNDS):
                if isinstance(member, Undecodable) or not member.name.lower().endswith(ENDINGS):
                    continue
                found_names.append(member.name)
                of_class = drawn.setdefault(posixpath.dirname(member.name), [])
                if len(of_class) < SAMPLES_A_FOLDER:
                    of_class.append((member.name, member.data))
    return Listed(found_names, [sample for folder in drawn.values() for sample in folder])


def _find_splits(names: Sequence[str]) -> dict[str, str]:
    """Return the folder of each split, where folders above those of the classes say it."""
    found: dict[str, Counter[str]] = {}
    for name in names:
        folders = posixpath.dirname(name).split("/")[:-1]
        for folder in folders:
            if (split := find_split(folder)) is not None:
                found.setdefault(split, Counter())[folder] += 1
                break
    splits = {split: folders.most_common(1)[0][0] for split, folders in found.items()}
    if "train" not in splits:
        return {}
    if "held_out" not in splits and "validation" in splits:
        # Of two folders the second is the one that nothing is learned from.
        splits["held_out"] = splits.pop("validation")
    return splits if "held_out" in splits else {}


def _find_folder_split(name: str, splits: Mapping[str, str]) -> bool:
    return any(f"/{folder}/" in f"/{name}" for folder in splits.values())


def _choose_image(listed: Listed, rows: int, notes: Notes) -> dict[str, Any]:
    """Return what pictures become: their own size where they have one, else a square."""
    sizes, colours, deep = Counter[tuple[int, int]](), 0, 0
    clear: list[bool] = []
    for _, data in listed.samples:
        try:
            opened = open_picture(data)
        except Exception:  # noqa: BLE001, S112 - decoders of damaged files raise anything
            continue
        sizes[(opened.height, opened.width)] += 1
        colours += opened.mode not in GREY_MODES
        deep += has_sixteen_bits(opened)
        clear += _find_dark(opened) if is_transparent(opened) else []
    if not sizes:
        raise DraftError(
            f"pictures must be {KINDS} files that can be read; got none among "
            f"{len(listed.samples)} that were looked at; fetch them again"
        )
    total = sum(sizes.values())
    channels = 3 if colours > total // 20 else 1
    edge = next(edge for most, edge in EDGES if rows < most)
    (height, width), count = sizes.most_common(1)[0]
    alike = count == total and max(height, width) <= edge
    shape = [channels, height, width] if alike else [channels, edge, edge]
    why = "their own size" if alike else "they are of several or large sizes, and are resized"
    colour = "in colour" if channels == 3 else "grey of 16 bits" if deep else "grey"
    notes.add("data.image", f"shape {shape}", SURE if alike else UNSURE, f"{colour}; {why}")
    if deep and channels == 1:
        return {"shape": shape, "dtype": "uint16", "value_range": [0, 65535]}
    image: dict[str, Any] = {"shape": shape, "dtype": "uint8", "value_range": [0, 255]}
    if len(clear) > total // 20:
        background = WHITE if sum(clear) > len(clear) // 2 else list(BLACK)
        why = f"{len(clear)} of {total} pictures are transparent in parts, and what is not is "
        why += "dark" if background == WHITE else "light"
        notes.add("data.image", f"background {background}", LIKELY, why)
        image["background"] = background
    return image


def _suit_weights(image: Mapping[str, Any], weights: Weights, notes: Notes) -> dict[str, Any]:
    """Return what pictures become where a network starts from weights: in the channels of these.

    Raises:
        DraftError: Pictures of 16 bits would be brought to colours, which have 8.
    """
    shape = [weights.channels, *image["shape"][1:]]
    if shape == image["shape"]:
        return dict(image)
    if image["dtype"] != "uint8":
        raise DraftError(
            f"--start-from ({redact(weights.url)}) must be of one channel for grey pictures of 16 "
            f"bits; got {weights.channels}; give other weights, leave them out, or bring the "
            "pictures to 8 bits"
        )
    notes.add("data.image", f"shape {shape}", SURE, "the weights take as many channels")
    return {**image, "shape": shape}


def _find_dark(opened: "Image") -> list[bool]:
    """Return whether what is seen of a picture is dark; nothing where no part of it is clear."""
    small = opened.convert("RGBA")
    small.thumbnail((64, 64))
    values = np.asarray(small).astype(np.float64)
    seen = values[..., 3] >= OPAQUE
    if not seen.any() or seen.mean() > MOSTLY:
        return []
    return [bool(values[seen][:, :3].mean() < DARK)]
