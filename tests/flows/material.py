"""Runs for tests: digits as idx files that can be spoiled, settings that train in seconds, the
command in this process.
"""

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from typer.testing import CliRunner

from lepton_ai.cli import app

FAST: dict[str, Any] = {
    "model.network": {"family": "mlp"},
    "train.max_epochs": 8,
    "train.precision": "fp32",  # what a test says of figures holds on any processor
    "train.augmentation.enabled": False,
    "train.batch_size": 64,
    "gates.model.min_accuracy": 0.9,
    "gates.model.min_skill": -50.0,  # in so few steps no network beats nearest neighbours
}
IDX_TYPES = {"uint8": 0x08, "float32": 0x0D}


@dataclass(frozen=True)
class Outcome:
    """What a command left: exit status, standard output, messages."""

    status: int
    out: str
    messages: str

    @property
    def summary(self) -> dict[str, Any]:
        """The JSON on the last line of standard output."""
        return dict(json.loads(self.out.splitlines()[-1]))


def call(*arguments: str) -> Outcome:
    """Runs `lepton ARGUMENTS` in this process."""
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Outcome(result.exit_code, result.stdout, result.stderr)


def run(
    recipe: str, workspace: Path, scheduler: str, overrides: Mapping[str, Any] | None = None
) -> Outcome:
    """Runs `lepton run RECIPE --json` with settings that train in seconds."""
    settings = [
        f"--set={key}={json.dumps(value)}" for key, value in {**FAST, **(overrides or {})}.items()
    ]
    return call(
        "run", recipe, "--workspace", str(workspace), "--scheduler", scheduler, "--json", *settings
    )


def write_idx(path: Path, array: np.ndarray[Any, Any]) -> None:
    """Writes an array in the format of the MNIST files, compressed."""
    kind = IDX_TYPES[array.dtype.name]
    header = bytes([0, 0, kind, array.ndim]) + b"".join(
        size.to_bytes(4, "big") for size in array.shape
    )
    path.write_bytes(
        gzip.compress(
            header + array.astype(array.dtype.newbyteorder(">")).tobytes(), compresslevel=1
        )
    )


def write_digits(
    folder: Path,
    *,
    images: np.ndarray[Any, Any] | None = None,
    labels: np.ndarray[Any, Any] | None = None,
    held_out: int = 400,
) -> dict[str, Any]:
    """Writes digits as four idx files, the last rows held out, and gives the settings that read
    them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    digits = load_digits()
    images = digits.images.astype(np.uint8) if images is None else images
    labels = digits.target.astype(np.uint8) if labels is None else labels
    for name, start, stop in (
        ("train", 0, len(images) - held_out),
        ("t10k", len(images) - held_out, len(images)),
    ):
        write_idx(folder / f"{name}-images-idx3-ubyte.gz", images[start:stop])
        write_idx(folder / f"{name}-labels-idx1-ubyte.gz", labels[start:stop])
    return {
        "source.url": str(folder),
        "data.image": {"shape": [1, 8, 8], "dtype": images.dtype.name, "value_range": [0, 16]},
        "name": "spoiled",
    }


def digits() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Images (1797, 8, 8) uint8 of 0..16, and labels (1797,) uint8."""
    found = load_digits()
    return found.images.astype(np.uint8), found.target.astype(np.uint8)


def read_channels(workspace: Path) -> dict[str, bytes]:
    """Every byte of the channels, to see that nothing touched them."""
    folder = workspace / "channels"
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
