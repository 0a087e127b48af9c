"""What each rung of the ladder of artifacts costs and loses: small CNNs, and a Transformer.

Run as `python -m benchmarks.ladder [CASE ...]`; cases: digits, transformer, mnist, cifar (times and
sizes alone: its weights are drawn), kernels (convolutions alone, floating and of 8 bits). All rungs
of a case are made of one network and answer the same held-out rows, which nothing was chosen by.
Sizes and times are ratios to fp32; times are processor time of the one thread that answers,
artifacts in turns, so that other load meets all of them alike.
"""

import gzip
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch

from benchmarks.ladder_kernels import print_kernels
from lightning_modules.compress.candidates import make_artifacts
from lightning_modules.compress.onnx_export import run_onnx
from lightning_modules.data.batches import IMAGES
from lightning_modules.specs.compress import CompressSpec
from lightning_modules.specs.model import ModelSpec, NetworkSpec
from lightning_modules.specs.rungs import list_rungs
from lightning_modules.specs.samples import ImageSample
from lightning_modules.specs.training import TrainSpec
from lightning_modules.training.build import build_learner
from lightning_modules.training.trainer import fit_learner
from lightning_modules.training.tuning import Tuning
from storage.base.store import Store
from tests.lightning_modules.streams import MemoryStream, split_digits, take

Rows = Mapping[str, Mapping[str, np.ndarray]]
MNIST = Path(__file__).parents[2] / "shared" / "data" / "mnist"
ROUNDS = {1: 400, 64: 15}
"""How often each artifact answers, by the rows that it is asked at once."""
LOST = 0.003
"""What a trained rung may lose on validation rows before it is given up."""


@dataclass(frozen=True)
class Case:
    """One network and its data.

    Attributes:
        sample: What it is asked.
        network: Its family and sizes.
        epochs: How long it is trained; 0: its weights are drawn, and nothing is trained of it.
        candidates: What is made of it.
        read: Reads the splits.
    """

    sample: ImageSample
    network: NetworkSpec
    epochs: int
    candidates: tuple[str, ...]
    read: Callable[[], Rows]

    @property
    def train(self) -> TrainSpec:
        """How it is trained."""
        epochs = max(1, self.epochs)
        return TrainSpec(max_epochs=epochs, batch_size=64, precision="fp32", threads=1)


def read_mnist(rows: int = 8_000, validation: int = 1_000) -> Rows:
    """Reads MNIST: the first of its training rows, the last to choose by, and all test rows."""

    def read(part: str) -> dict[str, np.ndarray]:
        image = gzip.decompress((MNIST / f"{part}-images-idx3-ubyte.gz").read_bytes())
        label = gzip.decompress((MNIST / f"{part}-labels-idx1-ubyte.gz").read_bytes())
        labels = np.frombuffer(label, np.uint8, offset=8).astype(np.int64)
        return {
            "image": np.frombuffer(image, np.uint8, offset=16).reshape(-1, 1, 28, 28),
            "label": labels,
            "row_id": np.arange(len(labels), dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15),
        }

    trained = read("train")
    return {
        "train": take(trained, np.arange(rows)),
        "validation": take(trained, np.arange(len(trained["label"]) - validation, 60_000)),
        "held_out": read("t10k"),
    }


def draw_pixels() -> Rows:
    """Draws pixels of CIFAR's shape, for times alone."""
    image = np.random.default_rng(0).integers(0, 256, (64, 3, 32, 32)).astype(np.uint8)
    rows = {
        "image": image,
        "label": np.zeros(64, np.int64),
        "row_id": np.arange(64, dtype=np.uint64),
    }
    return dict.fromkeys(("train", "validation", "held_out"), rows)


def describe_images(*shape: int, most: int, mean: float, std: float) -> ImageSample:
    """Returns what images of ten classes are."""
    channels = shape[0]
    return ImageSample(
        shape=shape,
        classes=10,
        value_range=(0, most),
        mean=(mean,) * channels,
        std=(std,) * channels,
    )


DIGITS = describe_images(1, 8, 8, most=16, mean=4.9, std=6.0)
CASES = {
    "digits": Case(DIGITS, NetworkSpec(), 12, list_rungs(), split_digits),
    "transformer": Case(
        DIGITS,
        NetworkSpec(family="transformer"),
        12,
        ("fp32", "fp16", "int8", "int8_dynamic", "int8_weights", "int4_weights"),
        split_digits,
    ),
    "mnist": Case(
        describe_images(1, 28, 28, most=255, mean=33.3, std=78.6),
        NetworkSpec(params={"widths": [16, 32, 64], "stem_stride": 2}),
        4,
        ("fp32", "int8", "int8_weights", "pruned", "pruned_int8"),
        read_mnist,
    ),
    "cifar": Case(
        describe_images(3, 32, 32, most=255, mean=120.7, std=64.0),
        NetworkSpec(
            params={
                **{"widths": [16, 64, 192, 256], "early_pool": True, "convolutions": 1},
                **{"activation": "silu", "dropout": 0.0},
            }
        ),
        0,
        ("fp32", "int8", "int8_weights"),
        draw_pixels,
    ),
}


def make_all(case: Case, splits: Rows, folder: str) -> dict[str, bytes]:
    """Trains the network of a case and makes every artifact of it."""
    model = ModelSpec(network=case.network)

    def open_training(spec: TrainSpec) -> MemoryStream:
        return MemoryStream(dict(splits["train"]), batch_size=spec.batch_size, seed=spec.seed)

    def open_validation() -> MemoryStream:
        return MemoryStream(dict(splits["validation"]), batch_size=64, shuffle=False)

    streams = {"train_stream": open_training(case.train), "validation_stream": open_validation()}
    tuning = Tuning(
        model,
        case.train,
        open_training,
        open_validation,
        IMAGES,
        Store(folder).child,
        max_minutes=10.0,
        most_lost=LOST,
    )
    learner = (
        fit_learner(model, case.train, case.sample, **streams).learner
        if case.epochs
        else build_learner(model, case.sample, train=case.train).eval()
    )
    made = make_artifacts(
        learner,
        case.sample,
        CompressSpec(candidates=case.candidates, calibration="min_max", prune="auto"),
        calibration=splits["train"]["image"][:256],
        validation=splits["validation"]["image"],
        tuning=tuning,
        on_not_made=lambda name, why: print(f"{name}: {why}"),
    )
    return {each.name: each.content for each in made}


def time_answers(made: Mapping[str, bytes], rows: np.ndarray, rounds: int) -> dict[str, float]:
    """Returns the median seconds of processor time of one call with all rows, taken in turns."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    sessions = {
        name: onnxruntime.InferenceSession(content, options) for name, content in made.items()
    }
    taken: dict[str, list[float]] = {name: [] for name in made}
    for _ in range(rounds):
        for name, session in sessions.items():
            started = time.thread_time()
            session.run(None, {"image": rows})
            taken[name].append(time.thread_time() - started)
    return {name: float(np.median(each)) for name, each in taken.items()}


def print_case(name: str, case: Case) -> None:
    """Prints a table: size and speeds as ratios to fp32, and what of the accuracy is lost."""
    splits = case.read()
    with tempfile.TemporaryDirectory() as folder:
        made = make_all(case, splits, folder)
    held = splits["held_out"]
    faster: list[dict[str, float]] = []
    for count, rounds in ROUNDS.items():
        taken = time_answers(made, held["image"][:count], rounds)
        faster.append({each: taken["fp32"] / seconds for each, seconds in taken.items()})
    right = {
        each: float((run_onnx(content, held["image"])[0] == held["label"]).mean())
        for each, content in made.items()
    }
    print(f"\n{name}: fp32 has {len(made['fp32'])} bytes and is right about {right['fp32']:.4f}")
    print("| artifact | bytes | smaller | faster, 1 row | 64 rows | points lost |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for each, content in made.items():
        lost = f"{100 * (right['fp32'] - right[each]):.2f}" if case.epochs else "not computed"
        row: list[Any] = [each, len(content), f"{len(made['fp32']) / len(content):.2f}"]
        row += [f"{ratios[each]:.2f}" for ratios in faster]
        print("| " + " | ".join(map(str, [*row, lost])) + " |", flush=True)


def main(*names: str) -> None:
    """Prints what was asked for; all of it where nothing was."""
    torch.set_num_threads(1)
    for name in names or (*CASES, "kernels"):
        if name == "kernels":
            print_kernels()
        elif name in CASES:
            print_case(name, CASES[name])
        else:
            sys.exit(f"case ({name}) must be one of {', '.join(CASES)} or kernels; choose one")


if __name__ == "__main__":
    main(*sys.argv[1:])
