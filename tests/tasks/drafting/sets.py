"""Data sets of scikit-learn as files, in the dialects that people write."""

import datetime as dt
import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine

Rows = list[list[str]]


def write_table(
    path: Path,
    header: Sequence[str] | None,
    rows: Rows,
    *,
    sep: str = ",",
    encoding: str = "utf-8",
    end: str = "\n",
    mark: bytes = b"",
) -> Path:
    """Writes a table as text, gzipped where its name says so."""
    lines = [sep.join(row) for row in ([list(header)] if header else []) + rows]
    data = mark + (end.join(lines) + end).encode(encoding)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data) if path.name.endswith(".gz") else data)
    return path


def read_set(name: str) -> tuple[list[str], Rows, list[str]]:
    """Names of the columns, rows as texts, and the answer of each row."""
    loaders = {
        "iris": load_iris,
        "wine": load_wine,
        "cancer": load_breast_cancer,
        "diabetes": load_diabetes,
    }
    bunch = loaders[name]()
    names = [str(feature).replace(" ", "_") for feature in bunch.feature_names]
    classes = getattr(bunch, "target_names", None)
    answers = [str(t) if classes is None else str(classes[t]) for t in bunch.target.tolist()]
    return names, [[repr(float(value)) for value in row] for row in bunch.data], answers


def write_set(path: Path, name: str, *, answer: str = "answer", sep: str = ",") -> Path:
    """Writes a set with its answers as the last column."""
    names, rows, answers = read_set(name)
    body = [[*row, text] for row, text in zip(rows, answers, strict=True)]
    return write_table(path, [*names, answer], body, sep=sep)


def write_sales(path: Path, shops: int = 4, days: int = 240, style: str = "%d.%m.%Y") -> Path:
    """Sales of some shops a day, with a week's pattern, and whether there was a sale."""
    draws = np.random.default_rng(0)
    rows = []
    for day in range(days):
        for shop in range(shops):
            date = dt.date(2022, 1, 1) + dt.timedelta(days=day)
            value = (30 + 10 * shop) * (1 + 0.3 * np.sin(2 * np.pi * day / 7)) + draws.normal(0, 1)
            promoted = str(int(draws.random() < 0.1))
            rows.append([date.strftime(style), f"shop {shop}", f"{value:.2f}", promoted])
    return write_table(path, ["Datum", "Filiale", "Umsatz", "Aktion"], rows, sep=";")
