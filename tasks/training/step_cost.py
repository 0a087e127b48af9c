"""What a training step of a recipe costs, measured on made-up rows in a process of its own."""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from deployments.targets.run.measure import read_peak_memory
from lightning_modules.specs.forms import AnySample
from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.samples import Sample
from lightning_modules.specs.training import TrainSpec
from tasks.runtime.child import announce, end_child, end_with_parent, read_announcement, start_child

MOST_S, STEPS = 1.5, 50
TIMEOUT_S = 45.0


@dataclass(frozen=True)
class StepCost:
    """What one step costs.

    Attributes:
        step_s: Processor time of a step, the least of some, in seconds; None where the network is
            fitted at once.
        parameters: Trained numbers of the network.
        memory_bytes: Most memory that the process held; None where the system does not tell.
    """

    step_s: float | None
    parameters: int
    memory_bytes: int | None


def measure_cost(
    model: ModelSpec, train: TrainSpec, sample: Sample, timeout_s: float = TIMEOUT_S
) -> StepCost | None:
    """Measure a step in a child process, for it takes torch.

    Args:
        model: The recipe's model section.
        train: Its train section.
        sample: What a sample is.
        timeout_s: The child is ended after so many seconds.

    Returns:
        The cost; None where it could not be measured in time, or the network cannot be built.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "step.json"
        sections = {"model": model, "train": train, "sample": sample}
        document = {name: part.model_dump(mode="json") for name, part in sections.items()}
        path.write_text(json.dumps(document), "utf-8")
        # As few threads as most trainings of small networks take.
        threads = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
        child = start_child(
            "tasks.training.step_cost",
            [str(path)],
            env=threads,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        try:
            found = read_announcement(child, timeout_s=timeout_s)
        finally:
            end_child(child, grace_s=0.5)
    if found is None:
        return None
    step_s = float(found["step_s"]) if found["step_s"] else None
    memory = int(found["memory_bytes"]) if found["memory_bytes"] else None
    return StepCost(step_s, int(found["parameters"]), memory)


def main(path: str) -> None:
    """Measures the step that a file describes, and announces what it costs."""
    end_with_parent()
    from lightning_modules.training.at_once import find_fitting
    from lightning_modules.training.build import build_learner
    from lightning_modules.training.measured_step import open_stand_in, take_step

    document = json.loads(Path(path).read_text("utf-8"))
    train = TrainSpec.model_validate(document["train"])
    sample = TypeAdapter(AnySample).validate_python(document["sample"])
    learner = build_learner(ModelSpec.model_validate(document["model"]), sample, train=train)
    times: list[float] = []
    if find_fitting(learner.network) is None:
        with open_stand_in(learner, sample, train.batch_size // train.accumulate) as (copy, raw):
            begun = time.monotonic()
            while len(times) < STEPS and time.monotonic() - begun < MOST_S:
                started = time.process_time()
                take_step(copy, raw)
                times.append(time.process_time() - started)
    announce(
        step_s=str(min(times) * train.accumulate) if times else "",
        parameters=str(sum(value.numel() for value in learner.network.parameters())),
        memory_bytes=str(read_peak_memory() or ""),
    )


if __name__ == "__main__":
    main(sys.argv[1])
