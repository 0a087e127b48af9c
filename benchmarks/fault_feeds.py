"""Reads the data sets of the fault catalogue, each with what a recipe would say of its rows."""

import csv
import gzip
import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fault_data import SHARED, Feed
from storage.forms.image import ImageSpec
from storage.forms.image_field import ImageField
from storage.forms.rules import SplitSpec
from storage.forms.series import SeriesSpec
from storage.forms.table import TableSpec

CIFAR_LABELS = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
LINES = ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL")


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


def load_cifar(rows: int = 4000) -> Feed:
    """Small colour photos of ten classes, in an order of chance; a sixth is held out."""
    from PIL import Image

    images, labels, each = [], [], rows // len(CIFAR_LABELS)
    with tarfile.open(SHARED / "cifar10-jpeg" / "cifar10_jpeg.tar.xz", "r|xz") as archive:
        for member in archive:
            _, group, name = ("/" + member.name).rsplit("/", 2)
            if not name.endswith(".jpg") or int(name[:-4]) >= each or "train" not in member.name:
                continue
            file = archive.extractfile(member)
            if file is not None:
                images.append(np.asarray(Image.open(file)).transpose(2, 0, 1))
                labels.append(CIFAR_LABELS.index(group))
            if len(images) == each * len(CIFAR_LABELS):
                break
    order = np.random.default_rng(0).permutation(len(images))
    spec = ImageSpec(
        image=ImageField(shape=(3, 32, 32)),
        labels=CIFAR_LABELS,
        split=SplitSpec(by="source", validation=0.1),
    )
    return Feed(
        "CIFAR-10",
        spec,
        images=np.stack(images)[order],
        labels=np.array(labels, np.uint8)[order],
        held_out=len(images) // 6,
    )


def load_tumours() -> Feed:
    """Thirty measurements of cell nuclei and a diagnosis, as scikit-learn brings them."""
    from sklearn.datasets import load_breast_cancer

    found = load_breast_cancer()
    names = [str(name) for name in found.feature_names]
    columns = {name: found.data[:, place].astype(str) for place, name in enumerate(names)}
    columns["diagnosis"] = np.array(found.target_names)[found.target].astype(str)
    labels = ("malignant", "benign")
    spec = TableSpec(numbers=tuple(names), label="diagnosis", labels=labels)
    return Feed("Tumours", spec, columns)


def load_lines(rows: int = 8760) -> Feed:
    """The six lines of the transformer as devices of one fleet: a year, hour by hour."""
    columns = read_csv(SHARED / "ett" / "ETTh1.csv.gz")
    dates = columns["date"][:rows]
    found = {
        "date": np.repeat(dates, len(LINES)),
        "line": np.tile(np.array(LINES), rows),
        "load": np.stack([columns[name][:rows] for name in LINES], axis=1).reshape(-1),
    }
    spec = SeriesSpec(
        numbers=("load",),
        time="date",
        entity="line",
        split=SplitSpec(by="time", held_out=0.2),
    )
    return Feed("Lines of ETTh1", spec, found)


def load_spring() -> Feed:
    """The traffic of `load_traffic` and the month that follows it."""
    feed, later = load_traffic(), read_csv(SHARED / "traffic-pems-single" / "test.csv")
    columns = {name: np.concatenate([values, later[name]]) for name, values in feed.columns.items()}
    return Feed("PeMS spring", feed.data, columns)


LOADERS = {
    "MNIST": load_mnist,
    "CIFAR-10": load_cifar,
    "AI4I 2020": load_ai4i,
    "Tumours": load_tumours,
    "PeMS traffic": load_traffic,
    "ETTh1": load_ett,
    "Lines of ETTh1": load_lines,
    "PeMS spring": load_spring,
}


def read_csv(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """The columns of a CSV file as texts."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"))))
    return {name: np.array([row[at] for row in rows[1:]]) for at, name in enumerate(rows[0])}
