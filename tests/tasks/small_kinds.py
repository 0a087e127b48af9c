"""One small training of each kind of rows, over real data that comes with scikit-learn.

Series are pictures of digits, read from top to bottom: each is an entity of eight rows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits

from flows.kinds import KINDS as TABLE
from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.samples import RowSample
from lightning_modules.specs.training import TrainSpec
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.forms.series import SeriesSpec
from storage.forms.table import TableSpec
from storage.pipeline.collecting import collect_rows
from storage.pipeline.fitted import Fitted
from storage.pipeline.preparing import prepare_rows
from storage.sources.csv import CsvSource
from tasks.forms.describe import describe_sample
from tasks.training.job import Fit
from tests.tasks.jobs import MODEL, NAME, SAMPLE, make_workspace

SPLIT = {"held_out": 0.2, "validation": 0.2, "seed": 1}
PICTURES = 240
DIGITS = [str(digit) for digit in range(10)]


@dataclass(frozen=True)
class Prepared:
    """A workspace with a prepared version, and how a network learns from it."""

    workspace: Store
    dataset: str
    fit: Fit

    def refit(self, folder: Path, **changes: Any) -> Fit:
        """The training, its rows noted in a folder."""
        sample = self.fit.sample
        std = [column.std for column in sample.numbers] if isinstance(sample, RowSample) else []
        augmentation = {
            "name": "tests.tasks.recorder:Recorder",
            "params": {"folder": str(folder), "std": std},
        }
        train = {**self.fit.train.model_dump(), "augmentation": augmentation, **changes}
        return self.fit.model_copy(update={"train": TrainSpec.model_validate(train)})


@cache
def write_table(kind: str) -> tuple[str, TableSpec]:
    """Rows of a table as CSV, and what they are."""
    bunch = load_diabetes() if kind == "tabular-regression" else load_breast_cancer()
    names = [str(name).replace(" ", "_") for name in bunch.feature_names]
    lines = [",".join([*names, "asked"])]
    lines += [
        ",".join(str(value) for value in row)
        for row in np.column_stack([bunch.data, bunch.target]).tolist()
    ]
    section: dict[str, Any] = {"numbers": names, "split": {"by": "hash", **SPLIT}}
    section |= (
        {"target": "asked"}
        if kind == "tabular-regression"
        else {"label": "asked", "labels": ["0.0", "1.0"]}
    )
    return "\n".join(lines), TableSpec.model_validate(section)


@cache
def write_series(kind: str) -> tuple[str, SeriesSpec]:
    """Pictures of digits as CSV, a row of a picture a line, and what they are."""
    digits = load_digits()
    names = [f"x{column}" for column in range(8)]
    lines = [",".join(["time", "picture", "digit", "ink", *names])]
    for number in range(PICTURES):
        for row, values in enumerate(digits.images[number].tolist()):
            ink = digits.images[number].mean()
            lines.append(
                f"2026-01-01T{row:02}:00:00,p{number:03},{digits.target[number]},{ink},"
                + ",".join(map(str, values))
            )
    section: dict[str, Any] = {
        "time": "time",
        "entity": "picture",
        "numbers": names,
        "split": {"by": "entity", **SPLIT},
    }
    section |= {"label": "digit", "labels": DIGITS} if kind == "series-classification" else {}
    section |= {"target": "ink"} if kind == "series-regression" else {}
    return "\n".join(lines), SeriesSpec.model_validate(section)


MLP = {"family": "mlp", "params": {"widths": [16], "dropout": 0.0}}
GRU = {"family": "rnn", "params": {"cell": "gru", "width": 8, "dropout": 0.0}}
AUTOENCODER = {"family": "autoencoder", "params": {"widths": [16], "code": 4}}
ROWS: dict[str, tuple[Callable[[str], tuple[str, TableSpec]], dict[str, Any]]] = {
    "tabular-classification": (write_table, {"network": MLP}),
    "tabular-regression": (write_table, {"network": MLP}),
    "forecasting": (write_series, {"network": GRU, "window": {"lookback": 4, "horizon": 2}}),
    "series-classification": (write_series, {"network": GRU, "window": {"lookback": 7}}),
    "series-regression": (write_series, {"network": MLP, "window": {"lookback": 6, "stride": 2}}),
    "anomaly-detection": (write_series, {"network": AUTOENCODER, "window": {"lookback": 5}}),
}
KINDS = ("image-classification", *ROWS)


def prepare_kind(kind: str, folder: Path) -> Prepared:
    """A workspace with rows of a kind, and a training over them of about a dozen steps an epoch."""
    spec = {"max_epochs": 5, "precision": "fp32", "log_every_steps": 1, "checkpoint_every_steps": 3}
    if kind == "image-classification":
        workspace = make_workspace(folder / "workspace")
        return Prepared(
            workspace, NAME, Fit(model=MODEL, train=TrainSpec(batch_size=16, **spec), sample=SAMPLE)
        )
    write, section = ROWS[kind]
    text, data = write(kind)
    model = ModelSpec.model_validate(section)
    (folder / "rows.csv").write_text(text)
    workspace = Store(str(folder / "workspace"))
    raw = collect_rows(
        CsvSource(url=str(folder / "rows.csv")), Dataset(workspace, "raw"), spec=data
    )
    version = prepare_rows(raw, data, Dataset(workspace, "prepared"), target_shard_bytes=16_384)
    sample = describe_sample(
        TABLE.find(kind).objective, data, model, Fitted.model_validate(version.info["fitted"])
    )
    return Prepared(
        workspace,
        "prepared",
        Fit(model=model, train=TrainSpec(batch_size=24, **spec), sample=sample),
    )
