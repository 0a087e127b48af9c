"""Reading a file or a request into raw samples: within bounds, then by the reader of the form."""

from dataclasses import replace

import numpy as np

from deployments.targets.errors import BadArtifact, BadInput
from deployments.targets.run.forms.arrays import MAGIC, Raw, Samples, read_numbers, write_npy
from deployments.targets.run.forms.looks import NOTERS
from deployments.targets.run.forms.packed import unpack
from deployments.targets.run.forms.records import (
    Records,
    add_path_columns,
    split_csv,
    tabulate_objects,
    write_numbers,
)
from deployments.targets.run.forms.registry import READERS, RECORD_READERS
from deployments.targets.run.forms.rows import list_columns, list_number_columns
from deployments.targets.run.forms.wide import (
    is_long,
    join_long,
    join_samples,
    list_wide,
    melt_records,
)
from deployments.targets.trust.card import Card, InputSpec
from storage.base.cells import find_missing
from storage.base.errors import NotFound, StorageError
from storage.base.path_patterns import list_names
from storage.base.registry import UnknownName
from storage.base.store import Store, redact
from storage.base.text_style import TextStyle

MAX_FILE_BYTES = 64 * 2**20


def load_samples(file: str, card: Card) -> Samples:
    """Read the raw samples of one file.

    Args:
        file: Path or any fsspec URL: a picture or .npy file of one, a CSV or .npy file of
            rows, packed or not, or what the reader of the card's form takes.
        card: The model's card.

    Returns:
        (N, *card.input.shape), the card's dtype; N is 1 for pictures and the window of a series;
        with notes on what a person should know of them.

    Raises:
        BadInput: The file is missing, too large, damaged, or does not hold what the card describes.
        BadArtifact: No reader for the card's form is installed here.
    """
    data = unpack(_read_bounded(file), MAX_FILE_BYTES, redact(file))
    path = file.partition("?")[0] if "://" in file else file
    return read_samples(data, card, redact(file), path=path)


def read_samples(
    data: bytes, card: Card, where: str, encoding: str | None = None, path: str = ""
) -> Samples:
    """Read the raw samples of a file's bytes.

    Args:
        data: The file.
        card: The model's card.
        where: The file's name, for messages; without secrets.
        encoding: What a CSV file's sender says of it; None: that of the files that were learned
            from.
        path: Where the file lies, if it does, for what its name says.

    Raises:
        BadInput: The bytes are damaged, or do not hold what the card describes.
        BadArtifact: No reader for the card's form is installed here.
    """
    spec = card.input
    if spec.form in RECORD_READERS and not data.startswith(MAGIC):
        style = spec.file_style or TextStyle()
        named = list_names(style.path_columns)
        named = (*named, *_list_melted(style))
        wanted = [name for column in spec.columns for name in column.columns if name not in named]
        if encoding is not None:
            style = style.model_copy(update={"encoding": encoding})
        records = add_path_columns(split_csv(data, where, wanted, style), style.path_columns, path)
        return _read_records(records, spec, where, style)
    try:
        read = READERS.find(spec.form)
    except UnknownName as error:
        raise BadArtifact(f"model card's input must be of a form known here: {error}") from error
    samples = with_times(read(data, spec, where), spec)
    if spec.form not in NOTERS:
        return samples
    return replace(samples, notes=NOTERS.find(spec.form)(samples.raw, card))


def read_values(value: object, card: Card, where: str) -> Samples:
    """Read the raw samples of a parsed JSON value, by the readers of files.

    Args:
        value: One row as `{column: value}` or a list of them, for forms whose rows are records; or
            nested lists of numbers, which are read as a .npy file's array is.
        card: The model's card.
        where: What it came as, for messages.

    Raises:
        BadInput: It does not hold what the card describes.
        BadArtifact: No reader for the card's form is installed here.
    """
    spec = card.input
    rows = [value] if isinstance(value, dict) else value
    if spec.form in RECORD_READERS and isinstance(rows, list) and _has_object(rows):
        columns, style = list_columns(spec), spec.file_style or TextStyle()
        if style.melt is not None:
            columns = list_wide(rows, columns, style.melt, where)
        plain = TextStyle(melt=style.melt)
        return _read_records(tabulate_objects(rows, columns, where), spec, where, plain)
    return read_samples(write_npy(read_numbers(rows, where)), card, where)


def _has_object(rows: list[object]) -> bool:
    return any(isinstance(row, dict) for row in rows)


def _list_melted(style: TextStyle) -> tuple[str, ...]:
    """List the columns that a wide file lacks."""
    return () if style.melt is None else (style.melt.name, style.melt.value)


def _read_records(records: Records, spec: InputSpec, where: str, style: TextStyle) -> Samples:
    """Read records as their files write them; of wide ones that hold several series, each."""
    melt = style.melt
    if melt is None or is_long(records.header, melt):
        return _read_long(records, spec, where, style)
    parts = list(melt_records(records, melt, where))
    if spec.entity == melt.name:
        return join_samples(
            [(name, _read_long(part, spec, f"{where}, {name}", style)) for name, part in parts]
        )
    return _read_long(join_long(parts), spec, where, style)


def _read_long(records: Records, spec: InputSpec, where: str, style: TextStyle) -> Samples:
    if not style.marks.is_plain:
        numbers = list_number_columns(spec)
        records = write_numbers(records, numbers, style.marks, find_missing(spec.missing))
    samples = RECORD_READERS.find(spec.form)(records, spec, where)
    if samples.times is not None:
        return samples
    return replace(samples, times=with_times(samples.raw, spec).times)


def with_times(raw: Raw, spec: InputSpec) -> Samples:
    """Add the times of windows (N, L, D) that hold them as a column."""
    place = next((place for place, column in enumerate(spec.columns) if column.is_time), None)
    if place is None or raw.ndim != 3:
        return Samples(raw)
    return Samples(raw, raw[:, :, place].astype(np.float64))


def _read_bounded(file: str) -> bytes:
    if file.startswith(("http://", "https://")):
        return _read_http(file)
    folder, _, name = file.rpartition("/")
    try:
        store = Store(folder or ("/" if file.startswith("/") else "."))
        local = store.local_path(name)
        if not name or (local is not None and local.exists() and not local.is_file()):
            what = "a folder; name the files in it"
            if local is not None and not local.is_dir():
                what = "a pipe or a device; write what comes from it to a file"
            raise BadInput(f"input ({redact(file)}) must be one file; got {what}")
        size_bytes = store.size(name)
        data = store.read(name) if size_bytes <= MAX_FILE_BYTES else b""
    except NotFound as error:
        raise BadInput(
            f"input ({redact(file)}) must exist; got no such file; check the path"
        ) from error
    except (StorageError, OSError, ValueError) as error:
        raise BadInput(
            f"input ({redact(file)}) must be a file that can be read; got {error}"
        ) from error
    if size_bytes > MAX_FILE_BYTES:
        raise BadInput(
            f"input ({redact(file)}) must be at most {MAX_FILE_BYTES} bytes; got {size_bytes}; "
            "crop it"
        )
    return data


def _read_http(file: str) -> bytes:
    from tuf.api.exceptions import DownloadError

    from deployments.targets.follow.fetch import read_http

    try:
        return read_http(file, MAX_FILE_BYTES)
    except DownloadError as error:
        raise BadInput(
            f"input ({redact(file)}) must be a file of at most {MAX_FILE_BYTES} bytes that can be "
            f"read; got {redact(str(error))}"
        ) from None
