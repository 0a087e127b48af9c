"""Reads arrays that numpy saved: .npy files that belong together, or members of a .npz (NEP 1)."""

import math
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, BinaryIO, ClassVar, Literal, cast

import numpy as np
from numpy.typing import NDArray

from storage.base.errors import SourceError
from storage.base.shown import list_names
from storage.forms.base import RowsSpec
from storage.forms.columns import name_text_fields
from storage.forms.registry import FORMS, find_form
from storage.shards.row_ids import VALID_SUFFIX, Rows, count_rows
from storage.sources.addresses import join_url
from storage.sources.base import Decoded, Part, PassedOver, SourceFile, UrlSource
from storage.sources.beside import find_beside
from storage.sources.cutting import MOST_ROW_BYTES, cut_evenly
from storage.sources.faults import translated
from storage.sources.listing import count_endings
from storage.sources.npy import SPOOL_BYTES, ArrayFile, translated_members
from storage.sources.opening import open_stream
from storage.sources.unpacking import limit_unpacked

Names = tuple[str, str] | tuple[str, str, str]
_LAST_SIGN = 0x10FFFF
Pairs = Sequence[tuple[Names, str]]
"""Names of features, labels and, where there is one, of groups; and the split that they are."""


class ArraysSource(UrlSource):
    """Pairs of arrays: features (N, ...) and labels or targets (N,).

    They lie in a folder of .npy files or in one .npz file.

    Images are (N, H, W), (N, C, H, W) or (N, H, W, C); rows of a table are (N, columns) and windows
    of a series (N, steps, columns), in the order of `numbers`.
    """

    type: Literal["arrays"] = "arrays"
    """Which source it is."""
    has_transparency: ClassVar[bool] = False
    train: Names = ("x_train", "y_train")
    """Names of the pair that one learns from, without `.npy`. Labels are texts as in `data.labels`,
    or whole numbers: where all names are whole numbers the one that is meant, else its place, from
    0. A third array (N,) says whose each row is, as subjects: it becomes the column that
    `data.metadata` names, for `split: {by: group, field: ...}`."""
    held_out: Names | None = ("x_test", "y_test")
    """The pair that is held out, with groups where `train` has some; None where there is one pair
    only, which is then split by the recipe."""

    def scan(
        self, spec: RowsSpec | None, target_bytes: int
    ) -> Iterator[Part | SourceFile | PassedOver]:
        """Walks the pairs; features and labels are read side by side."""
        pairs: Pairs = [(self.train, "")]
        _check_groups(spec, self.train, self.held_out, self.display)
        if self.held_out is not None:
            pairs = [(self.train, "train"), (self.held_out, "held_out")]
        if self.url.split("?")[0].endswith(".npz"):
            yield from self._scan_archive(pairs, spec, target_bytes)
        else:
            yield from self._scan_folder(pairs, spec, target_bytes)

    def _scan_archive(
        self, pairs: Pairs, spec: RowsSpec | None, target_bytes: int
    ) -> Iterator[Part | SourceFile | PassedOver]:
        name = self.url.split("?")[0].rpartition("/")[2]
        with (
            open_stream(self.url, self.options, name) as stream,
            tempfile.SpooledTemporaryFile(SPOOL_BYTES) as copy,
        ):
            # A zip archive is read from its end, which not every address allows.
            with translated(stream.display):
                shutil.copyfileobj(stream.file, copy)
            yield stream.finish()
            held = cast("BinaryIO", copy)
            for names, split in pairs:
                with _open_members(held, names, self.display) as files:
                    yield from _cut_pair(files, split, spec, target_bytes)
            if unread := _count_unread(held, pairs):
                yield PassedOver(unread)

    def _scan_folder(
        self, pairs: Pairs, spec: RowsSpec | None, target_bytes: int
    ) -> Iterator[Part | SourceFile | PassedOver]:
        read: list[str] = []
        for names, split in pairs:
            with ExitStack() as stack:
                given = [_name_member(name) for name in names]
                streams = [
                    stack.enter_context(open_stream(join_url(self.url, name), self.options, name))
                    for name in given
                ]
                files = [
                    ArrayFile(stream.display, stream.file, stream.most_bytes) for stream in streams
                ]
                yield from _cut_pair(files, split, spec, target_bytes)
                for stream in streams:
                    yield stream.finish()
            read += given
        yield from find_beside(self.url, self.options, read)

    def decode(self, part: Part, spec: RowsSpec | None) -> Decoded:
        """Decodes fields as the data section says: images, or numbers, with labels or targets."""
        dtype, shape, *others = part.detail
        count = part.stop - part.start
        values = np.frombuffer(part.payload, dtype=dtype, count=count * math.prod(shape)).reshape(
            count, *shape
        )
        at, beside = values.nbytes, []
        for other in others:
            beside.append(np.frombuffer(part.payload, dtype=other, offset=at, count=count))
            at += beside[-1].nbytes
            _require_signs(beside[-1], self.display)
        values = values.astype(values.dtype.newbyteorder("="), copy=False)
        if beside[0].dtype.kind == "U" and (spec is None or not spec.labels):
            raise SourceError(
                f"source ({self.display}) must hold numbers to be predicted; got texts; name them "
                "in data.labels if they are classes"
            )
        form = find_form(spec) if spec is not None else FORMS.find("image")
        rows, columns = form.read_arrays(values, beside[0], spec, self.display)
        # A window becomes as many rows as it has steps.
        each = count_rows(rows) // max(1, count)
        if len(beside) > 1 and spec is not None:
            rows |= _name_groups(np.repeat(beside[1], each), spec)
        records = range(part.start * (each - 1), part.start * (each - 1) + count * each)
        return Decoded(rows, columns=columns, records=tuple(records) if each > 1 else None)


def _require_signs(values: NDArray[Any], where: str) -> None:
    """Refuses texts with codes that are no signs, of which Python makes no text."""
    if values.dtype.kind != "U":
        return
    codes = values.view(values.dtype.byteorder + "u4")
    if ((codes > _LAST_SIGN) | ((codes >= 0xD800) & (codes < 0xE000))).any():
        raise SourceError(
            f"source ({where}) must hold texts where it says so; got codes that are no signs; the "
            "array is damaged: save it again"
        )


def _check_groups(spec: RowsSpec | None, train: Names, held_out: Names | None, where: str) -> None:
    """Checks that a third array has one column to be, and that such a column has an array."""
    named = spec.metadata if spec is not None else ()
    for names in (train, held_out or train):
        if len(names) - 2 != len(named):
            raise SourceError(
                f"source ({where}) must have an array of groups where data.metadata names a column "
                f"for it, and no other; got the arrays {', '.join(names)} and the columns "
                f"{', '.join(named) or 'none'}; name the third array in source.train, and in "
                "source.held_out, and one column in data.metadata"
            )


def _name_groups(groups: NDArray[Any], spec: RowsSpec) -> Rows:
    """Return the column of text that says whose each row is."""
    field = name_text_fields(spec)[spec.metadata[0]]
    # Whole numbers keep all of their digits: ids may be longer than a float is exact.
    texts = [
        g if isinstance(g, str) else f"{g:d}" if isinstance(g, int) else f"{g:.15g}"
        for g in groups.tolist()
    ]
    names = np.array(texts, np.dtypes.StringDType())
    return {field: names, field + VALID_SUFFIX: np.ones(len(names), np.bool_)}


def _name_member(name: str) -> str:
    return f"{name.removesuffix('.npy')}.npy"


def _count_unread(file: BinaryIO, pairs: Pairs) -> dict[str, int]:
    """Return how many members of an archive that was opened before are not read, by ending."""
    read = {_name_member(name) for names, _ in pairs for name in names}
    with zipfile.ZipFile(file) as archive:
        members = {each.filename for each in archive.infolist() if not each.is_dir()}
    return count_endings(sorted(members - read))


@contextmanager
def _open_members(file: BinaryIO, names: Names, display: str) -> Iterator[list[ArrayFile]]:
    with ExitStack() as stack:
        with translated_members(display):
            archive = stack.enter_context(zipfile.ZipFile(file))
            found = archive.namelist()
        members = [_name_member(name) for name in names]
        missing = [member for member in members if member not in found]
        if missing:
            raise SourceError(
                f"file ({display}) must hold the arrays {', '.join(names)}; got "
                f"{list_names(found)}; mend source.train and source.held_out"
            )
        files = []
        for member in members:
            info = archive.getinfo(member)
            with translated_members(f"{display}/{member}"):
                handle = stack.enter_context(archive.open(member))
            most = min(info.file_size, limit_unpacked(info.compress_size))
            files.append(ArrayFile(f"{display}/{member}", cast("BinaryIO", handle), most))
        yield files


def check_pair(values: ArrayFile, others: Sequence[ArrayFile]) -> None:
    """Checks that values have rows, and that other arrays hold one value for each of these.

    Raises:
        SourceError: They do not.
    """
    for other in others:
        if other.shape not in ((values.shape[0],), (values.shape[0], 1)) or len(values.shape) < 2:
            raise SourceError(
                f"file ({other.display}) must hold one value for each row of {values.display}, "
                f"{values.shape}; got shape {other.shape}; name the arrays that belong together"
            )


def _cut_pair(
    files: list[ArrayFile], split: str, spec: RowsSpec | None, target_bytes: int
) -> Iterator[Part]:
    values, *others = files
    for number, file in enumerate(files):
        file.read_header(texts=number > 0)
        if file.row_bytes > MOST_ROW_BYTES:
            raise SourceError(
                f"file ({file.display}) must hold rows of at most {MOST_ROW_BYTES} bytes; got "
                f"{file.row_bytes} of shape {file.shape}; put the rows first"
            )
    check_pair(values, others)
    name = values.display.rpartition("/")[2].removesuffix(".npy")
    form = find_form(spec) if spec is not None else FORMS.find("image")
    row_bytes = form.count_array_bytes(values.shape[1:], values.dtype.itemsize) + 8
    for start, stop in cut_evenly(values.shape[0], row_bytes, target_bytes):
        payload = b"".join(file.read_rows(stop - start) for file in files)
        detail = (values.dtype.str, values.shape[1:], *(other.dtype.str for other in others))
        yield Part(name, start, stop, split=split, detail=detail, payload=payload)
