"""Real tables and series as the streams give them, and what a sample of each is."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightning_modules.data.readers import CodeBook, RowReader
from lightning_modules.specs.samples import CategoryColumn, NumberColumn, RowSample
from lightning_modules.specs.window import WindowSpec
from tests.lightning_modules.streams import MemoryStream, take

Rows = dict[str, NDArray[Any]]
ETT = Path(__file__).resolve().parents[3] / "shared" / "data" / "ett" / "ETTh1.csv.gz"


def make_ids(count: int) -> NDArray[np.uint64]:
    return np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)


def load_cancer() -> Rows:
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    return {
        "numbers": data.data,
        "numbers__valid": np.ones(data.data.shape, bool),
        "label": data.target.astype(np.int64),
        "row_id": make_ids(len(data.target)),
    }


def load_diabetes() -> Rows:
    from sklearn.datasets import load_diabetes

    data = load_diabetes(scaled=False)
    return {
        "numbers": data.data,
        "numbers__valid": np.ones(data.data.shape, bool),
        "target": data.target.astype(np.float64),
        "row_id": make_ids(len(data.target)),
    }


def load_strokes(digits: tuple[int, ...] = tuple(range(10))) -> Rows:
    """Handwritten digits read from top to bottom: eight steps of eight columns of ink."""
    from sklearn.datasets import load_digits

    data = load_digits()
    kept = np.isin(data.target, digits)
    images = data.images[kept].astype(np.float64)
    label = np.searchsorted(digits, data.target[kept]).astype(np.int64)
    return {
        "numbers": images,
        "numbers__valid": np.ones(images.shape, bool),
        "label": np.repeat(label[:, None], 8, axis=1),
        "target": np.repeat(images.sum((1, 2))[:, None], 8, axis=1),
        "row_id": make_ids(len(label)),
    }


def load_transformer(lookback: int, horizon: int, rows: int = 4000) -> Rows:
    """Windows of hourly load and temperature of a transformer."""
    text = gzip.decompress(ETT.read_bytes()).decode().splitlines()
    values = np.array(
        [[float(cell) for cell in line.split(",")[1:]] for line in text[1 : rows + 1]]
    )
    hours = np.arange(rows, dtype=np.int64) * 3_600_000_000_000 + 1_467_331_200_000_000_000
    starts = np.arange(0, rows - lookback - horizon + 1, 4)
    past, future = (
        starts[:, None] + np.arange(lookback),
        starts[:, None] + np.arange(lookback, lookback + horizon),
    )
    return {
        "numbers": values[past],
        "numbers__valid": np.ones(values[past].shape, bool),
        "numbers__future": values[future],
        "numbers__valid__future": np.ones(values[future].shape, bool),
        "time": hours[past],
        "row_id": make_ids(len(starts)),
    }


def describe_rows(
    rows: Rows, objective: str, *, window: WindowSpec | None = None, time: bool = False
) -> RowSample:
    """What a sample of training rows is."""
    flat = np.where(rows["numbers__valid"], rows["numbers"], np.nan).reshape(
        -1, rows["numbers"].shape[-1]
    )
    mean, std = np.nanmean(flat, 0), np.nanstd(flat, 0)
    numbers = tuple(
        NumberColumn(name=f"c{place}", mean=float(mean[place]), std=float(std[place]))
        for place in range(len(mean))
    )
    labels = rows.get("label", np.zeros(1, np.int64))
    labels = labels if labels.ndim == 1 else labels[:, -1]
    classes = int(labels.max()) + 1 if objective == "classes" else 0
    counts = np.bincount(labels, minlength=classes) if classes else np.empty(0)
    return RowSample(
        objective=objective,
        numbers=numbers,
        time=time,
        window=window,
        forecast=len(numbers) if objective == "forecast" else 0,
        classes=classes,
        class_weights=tuple((counts.sum() / (classes * counts)).tolist()) if classes else (),
        labelled=objective == "reconstruction" and "label" in rows,
        target_mean=float(rows["target"].mean()) if "target" in rows else 0.0,
        target_std=float(rows["target"].std()) if "target" in rows else 1.0,
    )


def split_rows(rows: Rows, *, shuffle: bool = True) -> dict[str, Rows]:
    """Three splits; the last rows are held out unless they are shuffled."""
    count = len(rows["row_id"])
    order = np.random.default_rng(0).permutation(count) if shuffle else np.arange(count)
    cuts = int(0.6 * count), int(0.75 * count)
    parts = np.split(order, cuts)
    return {
        name: take(rows, part)
        for name, part in zip(("train", "validation", "held_out"), parts, strict=True)
    }


def make_reader(sample: RowSample, codes: CodeBook | None = None) -> RowReader:
    return RowReader(sample, tuple(f"c{place}" for place in range(len(sample.numbers))), codes)


def stream_rows(rows: Rows, batch_size: int, *, shuffle: bool = False) -> MemoryStream:
    return MemoryStream(rows, batch_size=batch_size, shuffle=shuffle)


VOCABULARY = CategoryColumn(name="grade", vocabulary=("H", "L", "M"))
