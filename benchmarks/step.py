"""A training step beside a bare torch loop: `python -m benchmarks.step` writes the section
"Training step" of RESULTS.md.

Both train the network of the mnist recipe on the same batches from memory, with the same loss,
optimizer, schedule and clipping; neither augments. Lepton's step also tallies its figures, watches
the loss, logs, and keeps states to resume from. A step's time is that between two batches being
taken, so that nothing is left out. The two take turns.
"""

import argparse
import gzip
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_

from benchmarks.results import describe_machine, make_table, write_section
from flows.recipe.load import load_recipe
from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.samples import ImageSample
from lightning_modules.specs.training import TrainSpec
from lightning_modules.training.build import build_learner
from lightning_modules.training.optim import build_optimizer, build_scheduler
from lightning_modules.training.trainer import fit_learner
from storage.base.store import Store

GOAL = 1.05
BATCH, WARMUP = 128, 20
SAMPLE = ImageSample(shape=(1, 28, 28), classes=10, mean=(33.3,), std=(78.6,))
SHARED_MNIST = (
    Path(__file__).parents[2] / "shared" / "data" / "mnist" / "train-images-idx3-ubyte.gz"
)


class TimedBatches:
    """Batches that lie in memory; notes when each was taken."""

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        ids = np.arange(len(images), dtype=np.uint64)
        self.batches = [
            {
                "image": images[start : start + BATCH],
                "label": labels[start : start + BATCH],
                "row_id": ids[start : start + BATCH],
            }
            for start in range(0, len(images) - BATCH + 1, BATCH)
        ]
        self.taken_at: list[float] = []

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        for batch in self.batches:
            self.taken_at.append(time.perf_counter())
            yield batch

    def set_epoch(self, epoch: int) -> None:
        """Every epoch is the same here."""

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Every epoch starts at its beginning here."""

    def measure(self) -> list[float]:
        """Seconds of each step but the first ones, which warm caches up."""
        return list(np.diff(self.taken_at)[WARMUP:])


def run_bare(model: ModelSpec, spec: TrainSpec, batches: TimedBatches) -> list[float]:
    """The loop as one would write it by hand."""
    learner = build_learner(model, SAMPLE, train=spec).train()
    loss_of = nn.CrossEntropyLoss(label_smoothing=spec.loss.label_smoothing)
    optimizer = build_optimizer(spec.optimizer, learner)
    schedule = build_scheduler(spec.scheduler, optimizer, len(batches))["scheduler"]
    for batch in batches:
        loss = loss_of(learner(torch.from_numpy(batch["image"])), torch.from_numpy(batch["label"]))
        optimizer.zero_grad()
        loss.backward()
        clip_grad_norm_(learner.parameters(), spec.clip_norm or float("inf"))
        optimizer.step()
        schedule.step()
    return batches.measure()


def run_lepton(model: ModelSpec, spec: TrainSpec, batches: TimedBatches) -> list[float]:
    """The same through Lepton."""
    validation = TimedBatches(batches.batches[0]["image"], batches.batches[0]["label"])
    with tempfile.TemporaryDirectory(prefix="lepton-bench-") as folder:
        fit_learner(
            model,
            spec,
            SAMPLE,
            train_stream=batches,
            validation_stream=validation,
            states=Store(folder),
            on_record=lambda record: None,
        )
    return batches.measure()


def read_images(steps: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    count = steps * BATCH
    if SHARED_MNIST.exists():
        found = np.frombuffer(
            gzip.decompress(SHARED_MNIST.read_bytes()), np.uint8, offset=16
        ).reshape(-1, 1, 28, 28)
        return np.resize(found, (count, 1, 28, 28)), rng.integers(0, 10, count)
    return rng.integers(0, 256, (count, 1, 28, 28)).astype(np.uint8), rng.integers(0, 10, count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    # The bare loop is written in fp32.
    settings = {
        "train.max_epochs": 1,
        "train.augmentation.enabled": False,
        "train.precision": "fp32",
    }
    recipe = load_recipe("mnist", {**settings, "train.batch_size": BATCH})
    data = read_images(arguments.steps)
    contenders: dict[str, Callable[[ModelSpec, TrainSpec, TimedBatches], list[float]]] = {
        "bare torch loop": run_bare,
        "Lepton": run_lepton,
    }
    medians: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(arguments.rounds):
        order = list(contenders) if turn % 2 else list(reversed(contenders))
        for name in order:
            times = contenders[name](recipe.model, recipe.train, TimedBatches(*data))
            medians[name].append(1e3 * statistics.median(times))
        print(
            ", ".join(f"{name} {values[-1]:.2f} ms" for name, values in medians.items()), flush=True
        )
    ratios = [
        own / bare for own, bare in zip(medians["Lepton"], medians["bare torch loop"], strict=True)
    ]
    ratio = statistics.median(ratios)
    rows = [
        [name, f"{statistics.median(values):.2f} ms", f"{min(values):.2f} .. {max(values):.2f} ms"]
        for name, values in medians.items()
    ]
    write_section(
        "Training step",
        "## Training step\n\n"
        f"{describe_machine(['torch', 'pytorch-lightning'])} The mnist recipe's network, batch "
        f"{BATCH}, {arguments.threads} threads, {arguments.rounds} rounds of {arguments.steps} "
        "steps in turn; median step.\n\n"
        + make_table(["", "step", "over the rounds"], rows)
        + f"\n\nLepton over bare, paired by round: **{ratio:.3f}** "
        f"({min(ratios):.3f} .. {max(ratios):.3f}); goal <= {GOAL}: "
        f"{'reached' if ratio <= GOAL else 'missed'}.",
    )
    print(f"Lepton over bare: {ratio:.3f}")


if __name__ == "__main__":
    main()
