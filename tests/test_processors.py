"""Tests that train pass on any processor: in the long form they run again on three simulated ones.

Which precision `auto` comes to, and how many threads add up a sum, must not decide whether a test
is green. Every run of the suite stands on two of these processors (tests/conftest.py).
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processors import PROCESSOR, PROCESSORS

ROOT = Path(__file__).resolve().parents[1]
STAND_IN = "tests/processors/test_stand_in.py"
MANY = ("tests/lightning_modules", "tests/tasks/training", "tests/flows/test_lifecycle.py")


def test_a_processor_can_be_simulated_in_every_process_of_a_run() -> None:
    run_on("amx", 1, ())


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("processor", PROCESSORS)
def test_every_test_that_trains_holds_on_a_simulated_processor(
    processor: str, threads: int
) -> None:
    run_on(processor, threads, MANY)


def run_on(processor: str, threads: int, files: tuple[str, ...]) -> None:
    """Runs test files in a process that stands on the processor, and in what that one starts."""
    simulated = {
        PROCESSOR: processor,
        "LEPTON_PLUGINS": "tests.processors",
        "OMP_NUM_THREADS": str(threads),
        "PYTHONPATH": str(ROOT),
    }
    inherited = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n0", STAND_IN, *files],
        cwd=ROOT,
        env=inherited | simulated,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "skipped" not in done.stdout.splitlines()[-1]
