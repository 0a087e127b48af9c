"""Reads pictures in folders, or in tar archives.

The label is the name of the folder that a picture lies in, or stands in a table.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Literal

import numpy as np
from pydantic import Field, field_validator

from storage.base.errors import SourceUnavailable
from storage.base.pictures import ENDINGS
from storage.base.store import redact, sha256_bytes
from storage.forms.base import MAX_CLASSES_NAMED, RowsSpec
from storage.forms.image_field import ImageField
from storage.shards.row_ids import LABEL, Rows
from storage.sources.addresses import join_url
from storage.sources.base import (
    SPLITS,
    Decoded,
    Part,
    PassedOver,
    SourceFile,
    Undecodable,
    UrlSource,
)
from storage.sources.choosing import Splits, list_pairs
from storage.sources.listing import NO_UTF8, find_ending, find_files, list_files, read_files
from storage.sources.opening import open_stream
from storage.sources.picture_batch import PictureBatch
from storage.sources.picture_labels import LabelFile, Labeller, read_labels
from storage.sources.pictures import decode_pictures
from storage.sources.tar import Bounds, read_members

ARCHIVES = (
    *(".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz"),
    *(".tar.bz2", ".tbz2", ".tar.zst", ".tzst"),
)
NOWHERE = "lies in none of the folders of source.splits"
_TAKEN: dict[str, tuple[tuple[int, ...], tuple[float, float]]] = {
    "uint8": ((1, 3), (0, 255)),
    "uint16": ((1,), (0, 65535)),
}
"""Channels and range of values of pictures, by their type: as their files hold them, so that a
model is asked with values as it learned from."""


class ImagesSource(UrlSource):
    """JPEG, PNG, WebP, TIFF, GIF and BMP below a folder, matching a glob, or in tar archives.

    The name of the folder around one is its class, unless `labels` names a table of them. They
    become `uint8`, from 0 to 255, of 1 or 3 channels; grey ones of 16 bits become `uint16` of 1
    channel, with the `value_range` [0, 65535]. A picture with more bits than that, and a film, is
    left out and named.
    """

    type: Literal["images"] = "images"
    """Which source it is."""
    splits: Splits = Field(default={})
    """Folders of each split below the url, as `{train: [a, b], held_out: test}`; empty where
    the folders say nothing of splits."""
    labels: LabelFile | None = None
    """Table that names each picture's class; None where the folders do."""
    mismatch: Literal["resize", "refuse"] = "resize"
    """Whether pictures of another size or mode are resized and converted to the recipe's, or left
    out."""
    max_files: int = Field(default=10_000_000, ge=1)
    """Most files of the source."""
    max_file_bytes: int = Field(default=64 * 2**20, ge=1)
    """Most bytes of a file; larger ones are left out and listed."""
    max_total_bytes: int = Field(default=2**40, ge=1)
    """Most bytes that an archive may unpack to."""

    @field_validator("splits")
    @classmethod
    def _strip_slashes(cls, splits: Splits) -> Splits:
        stripped: Splits = {
            split: given.strip("/")
            if isinstance(given, str)
            else tuple(folder.strip("/") for folder in given)
            for split, given in splits.items()
        }
        folders = [folder for _, folder in list_pairs(stripped)]
        if "" in folders or len(set(folders)) != len(folders) or () in stripped.values():
            raise ValueError(
                "name folders of its own for each split; write as {train: train, held_out: test}"
            )
        return stripped

    def scan(
        self, spec: RowsSpec | None, target_bytes: int
    ) -> Iterator[Part | SourceFile | PassedOver]:
        """Lists the pictures of folders, and reads archives member by member."""
        labels, image = _require_images(self, spec)
        row_bytes = int(np.prod(image.shape)) * np.dtype(image.dtype).itemsize
        rows = max(1, target_bytes // row_bytes)
        if self.url.split("?")[0].endswith(ARCHIVES):
            yield from self._scan_archives(labels, rows, target_bytes)
        else:
            yield from self._scan_folder(labels, rows)

    def _open_labels(self, root: str, labels: Sequence[str], read: list[SourceFile]) -> Labeller:
        """Return what numbers the classes of pictures; adds the table that says so to `read`."""
        if self.labels is None:
            return Labeller(labels)
        return read_labels(self.labels, root, self.options, labels, read.append)

    def decode(self, part: Part, spec: RowsSpec | None) -> Decoded:
        """Decodes images (N, C, H, W); a label past the last class is no class's folder."""
        _, image = _require_images(self, spec)
        faults = [Undecodable(name, reason) for name, reason in part.detail.get("faults", ())]
        files: list[SourceFile] = []
        here = "root" not in part.detail
        pictures = _cut_payload(part) if here else self._read_pictures(part, files, faults)
        images, kept, damaged = decode_pictures(
            [(name, data) for name, _, data in pictures],
            image.shape,
            resize=self.mismatch == "resize",
            dtype=image.dtype,
            background=image.background,
        )
        faults += [Undecodable(name, reason) for name, reason in damaged]
        rows: Rows = {
            "image": images,
            LABEL: np.array([pictures[number][1] for number in kept], dtype=np.int64),
        }
        return Decoded(
            rows,
            members=tuple(pictures[number][0] for number in kept),
            faults=tuple(faults),
            files=tuple(files),
            undeclared=tuple(part.detail.get("strange", ())),
        )

    def _read_pictures(
        self, part: Part, files: list[SourceFile], faults: list[Undecodable]
    ) -> list[tuple[str, int, bytes]]:
        """Reads the files of one part; adds what was read to `files`, the rest to `faults`."""
        names = [name for name, _ in part.detail["pictures"]]
        found = read_files(part.detail["root"], self.options, names, self.max_file_bytes)
        pictures = []
        for (name, label), data in zip(part.detail["pictures"], found, strict=True):
            if isinstance(data, str):
                faults.append(Undecodable(name, data))
            else:
                digest = sha256_bytes(data)
                files.append(SourceFile(name=name, size_bytes=len(data), sha256=digest))
                pictures.append((name, label, data))
        return pictures

    def find_split(self, name: str) -> str | None:
        """Return the split of a file by its folder, None where it lies in no split's folder.

        "" where the source has no splits.
        """
        if not self.splits:
            return ""
        return next(
            (split for split, folder in list_pairs(self.splits) if f"/{folder}/" in f"/{name}"),
            None,
        )

    def _require_splits(self, found: Collection[str | None]) -> None:
        """Refuses a split without a picture: its folder is empty, or called otherwise."""
        empty = [folder for split, folder in list_pairs(self.splits) if split not in found]
        if empty:
            raise SourceUnavailable(
                f"source ({self.display}) must hold pictures in each folder of source.splits; got "
                f"none in {', '.join(empty)}; correct the folders' names, or fill them"
            )

    def _scan_folder(
        self, labels: Sequence[str], rows: int
    ) -> Iterator[Part | SourceFile | PassedOver]:
        found = find_files(self.url, self.options, ENDINGS, self.max_files)
        read: list[SourceFile] = []
        labeller = self._open_labels(found.root, labels, read)
        names: defaultdict[str | None, list[str]] = defaultdict(list)
        for name in found.names:
            names[self.find_split(name)].append(name)
        lost = [(name, NO_UTF8) for name in found.unnamed]
        lost += [(name, NOWHERE) for name in names[None]]
        self._require_splits(names)
        yield from read
        if passed := _leave_out(found.passed_over, read):
            yield PassedOver(passed)
        for split in ("", *SPLITS):
            for start in range(0, len(names[split]), rows):
                given = names[split][start : start + rows]
                yield self._make_part(found.root, given, split, start, labeller, lost)
                lost = []
        if unused := [*labeller.list_unused()]:
            yield self._make_part(found.root, (), "", 0, labeller, unused)

    def _make_part(
        self,
        root: str,
        names: Sequence[str],
        split: str,
        start: int,
        labeller: Labeller,
        lost: list[tuple[str, str]],
    ) -> Part:
        """Return the part of some pictures of a folder, with what could not be taken so far."""
        found = [(name, labeller.find(name)) for name in names]
        pictures = [(name, label) for name, label in found if isinstance(label, int)]
        faults = lost + [(name, label) for name, label in found if isinstance(label, str)]
        strange = labeller.name_strange([label for _, label in pictures])
        detail = {
            "root": root,
            "pictures": pictures,
            "faults": faults,
            "strange": strange[:MAX_CLASSES_NAMED],
        }
        stop = start + len(names)
        return Part(redact(self.url), start, stop, split=split, detail=detail)

    def _scan_archives(
        self, labels: Sequence[str], rows: int, target_bytes: int
    ) -> Iterator[Part | SourceFile | PassedOver]:
        root, names = list_files(self.url, self.options, ARCHIVES, self.max_files)
        read: list[SourceFile] = []
        labeller = self._open_labels(root, labels, read)
        yield from read
        endings: Counter[str] = Counter()
        splits: set[str] = set()
        for archive in names:
            with open_stream(join_url(root, archive), self.options, archive) as stream:
                bounds = Bounds(self.max_files, self.max_file_bytes, self.max_total_bytes)
                batch = PictureBatch(archive, labeller)
                for member in read_members(stream, bounds):
                    if isinstance(member, Undecodable):
                        batch.faults.append((member.name, member.reason))
                        continue
                    if not member.name.lower().endswith(ENDINGS):
                        endings[find_ending(member.name)] += 1
                        continue
                    split = self.find_split(member.name)
                    label = NOWHERE if split is None else labeller.find(member.name)
                    if split is None or isinstance(label, str):
                        batch.faults.append((member.name, str(label)))
                        continue
                    if batch.pictures and (
                        split != batch.split or batch.is_full(rows, target_bytes)
                    ):
                        yield batch.take()
                    splits.add(split)
                    batch.split = split
                    batch.add(member, label)
                if archive == names[-1]:
                    batch.faults += labeller.list_unused()
                if batch.pictures or batch.faults:
                    yield batch.take()
                yield stream.finish()
        self._require_splits(splits)
        if endings:
            yield PassedOver(dict(sorted(endings.items())))


def _leave_out(passed_over: Mapping[str, int], read: Sequence[SourceFile]) -> dict[str, int]:
    """Return how many files of each ending are passed over, without those that were read."""
    below = Counter(find_ending(file.name) for file in read if _is_below(file.name))
    return {
        ending: count for ending, many in passed_over.items() if (count := many - below[ending])
    }


def _is_below(file: str) -> bool:
    """Return whether a file that a recipe names lies below the source's folder."""
    return not file.startswith("..") and "://" not in file


def _cut_payload(part: Part) -> list[tuple[str, int, bytes]]:
    pictures, offset = [], 0
    for name, label, size in part.detail["pictures"]:
        pictures.append((name, label, part.payload[offset : offset + size]))
        offset += size
    return pictures


def _require_images(
    source: ImagesSource, spec: RowsSpec | None
) -> tuple[tuple[str, ...], ImageField]:
    image = spec.image if spec is not None else None
    if spec is None or image is None:
        raise SourceUnavailable(
            f"source ({source.display}) must be told what its pictures become; got no data section "
            "with an image; add data.image and data.labels to the recipe"
        )
    taken = _TAKEN.get(image.dtype)
    if taken is None or image.shape[0] not in taken[0] or image.value_range != taken[1]:
        raise SourceUnavailable(
            f"pictures ({source.display}) must become uint8 with 1 or 3 channels and the "
            "value_range [0, 255], or uint16 with 1 channel and [0, 65535]; got "
            f"{image.dtype} of shape {image.shape} and {list(image.value_range)}; mend data.image "
            "in the recipe"
        )
    return spec.labels, image
