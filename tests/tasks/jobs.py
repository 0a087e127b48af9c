"""A small workspace, and jobs over it."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from lightning_modules.specs.model import ModelSpec, NetworkSpec
from lightning_modules.specs.samples import ImageSample
from lightning_modules.specs.training import TrainSpec
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.shards.writing import write_shard
from tasks.training.job import DataRef, Fit, Step, TrainJob, WorkerResult
from tasks.training.launch import open_trainer

NAME = "squares-prepared"
SAMPLE = ImageSample(shape=(1, 8, 8), classes=3, value_range=(0, 16), mean=(5.0,), std=(4.0,))
MODEL = ModelSpec(network=NetworkSpec(family="mlp", params={"widths": [16], "dropout": 0.0}))
ROWS = {"train": 4 * 64, "validation": 45, "held_out": 61}


def make_rows(split: str, count: int) -> dict[str, np.ndarray]:
    """Images whose bright square tells the class."""
    draw = np.random.default_rng(list(split.encode()))
    label = draw.integers(0, 3, count)
    image = draw.integers(0, 9, (count, 1, 8, 8))
    for row, place in enumerate(label):
        image[row, 0, 2:6, 2 * place : 2 * place + 3] += 6
    ids = draw.permutation(2**20)[:count].astype(np.uint64) * np.uint64(2**43) + np.uint64(2**63)
    return {"image": image.astype(np.uint8), "label": label.astype(np.int64), "row_id": ids}


def make_workspace(folder: Path) -> Store:
    """A workspace with one prepared version of four training shards."""
    workspace = Store(str(folder))
    dataset = Dataset(workspace, NAME)
    shards = []
    for split, count in ROWS.items():
        rows = make_rows(split, count)
        parts = 4 if split == "train" else 1
        for places in np.array_split(np.arange(count), parts):
            part = {name: values[places] for name, values in rows.items()}
            shards.append(write_shard(dataset.shards, part, split=split))
    dataset.commit(shards, kind="prepare", parent=None)
    return workspace


def make_job(workspace: Store, directory: Path, *steps: Step, devices: int = 1) -> TrainJob:
    number = Dataset(workspace, NAME).open().number
    ref = DataRef(workspace=workspace.url, dataset=NAME, version=number)
    return TrainJob(directory=str(directory), data=ref, steps=steps, devices=devices)


def make_fit(**changes: Any) -> Fit:
    values = {
        "max_epochs": 3,
        "batch_size": 32,
        "precision": "fp32",
        "log_every_steps": 4,
        "checkpoint_every_steps": 2,
        **changes,
    }
    return Fit(model=MODEL, train=TrainSpec(**values), sample=SAMPLE)


def run_job(job: TrainJob, **options: Any) -> WorkerResult:
    """Has one job done by a trainer of its own."""
    with open_trainer(Path(job.directory), job.devices) as trainer:
        return trainer.run(job, **options)


def find_processes(word: str) -> list[int]:
    """Processes whose command line holds a word: those of one job."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if word.encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found
