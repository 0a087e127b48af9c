"""Reads arrays that numpy saved: pairs of .npy files, or of members of one .npz (NEP 1)."""

import math
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import BinaryIO, Literal, cast

import numpy as np

from storage.base.errors import SourceError
from storage.base.shown import list_names
from storage.forms.base import RowsSpec
from storage.forms.registry import FORMS, find_form
from storage.sources.addresses import join_url
from storage.sources.base import Decoded, Part, PassedOver, SourceFile, UrlSource
from storage.sources.beside import find_beside
from storage.sources.cutting import MOST_ROW_BYTES, cut_evenly
from storage.sources.faults import translated
from storage.sources.listing import count_endings
from storage.sources.npy import SPOOL_BYTES, ArrayFile, translated_members
from storage.sources.opening import open_stream
from storage.sources.unpacking import limit_unpacked

Pairs = Sequence[tuple[tuple[str, str], str]]
"""Names of features and labels, and the split that they are."""


class ArraysSource(UrlSource):
    """Pairs of arrays: features (N, ...) and labels or targets (N,).

    They lie in a folder of .npy files or in one .npz file.

    Images are (N, H, W), (N, C, H, W) or (N, H, W, C); rows of a table are (N, columns), in the
    order of `numbers`.
    """

    type: Literal["arrays"] = "arrays"
    """Which source it is."""
    train: tuple[str, str] = ("x_train", "y_train")
    """Names of the pair that one learns from, without `.npy`."""
    held_out: tuple[str, str] | None = ("x_test", "y_test")
    """The pair that is held out; None where there is one pair only, which is then split by the
    recipe."""

    def scan(
        self, spec: RowsSpec | None, target_bytes: int
    ) -> Iterator[Part | SourceFile | PassedOver]:
        """Walks the pairs; features and labels are read side by side."""
        pairs = [(self.train, "")]
        if self.held_out is not None:
            pairs = [(self.train, "train"), (self.held_out, "held_out")]
        if self.url.split("?")[0].endswith(".npz"):
            yield from self._scan_archive(pairs, target_bytes)
        else:
            yield from self._scan_folder(pairs, target_bytes)

    def _scan_archive(
        self, pairs: Pairs, target_bytes: int
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
                    yield from _cut_pair(files, split, target_bytes)
            if unread := _count_unread(held, pairs):
                yield PassedOver(unread)

    def _scan_folder(
        self, pairs: Pairs, target_bytes: int
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
                yield from _cut_pair(files, split, target_bytes)
                for stream in streams:
                    yield stream.finish()
            read += given
        yield from find_beside(self.url, self.options, read)

    def decode(self, part: Part, spec: RowsSpec | None) -> Decoded:
        """Decodes fields as the data section says: images, or numbers, with labels or targets."""
        dtype, shape, label_dtype = part.detail
        count = part.stop - part.start
        values = np.frombuffer(part.payload, dtype=dtype, count=count * math.prod(shape)).reshape(
            count, *shape
        )
        labels = np.frombuffer(part.payload, dtype=label_dtype, offset=values.nbytes, count=count)
        values = values.astype(values.dtype.newbyteorder("="), copy=False)
        form = find_form(spec) if spec is not None else FORMS.find("image")
        rows, columns = form.read_arrays(values, labels, spec, self.display)
        return Decoded(rows, columns=columns)


def _name_member(name: str) -> str:
    return f"{name.removesuffix('.npy')}.npy"


def _count_unread(file: BinaryIO, pairs: Pairs) -> dict[str, int]:
    """Return how many members of an archive that was opened before are not read, by ending."""
    read = {_name_member(name) for names, _ in pairs for name in names}
    with zipfile.ZipFile(file) as archive:
        members = {each.filename for each in archive.infolist() if not each.is_dir()}
    return count_endings(sorted(members - read))


@contextmanager
def _open_members(
    file: BinaryIO, names: tuple[str, str], display: str
) -> Iterator[list[ArrayFile]]:
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


def _cut_pair(files: list[ArrayFile], split: str, target_bytes: int) -> Iterator[Part]:
    values, labels = files
    for file in files:
        file.read_header()
        if file.row_bytes > MOST_ROW_BYTES:
            raise SourceError(
                f"file ({file.display}) must hold rows of at most {MOST_ROW_BYTES} bytes; got "
                f"{file.row_bytes} of shape {file.shape}; put the rows first"
            )
    if labels.shape not in ((values.shape[0],), (values.shape[0], 1)) or len(values.shape) < 2:
        raise SourceError(
            f"file ({labels.display}) must hold one value for each row of {values.display}, "
            f"{values.shape}; got shape {labels.shape}; name the arrays that belong together"
        )
    name = values.display.rpartition("/")[2].removesuffix(".npy")
    for start, stop in cut_evenly(values.shape[0], values.row_bytes + 8, target_bytes):
        payload = values.read_rows(stop - start) + labels.read_rows(stop - start)
        detail = (values.dtype.str, values.shape[1:], labels.dtype.str)
        yield Part(name, start, stop, split=split, detail=detail, payload=payload)
