"""The local cluster's workers as they are meant to be."""

import os
from typing import Any

import pytest
from distributed import Client

from tasks.runtime.cluster import open_cluster

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def read_settings() -> dict[str, Any]:
    import dask

    names = ("MALLOC_TRIM_THRESHOLD_", *THREADS)
    threads = {name: os.environ.get(name) for name in names}
    asked = {"profile": "worker.profile.enabled", "tick": "admin.tick.interval"}
    looks = {name: dask.config.get(f"distributed.{key}") for name, key in asked.items()}
    return {**looks, **threads}


@pytest.mark.parametrize("chosen", [None, "2"])
def test_workers_keep_their_pages_and_threads_and_look_at_themselves_no_more_than_needed(
    monkeypatch: pytest.MonkeyPatch, chosen: str | None
) -> None:
    for name in THREADS:
        monkeypatch.delenv(name, raising=False)
    if chosen is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", chosen)  # A person's own choice holds.
    monkeypatch.setenv(
        "MALLOC_TRIM_THRESHOLD_", "65536"
    )  # as a Dask cluster leaves it in the process that had it
    with open_cluster(workers=1) as scheduler, Client(scheduler) as client:
        (settings,) = client.run(read_settings).values()
    threads = dict.fromkeys(THREADS, "1") | {"OMP_NUM_THREADS": chosen or "1"}
    looks = {"profile": False, "tick": "1s"}
    assert settings == {**looks, "MALLOC_TRIM_THRESHOLD_": None, **threads}
