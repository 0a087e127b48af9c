"""Real data sets as versions that a fault can be put into: read, drawn from, written as the
source's own files, collected.

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
from storage.forms.image import ImageSpec
from storage.forms.image_field import ImageField
from storage.forms.rules import SplitSpec
from storage.forms.series import SeriesSpec
from storage.forms.table import TableSpec
from storage.pipeline.collecting import collect_rows
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
        images: (N, 28, 28) uint8; None for tables.
        labels: (N,) uint8 of the images.
        held_out: Images that the source holds out: the last ones.
        cut: Bytes of the file that are left; None leaves it whole.
        encode: Encoding of the file.
    """

    name: str
    data: RowsSpec
    columns: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    images: np.ndarray[Any, Any] | None = None
    labels: np.ndarray[Any, Any] | None = None
    held_out: int = 0
    cut: float | None = None

    @property
    def rows(self) -> int:
        return (
            len(self.images) if self.images is not None else len(next(iter(self.columns.values())))
        )

    def take(self, rows: np.ndarray[Any, Any]) -> "Feed":
        """The rows at these places."""
        if self.images is not None and self.labels is not None:
            return replace(self, images=self.images[rows].copy(), labels=self.labels[rows].copy())
        return replace(
            self, columns={name: values[rows].copy() for name, values in self.columns.items()}
        )

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


def load_mnist(rows: int = 12_000) -> Feed:
    """Handwritten digits: the first rows of the training files."""
    folder = SHARED / "mnist"
    with gzip.open(folder / "train-images-idx3-ubyte.gz") as stream:
        images = np.frombuffer(stream.read()[16:], np.uint8).reshape(-1, 28, 28)[:rows]
    with gzip.open(folder / "train-labels-idx1-ubyte.gz") as stream:
        labels = np.frombuffer(stream.read()[8:], np.uint8)[:rows]
    spec = ImageSpec(
        image=ImageField(shape=(1, 28, 28)),
        labels=tuple(str(digit) for digit in range(10)),
        split=SplitSpec(by="source", validation=0.1),
    )
    return Feed("MNIST", spec, images=images.copy(), labels=labels.copy(), held_out=rows // 6)


def load_ai4i() -> Feed:
    """Machine failures: five measurements and a kind of product; the columns that leak are left
    out.
    """
    columns = read_csv(SHARED / "ai4i2020" / "ai4i2020.csv.gz")
    numbers = (
        "Air temperature [K]",
        "Process temperature [K]",
        "Rotational speed [rpm]",
        "Torque [Nm]",
        "Tool wear [min]",
    )
    spec = TableSpec(numbers=numbers, texts=("Type",), label="Machine_failure", labels=("0", "1"))
    return Feed("AI4I 2020", spec, {name: columns[name] for name in spec.columns})


def load_traffic() -> Feed:
    """Traffic flow of one detector every five minutes, weekdays of two months."""
    columns = read_csv(SHARED / "traffic-pems-single" / "train.csv")
    spec = SeriesSpec(
        numbers=("# Lane Points", "% Observed"),
        target="Lane 1 Flow (Veh/5 Minutes)",
        time="5 Minutes",
        time_format="%d/%m/%Y %H:%M",
        split=SplitSpec(by="time", held_out=0.2),
    )
    return Feed("PeMS traffic", spec, {name: columns[name] for name in spec.columns})


def load_ett() -> Feed:
    """Load and oil temperature of a transformer, hourly over two years."""
    columns = read_csv(SHARED / "ett" / "ETTh1.csv.gz")
    spec = SeriesSpec(
        numbers=("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL"),
        target="OT",
        time="date",
        split=SplitSpec(by="time", held_out=0.2),
    )
    return Feed("ETTh1", spec, {name: columns[name] for name in spec.columns})


LOADERS = {
    "MNIST": load_mnist,
    "AI4I 2020": load_ai4i,
    "PeMS traffic": load_traffic,
    "ETTh1": load_ett,
}


def read_csv(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """The columns of a CSV file as texts."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"))))
    return {name: np.array([row[at] for row in rows[1:]]) for at, name in enumerate(rows[0])}


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
        for name, rows in (
            ("train", slice(0, feed.rows - feed.held_out)),
            ("t10k", slice(-feed.held_out, None)),
        ):
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
