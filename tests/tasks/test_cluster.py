"""The local cluster's workers as they are meant to be."""

import os
import resource
from typing import Any

import numpy as np
from distributed import Client

ROUNDS, PAGE = 200, 4096


def fault_pages() -> int:
    """Page faults while arrays of 200 KB come and go, as pictures do while they are decoded."""
    np.ones(200_000, np.uint8)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(ROUNDS):
        np.ones(200_000, np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def read_settings() -> dict[str, Any]:
    import dask

    threads = {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    return {"profile": dask.config.get("distributed.worker.profile.enabled"), **threads}


def test_workers_keep_their_pages_and_look_at_themselves_no_more_than_needed(dask_scheduler: str) -> None:
    with Client(dask_scheduler) as client:
        # Given back each time, each page of each array would be faulted in again.
        assert client.submit(fault_pages, pure=False).result() < ROUNDS * (200_000 // PAGE) / 4
        (settings,) = client.run(read_settings).values()
    assert settings == {"profile": False, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
