"""How many processes a training takes, and how many threads each of them may use."""

import os
from pathlib import Path
from typing import Literal

from tasks.runtime.cluster import count_cores

CHOSEN = "OMP_NUM_THREADS"
THREADS = (
    CHOSEN,
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "BLOSC_NTHREADS",
)
WAITING = "OMP_WAIT_POLICY"
SHARE = "LEPTON_THREADS"
"""Tells a training process its share of the cores, where nobody has chosen its threads."""


def count_devices(devices: int | Literal["auto"]) -> int:
    """Return how many processes do a job here: what it asks for, or one for every GPU, or one."""
    return count_gpus() or 1 if devices == "auto" else devices


def count_gpus() -> int:
    """Count the NVIDIA GPUs that this process may use, without importing torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([name for name in visible.split(",") if name.strip() not in ("", "-1")])
    driver = Path("/proc/driver/nvidia/gpus")
    return len(list(driver.iterdir())) if driver.is_dir() else 0


def share_threads(cores: int, processes: int) -> dict[str, str]:
    """Return the environment in which each process takes its share of the cores, and no more.

    What the environment says itself of threads is a person's choice, and holds.
    """
    chosen = read_chosen_threads()
    share = str(chosen or max(1, cores // processes))
    said = {name: os.environ[name] for name in THREADS if name in os.environ}
    # Waiting threads sleep: spinning costs three times the time when other processes want the cores
    # (measured).
    waiting = {WAITING: os.environ.get(WAITING, "PASSIVE")}
    return {**dict.fromkeys(THREADS, share), **said, **waiting, SHARE: "" if chosen else share}


def read_chosen_threads() -> int | None:
    """Return the threads that a person has chosen by OMP_NUM_THREADS; None if nobody did."""
    if os.environ.get(SHARE):
        return None
    # Others may follow behind a comma, for loops within loops.
    said = os.environ.get(CHOSEN, "").partition(",")[0].strip()
    return int(said) if said.isdecimal() and int(said) > 0 else None


def read_most_threads() -> int:
    """Return how many threads a training in this process may choose, where nobody chose."""
    return int(os.environ.get(SHARE) or count_cores())
