"""What each rung of the ladder of artifacts costs and loses, on digits and a small CNN.

Run as `python -m benchmarks.ladder [ROUNDS]`. All rungs are made of one network, and answer the
same held-out rows; sizes and times are ratios to fp32, and the median times of single answers are
taken in turns, so that other load meets all of them alike.
"""

import sys
import tempfile
import time

import numpy as np
import onnxruntime
import torch

from lightning_modules.compress.candidates import make_artifacts
from lightning_modules.compress.onnx_export import run_onnx
from lightning_modules.data.batches import IMAGES
from lightning_modules.specs.compress import CompressSpec
from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.rungs import list_rungs
from lightning_modules.specs.samples import ImageSample
from lightning_modules.specs.training import TrainSpec
from lightning_modules.training.trainer import fit_learner
from lightning_modules.training.tuning import Tuning
from storage.base.store import Store
from tests.lightning_modules.streams import MemoryStream, split_digits

SAMPLE = ImageSample(shape=(1, 8, 8), classes=10, value_range=(0, 16), mean=(4.9,), std=(6.0,))
TRAIN = TrainSpec(max_epochs=12, batch_size=64, precision="fp32", threads=1)


def make_all(folder: str) -> dict[str, bytes]:
    """Trains a CNN and makes every artifact of it."""
    splits, model = split_digits(), ModelSpec()

    def open_training(spec: TrainSpec) -> MemoryStream:
        return MemoryStream(splits["train"], batch_size=spec.batch_size, seed=spec.seed)

    def open_validation() -> MemoryStream:
        return MemoryStream(splits["validation"], batch_size=64, shuffle=False)

    fitted = fit_learner(
        model,
        TRAIN,
        SAMPLE,
        train_stream=open_training(TRAIN),
        validation_stream=open_validation(),
    )
    tuning = Tuning(
        model, TRAIN, open_training, open_validation, IMAGES, Store(folder).child, max_minutes=3.0
    )
    made = make_artifacts(
        fitted.learner,
        SAMPLE,
        CompressSpec(candidates=list_rungs(), calibration="auto"),
        calibration=splits["train"]["image"][:256],
        validation=splits["validation"]["image"],
        tuning=tuning,
        on_not_made=lambda name, why: print(f"{name}: {why}"),
    )
    return {each.name: each.content for each in made}


def time_answers(made: dict[str, bytes], rounds: int) -> dict[str, float]:
    """Returns the median seconds of one answer to one row, taken in turns."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    sessions = {
        name: onnxruntime.InferenceSession(content, options) for name, content in made.items()
    }
    row, taken = split_digits()["held_out"]["image"][:1], {name: [] for name in made}
    for _ in range(rounds):
        for name, session in sessions.items():
            started = time.perf_counter()
            session.run(None, {"image": row})
            taken[name].append(time.perf_counter() - started)
    return {name: float(np.median(each)) for name, each in taken.items()}


def main(rounds: int = 2000) -> None:
    """Prints a table: size and speed as ratios to fp32, and what of the accuracy is lost."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        made = make_all(folder)
    held, taken = split_digits()["held_out"], time_answers(made, rounds)
    right = {
        name: float((run_onnx(content, held["image"])[0] == held["label"]).mean())
        for name, content in made.items()
    }
    print(f"{'artifact':16}{'bytes':>9}{'smaller':>9}{'faster':>8}{'points lost':>13}")
    for name, content in made.items():
        print(
            f"{name:16}{len(content):>9}{len(made['fp32']) / len(content):>8.2f}x"
            f"{taken['fp32'] / taken[name]:>7.2f}x{100 * (right['fp32'] - right[name]):>13.2f}"
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
