"""Workspaces with a model that counts as promoted, without a training: rows, splits, a receipt."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flows.recipe.model import Recipe
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.datasets.version import Version
from storage.pipeline.collecting import collect_rows
from storage.pipeline.preparing import prepare_rows
from storage.records.receipts import ModelRecord, Receipt
from tasks.data.collect import describe_version
from tasks.feedback.collect import Gathered, collect_feedback
from tasks.feedback.models import KnownModel, ModelBook
from tasks.release.receipt import issue_receipt
from tasks.runtime.provenance import describe_code
from tests.uplinks import Device

TARGETS = {"edge": {"prefer": ["fp32"]}}
DIGITS: dict[str, Any] = {
    "format": 1,
    "name": "digits",
    "kind": "image-classification",
    "source": {"type": "sklearn", "dataset": "digits"},
    "data": {
        "image": {"shape": [1, 8, 8], "dtype": "uint8", "value_range": [0, 16]},
        "labels": [str(digit) for digit in range(10)],
        "split": {"by": "hash", "held_out": 0.3, "validation": 0.1, "seed": 7},
    },
    "targets": TARGETS,
}
HOUR_NS = 3_600 * 10**9
START_S = 1_700_000_000 // 3600 * 3600
LOOKBACK, HORIZON = 6, 2


@dataclass
class Made:
    """A workspace, its recipe, and the id of its model."""

    store: Store
    recipe: Recipe
    model_id: str

    @cached_property
    def model(self) -> KnownModel:
        return ModelBook(self.store).require(self.model_id)

    def device(self, name: str = "d1") -> Device:
        return Device(self.store, name).enroll()

    def collect(self) -> Gathered:
        recipe = self.recipe
        found: Gathered = collect_feedback.fn(
            self.store.url, recipe.name, recipe.objective, recipe.data
        )
        return found

    @property
    def version(self) -> Version:
        return Dataset(self.store, f"{self.recipe.name}-feedback").open()

    def collect_raw(self, source: Any) -> Version:
        dataset = Dataset(self.store, f"{self.recipe.name}-raw")
        return collect_rows(source, dataset, spec=self.recipe.data)


def make(folder: Path, document: dict[str, Any], digit: str = "a") -> Made:
    """Rows are collected and prepared, and a receipt says that a model learned from them."""
    store, recipe = Store(folder), Recipe.model_validate(document)
    made = Made(store, recipe, digit * 64)
    promote(made, made.collect_raw(recipe.source), recipe)
    return made


def promote(made: Made, raw: Version, recipe: Recipe) -> None:
    """A receipt says that the model learned from a raw version, by a recipe."""
    dataset = Dataset(made.store, f"{recipe.name}-prepared")
    prepared = prepare_rows(raw, recipe.data, dataset)
    receipt = Receipt(
        run="made",
        flow="lifecycle",
        required_gates=(),
        status="promoted",
        created_at=datetime.now(UTC),
        lepton=describe_code(),
        packages={},
        machine={},
        recipe={"name": recipe.name, "digest": recipe.digest, "document": recipe.document},
        datasets={"raw": describe_version(raw), "prepared": describe_version(prepared)},
        model=ModelRecord(id=made.model_id, checkpoint="c" * 64, objective=recipe.objective),
    )
    issue_receipt(made.store, receipt)


def make_images(count: int, seed: int = 0) -> NDArray[np.uint8]:
    """Noise of the shape of digits."""
    drawn = np.random.default_rng(seed).integers(0, 17, (count, 1, 8, 8))
    return drawn.astype(np.uint8)


def describe_table(folder: Path, kind: str = "tabular-classification") -> dict[str, Any]:
    """A recipe of a table of 400 rows with two numbers, a text, and a class or a target."""
    generator = np.random.default_rng(5)
    lines = ["width,height,colour,asked"]
    for width, height in generator.normal(size=(400, 2)).round(6).tolist():
        colour = "red" if width > 0.5 else "blue"
        asked = f"{width + height}" if kind == "tabular-regression" else str(int(width > 0))
        lines.append(f"{width},{height},{colour},{asked}")
    (folder / "table.csv").write_text("\n".join(lines))
    data: dict[str, Any] = {
        "kind": "table",
        "numbers": ["width", "height"],
        "texts": ["colour"],
        "split": {"by": "hash", "held_out": 0.25, "validation": 0.15},
    }
    asked_for = (
        {"target": "asked"}
        if kind == "tabular-regression"
        else {"label": "asked", "labels": ["0", "1"]}
    )
    return {
        "format": 1,
        "name": "table",
        "kind": kind,
        "source": {"type": "csv", "url": str(folder / "table.csv")},
        "data": data | asked_for,
        "model": {"network": {"family": "mlp"}},
        "targets": TARGETS,
    }


def draw_wave(hours: NDArray[Any]) -> NDArray[np.float64]:
    """Two columns of a series, by the hour."""
    return np.stack([np.sin(hours * 2 * np.pi / 24), np.cos(hours * 2 * np.pi / 24)], axis=-1)


def describe_series(folder: Path, hours: int = 480) -> dict[str, Any]:
    """A recipe of a forecast: two columns, by the hour."""
    lines = ["date,sine,cosine"]
    for hour in range(hours):
        moment = datetime.fromtimestamp(START_S + hour * 3600, UTC).replace(tzinfo=None)
        sine, cosine = draw_wave(np.array(hour)).tolist()
        lines.append(f"{moment.isoformat()},{sine},{cosine}")
    (folder / "series.csv").write_text("\n".join(lines))
    return {
        "format": 1,
        "name": "waves",
        "kind": "forecasting",
        "source": {"type": "csv", "url": str(folder / "series.csv")},
        "data": {
            "kind": "series",
            "time": "date",
            "numbers": ["sine", "cosine"],
            "split": {"by": "time", "held_out": 0.2, "validation": 0.1},
        },
        "model": {
            "network": {"family": "mlp"},
            "window": {"lookback": LOOKBACK, "horizon": HORIZON},
        },
        "targets": TARGETS,
    }


def make_windows(first: int, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Windows (N, L, 2) of the series, one an hour, the first of which begins at an hour; and the
    times of their rows (N, L), in seconds.
    """
    hours = first + np.arange(count)[:, np.newaxis] + np.arange(LOOKBACK)
    return draw_wave(hours), (START_S + hours * 3600).astype(np.float64)
