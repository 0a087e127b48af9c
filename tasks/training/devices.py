"""How many processes a training takes, and how many threads each of them may use."""

import os
from pathlib import Path
from typing import Literal


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
    """Return the environment in which each process takes its share of the cores, and no more."""
    share = str(max(1, cores // processes))
    names = (
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "BLOSC_NTHREADS",
    )
    # Waiting threads sleep: spinning costs three times the time when other processes want the cores
    # (measured).
    return dict.fromkeys(names, share) | {"OMP_WAIT_POLICY": "PASSIVE"}
