"""Real data sets as versions that a fault can be put into: drawn from, written as the source's own
files, collected. `fault_feeds` reads them.

A `Feed` is one data set in memory. `draw` gives a clean resample of it. What is judged is always
collected from files, as in a run, so that a fault passes through the reader like any other.
"""

import csv
import gzip
import io
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.datasets.version import Version
from storage.forms.base import RowsSpec
from storage.forms.series import SeriesSpec
from storage.pipeline.collecting import collect_rows
from storage.sources.arrays import ArraysSource
from storage.sources.base import Source
from storage.sources.csv import CsvSource
from storage.sources.idx import IdxSource

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@dataclass
class Feed:
    """One data set in memory.

    Attributes:
        name: Of the data set.
        data: What a recipe would say of its rows.
        columns: (N,) texts of each column of a table, as the file holds them; empty for images.
        images: (N, 28, 28) or (N, 3, H, W) uint8; None for tables.
        labels: (N,) uint8 of the images.
        held_out: Images that the source holds out: the last ones.
        cut: Bytes of the file that are left; None leaves it whole.
        fresh: Places of the rows that an accepted version does not have yet.
    """

    name: str
    data: RowsSpec
    columns: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    images: np.ndarray[Any, Any] | None = None
    labels: np.ndarray[Any, Any] | None = None
    held_out: int = 0
    cut: float | None = None
    fresh: np.ndarray[Any, Any] = field(default_factory=lambda: np.zeros(0, np.int64))

    @property
    def rows(self) -> int:
        return (
            len(self.images) if self.images is not None else len(next(iter(self.columns.values())))
        )

    def take(self, rows: np.ndarray[Any, Any]) -> "Feed":
        """The rows at these places."""
        if self.images is not None and self.labels is not None:
            return replace(self, images=self.images[rows].copy(), labels=self.labels[rows].copy())
        columns = {name: values[rows].copy() for name, values in self.columns.items()}
        return replace(self, columns=columns)

    def grow(self, stop: float = 1.0, share: float = 0.1) -> "tuple[Feed, Feed]":
        """Two versions: the rows up to a part of them, and the same with what came next.

        Args:
            stop: Where the later version ends, as a fraction of the rows.
            share: What of the later version is new.
        """
        last = int((self.rows - self.held_out) * stop)
        first = int(last * (1 - share))
        held = np.arange(self.rows - self.held_out, self.rows)
        before = self.take(np.concatenate([np.arange(first), held]))
        after = self.take(np.concatenate([np.arange(last), held]))
        return before, replace(after, fresh=np.arange(first, last))

    def draw(self, seed: int) -> "Feed":
        """A clean resample: nine tenths of the rows at random, in order; of a series nine tenths of
        its length.
        """
        rng = np.random.default_rng(seed)
        kept = int(self.rows * 0.9)
        if isinstance(self.data, SeriesSpec):
            start = int(rng.integers(0, self.rows - kept + 1))
            return self.take(np.arange(start, start + kept))
        return self.take(np.sort(rng.choice(self.rows, kept, replace=False)))

    def floats(self, name: str) -> np.ndarray[Any, Any]:
        """A column as numbers."""
        return self.columns[name].astype(np.float64)

    def put(self, name: str, values: Any, rows: Any = slice(None)) -> None:
        """Writes values into a column, in the shortest text that gives them back."""
        column = self.columns[name].astype(object)
        column[rows] = [
            f"{value:.10g}" if isinstance(value, float) else str(value) for value in list(values)
        ]
        self.columns[name] = column.astype(str)


def collect(feed: Feed, folder: Path) -> Version:
    """Writes a feed as files and collects them as the next version of its data set."""
    source = write_files(feed, folder)
    dataset = Dataset(
        Store(str(folder.parent / "workspace")), feed.name.split()[0].lower() + "-raw"
    )
    return collect_rows(source, dataset, spec=feed.data)


def write_files(feed: Feed, folder: Path) -> Source:
    """The files that a source would find, and the source."""
    folder.mkdir(parents=True, exist_ok=True)
    if feed.images is not None and feed.labels is not None:
        held = slice(feed.rows - feed.held_out, None)
        parts = {"train": slice(0, feed.rows - feed.held_out), "t10k": held}
        if feed.images.ndim == 4:
            for name, rows in parts.items():
                np.save(folder / f"x_{name}.npy", feed.images[rows])
                np.save(folder / f"y_{name}.npy", feed.labels[rows])
            return ArraysSource(
                url=str(folder), train=("x_train", "y_train"), held_out=("x_t10k", "y_t10k")
            )
        for name, rows in parts.items():
            _write_idx(folder / f"{name}-images-idx3-ubyte.gz", feed.images[rows], feed.cut)
            _write_idx(folder / f"{name}-labels-idx1-ubyte.gz", feed.labels[rows], None)
        return IdxSource(url=str(folder))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(feed.columns)
    writer.writerows(zip(*feed.columns.values(), strict=True))
    data = text.getvalue().encode()
    (folder / "rows.csv").write_bytes(data[: int(len(data) * feed.cut)] if feed.cut else data)
    return CsvSource(url=str(folder))


def _write_idx(path: Path, values: np.ndarray[Any, Any], cut: float | None) -> None:
    head = bytes([0, 0, 8, values.ndim]) + b"".join(
        size.to_bytes(4, "big") for size in values.shape
    )
    data = gzip.compress(head + values.tobytes(), compresslevel=1)
    path.write_bytes(data[: int(len(data) * cut)] if cut else data)
