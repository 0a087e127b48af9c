"""A training beside other work: `python -m benchmarks.busy` writes the section "Beside other work"
of RESULTS.md.

The digits network is trained in a process of its own, as a run trains it, quiet and beside busy
processes, one a core: with the threads that a measured step chooses, and with one a core, as
before. What counts is processor time, which other work on the machine lengthens least, and the
ratio to the quiet training with chosen threads.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.results import describe_machine, make_table, write_section

CONTENDERS = ("measured", "one a core")
ROOT = Path(__file__).parents[1]
CODE = """
import json, os, sys, time
from flows.recipe.load import load_recipe
from lightning_modules.specs.samples import ImageSample
from lightning_modules.training.trainer import fit_learner
from tests.lightning_modules.streams import MemoryStream, split_digits
recipe = load_recipe("digits", json.loads(sys.argv[1]))
sample = ImageSample(shape=(1, 8, 8), classes=10, value_range=(0, 16), mean=(4.9,), std=(6.0,))
splits = split_digits()
streams = {
    "train_stream": MemoryStream(splits["train"], batch_size=recipe.train.batch_size),
    "validation_stream": MemoryStream(splits["validation"], batch_size=50, shuffle=False),
}
began, cpu = time.monotonic(), time.process_time()
fitted = fit_learner(
    recipe.model, recipe.train, sample, most_threads=len(os.sched_getaffinity(0)), **streams
)
told = {"wall_s": time.monotonic() - began, "cpu_s": time.process_time() - cpu}
print(json.dumps(told | {"threads": fitted.result.threads, "precision": fitted.result.precision}))
"""


@contextmanager
def keep_busy(count: int) -> Iterator[None]:
    """Has that many processes compute for the duration of the block."""
    with ExitStack() as stack:
        for _ in range(count):
            busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            stack.callback(busy.wait)
            stack.callback(busy.kill)
        yield


def train(threads: str, epochs: int) -> dict[str, Any]:
    """Trains once, and returns what it took.

    Args:
        threads: One of `CONTENDERS`.
        epochs: Of the training.
    """
    cores = len(os.sched_getaffinity(0))
    chosen: int | str = "auto" if threads == CONTENDERS[0] else cores
    settings: Mapping[str, Any] = {"train.max_epochs": epochs, "train.threads": chosen}
    env = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
    env.pop("OMP_NUM_THREADS", None)
    done = subprocess.run(
        [sys.executable, "-c", CODE, json.dumps(settings)],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=24)
    arguments = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    cases = [(threads, others) for others in (0, cores) for threads in CONTENDERS]
    found: dict[tuple[str, int], list[dict[str, Any]]] = {case: [] for case in cases}
    for turn in range(arguments.rounds):
        for threads, others in cases if turn % 2 else reversed(cases):
            with keep_busy(others):
                found[threads, others].append(train(threads, arguments.epochs))
            print(threads, others, found[threads, others][-1], flush=True)
    write_section("Beside other work", describe(found, arguments.rounds))


def describe(found: Mapping[tuple[str, int], list[dict[str, Any]]], rounds: int) -> str:
    """Return the section: what each training took, and by how much more than the quiet one."""

    def take(case: tuple[str, int], name: str) -> float:
        return statistics.median(float(told[name]) for told in found[case])

    quiet = take((CONTENDERS[0], 0), "cpu_s")
    rows = [
        [
            f"{threads}, " + (f"beside {others} busy processes" if others else "quiet"),
            " ".join(str(told["threads"]) for told in found[threads, others]),
            f"{take((threads, others), 'cpu_s'):.1f} s",
            f"{take((threads, others), 'cpu_s') / quiet:.2f}",
            f"{take((threads, others), 'wall_s'):.1f} s",
        ]
        for threads, others in found
    ]
    return (
        "## Beside other work\n\n"
        f"{describe_machine(['torch', 'pytorch-lightning'])} The digits recipe's network, trained "
        f"in a process of its own; {rounds} rounds in turn, medians. Processor time holds the "
        "measuring of steps, too.\n\n"
        + make_table(["threads", "chosen", "processor time", "ratio", "wall time"], rows)
        + "\n\nThe ratio is to the quiet training with measured threads."
    )


if __name__ == "__main__":
    main()
