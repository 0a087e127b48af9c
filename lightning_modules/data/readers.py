"""Turns rows, as streams give them, into raw samples and their truth, with numpy only.

Images are a field as they are; of tables and series the columns are put side by side.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from lightning_modules.errors import SpecError
from lightning_modules.specs.objectives import FUTURE, LABEL, OBJECTIVES, TARGET
from lightning_modules.specs.samples import CategoryColumn, RowSample
from storage.base.buckets import find_bucket

IMAGE, NUMBERS, VALID, TIME = "image", "numbers", "numbers__valid", "time"
WINDOW_ROWS = "row_id__window"
"""Ids of all rows of each window (N, L + lead + H), which a stream of windows gives if asked."""
NANOSECONDS = 1e9
RowFields = Mapping[str, NDArray[Any]]


class SampleBatch(NamedTuple):
    """Some rows as samples.

    Attributes:
        sample: Raw values in their native dtype: (N, C, H, W), (N, D) or (N, L, D).
        truth: What is asked for: labels (N,) int64, or values (N,) or (N, H, T) float64, NaN where
            there is none.
        row_id: (N,) uint64.
    """

    sample: NDArray[Any]
    truth: NDArray[Any]
    row_id: NDArray[np.uint64]


class SampleReader(Protocol):
    """Turns rows of a stream into samples."""

    @property
    def fields(self) -> tuple[str, ...]:
        """Fields that a stream must give."""
        ...

    def read(self, rows: RowFields) -> SampleBatch:
        """Reads one batch of a stream.

        Raises:
            SpecError: A field is missing.
        """
        ...


class ImageReader:
    """Reads images.

    Args:
        truth: The field that holds what is asked about them.
    """

    def __init__(self, truth: str = LABEL) -> None:
        self.truth = truth

    @property
    def fields(self) -> tuple[str, ...]:
        """Fields that a stream must give."""
        return (IMAGE, self.truth, "row_id")

    def read(self, rows: RowFields) -> SampleBatch:
        """Reads one batch of a stream."""
        missing = set(self.fields) - set(rows)
        if missing:
            raise SpecError(
                f"batch must hold {', '.join(self.fields)}; got no {', '.join(sorted(missing))}; "
                "prepare the data set again"
            )
        return SampleBatch(
            rows[IMAGE], rows[self.truth], np.asarray(rows["row_id"], dtype=np.uint64)
        )


def read_real(reader: SampleReader, stream: Iterable[RowFields]) -> Iterator[SampleBatch]:
    """Yields the samples of a stream, batch by batch, without the rows that only fill up."""
    for rows in stream:
        samples, padding = reader.read(rows), rows.get("padding")
        yield (
            samples
            if padding is None or not padding.any()
            else SampleBatch(*(part[~padding] for part in samples))
        )


@dataclass(frozen=True)
class CodeBook:
    """Categories of rows, which streams do not carry: texts have no fixed size.

    Attributes:
        row_id: (N,) uint64, ascending.
        codes: (N, columns) float64: place in the vocabulary, NaN where missing or unknown.
    """

    row_id: NDArray[np.uint64]
    codes: NDArray[np.float64]

    def find(self, row_id: NDArray[np.uint64]) -> NDArray[np.float64]:
        """Returns codes (..., columns) of rows (...); NaN for a row that only fills up a batch."""
        places = np.minimum(np.searchsorted(self.row_id, row_id), len(self.row_id) - 1)
        return np.where((self.row_id[places] == row_id)[..., None], self.codes[places], np.nan)


def encode_texts(
    texts: NDArray[Any], valid: NDArray[np.bool_] | None, column: CategoryColumn
) -> NDArray[Any]:
    """Returns places of texts (N,) in a vocabulary, float64; NaN where missing or unknown."""
    vocabulary, found = column.vocabulary, texts.tolist()
    places = {text: float(place) for place, text in enumerate(vocabulary)}
    if column.hashed:
        places = {text: float(find_bucket(text, len(vocabulary))) for text in set(found)}
    codes = np.array([places.get(text, np.nan) for text in found])
    return codes if valid is None else np.where(valid, codes, np.nan)


class RowReader:
    """Reads batches of rows, or of windows of rows.

    Args:
        sample: What a sample is.
        columns: Names of the columns of the field `numbers`, in stored order.
        codes: Categories of the rows; None where there are none.

    Raises:
        SpecError: The rows lack a column of the sample.
    """

    def __init__(
        self, sample: RowSample, columns: tuple[str, ...], codes: CodeBook | None = None
    ) -> None:
        missing = sorted({column.name for column in sample.numbers} - set(columns))
        if missing:
            raise SpecError(
                "rows must have the columns that the network was made for; got no "
                f"{', '.join(missing)}; use the data set that it was trained on"
            )
        self.sample = sample
        self.truth = OBJECTIVES.find(sample.objective).find_truth(sample)
        self.places = np.array(
            [columns.index(column.name) for column in sample.numbers], dtype=np.int64
        )
        self.codes = codes

    @property
    def fields(self) -> tuple[str, ...]:
        """Fields that a stream must give."""
        sample = self.sample
        found = ["row_id", *((NUMBERS, VALID) if sample.numbers else ())]
        found += [TIME] if sample.time else []
        found += [WINDOW_ROWS] if self.codes is not None and sample.window is not None else []
        return (*found, *([self.truth] if self.truth in (LABEL, TARGET) else []))

    def read(self, rows: RowFields) -> SampleBatch:
        """Reads one batch of a stream."""
        return SampleBatch(
            self.read_samples(rows),
            self.read_truth(rows),
            np.asarray(rows["row_id"], dtype=np.uint64),
        )

    def read_samples(self, rows: RowFields) -> NDArray[np.float64]:
        """Returns (N, D) or (N, L, D) float64, NaN where a number is missing."""
        parts = [read_numbers(rows, self.places)] if len(self.places) else []
        if self.codes is not None:
            parts.append(self.read_codes(rows))
        if self.sample.time:
            parts.append(rows[TIME][..., None] / NANOSECONDS)
        past = np.concatenate(parts, axis=-1) if len(parts) > 1 else parts[0]
        if self.sample.window is None or not self.sample.window.ahead:
            return past
        return np.concatenate([past, self.read_ahead(rows)], axis=1)

    def read_codes(self, rows: RowFields) -> NDArray[np.float64]:
        """Returns places of categories, (N, columns) or (N, L, columns), NaN where there is none.

        Raises:
            SpecError: The rows of windows are not named.
        """
        return self._find_codes(rows, slice(None, self._lookback))

    def read_ahead(self, rows: RowFields) -> NDArray[np.float64]:
        """Returns what is known of the steps behind a window, (N, lead + H, D), else NaN."""
        parts = []
        if len(self.places):
            numbers = read_numbers(rows, self.places, FUTURE)
            numbers[..., : numbers.shape[-1] - self.sample.known] = np.nan
            parts.append(numbers)
        if self.codes is not None:
            known = [self.sample.is_known(column) for column in self.sample.categories]
            codes = self._find_codes(rows, slice(self._lookback, None))
            parts.append(np.where(known, codes, np.nan))
        if self.sample.time:
            parts.append(rows[TIME + FUTURE][..., None] / NANOSECONDS)
        return np.concatenate(parts, axis=-1)

    def _find_codes(self, rows: RowFields, steps: slice) -> NDArray[np.float64]:
        if self.codes is None:
            raise SpecError("rows must have categories; got none; name some in data.texts")
        if self.sample.window is None:
            return self.codes.find(np.asarray(rows["row_id"], dtype=np.uint64))
        if WINDOW_ROWS not in rows:
            raise SpecError(
                "windows must name their rows where these have categories; got none; let the "
                "window of the stream name them"
            )
        return self.codes.find(np.asarray(rows[WINDOW_ROWS][:, steps], dtype=np.uint64))

    @property
    def _lookback(self) -> int | None:
        return None if self.sample.window is None else self.sample.window.lookback

    def read_truth(self, rows: RowFields) -> NDArray[Any]:
        """Returns labels (N,) int64, or values (N,) or (N, H, T) float64."""
        if self.truth == FUTURE:
            lead = self.sample.window.lead if self.sample.window is not None else 0
            return read_numbers(rows, self.places[: self.sample.forecast], FUTURE)[:, lead:]
        if self.truth is None:
            return np.zeros(len(rows["row_id"]), dtype=np.int64)
        return read_last(rows, self.truth)


def read_numbers(
    rows: RowFields, places: NDArray[np.int64], suffix: str = ""
) -> NDArray[np.float64]:
    """Reads columns of numbers, (..., columns) float64, NaN where they are not valid."""
    values, valid = rows[NUMBERS + suffix][..., places], rows[VALID + suffix][..., places]
    return np.where(valid, values, np.nan)


def read_last(rows: Mapping[str, NDArray[Any]], field: str) -> NDArray[Any]:
    """Reads a field of one value a row.

    Of a window it is its last row's, behind the horizon if there is one.
    """
    values = rows.get(field + FUTURE, rows[field])
    return values if values.ndim == 1 else np.ascontiguousarray(values[:, -1])
