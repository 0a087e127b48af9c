"""What an artifact's exact bytes cost in a process of its own: size, latency, memory.

A fresh process holds nothing but the runtime, so its peak memory and its latency are the
artifact's; the process that asks may hold a training run. Run as `python -P -m
deployments.targets.run.measure`; a header line and the bytes come on stdin.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from deployments.targets.errors import BadArtifact
from deployments.targets.run.runtime import Predictor
from deployments.targets.trust.card import InputSpec, OutputSpec
from storage.base.store import sha256_bytes

MEASURE_TIMEOUT_S = 120.0
WARM_RUNS, LEAST_RUNS = 5, 20
BATCH, LEAST_BATCHES, BATCH_SHARE = 64, 5, 0.25
"""Rows at once, how often at least, and the share of the budget in which it is done more often."""
MOST_BATCH_S = 5.0
"""Longest that batches may take altogether, by the time of single samples; else none is run."""


class Measurement(BaseModel):
    """Figures of one artifact.

    Attributes:
        sha256: Digest of the bytes measured.
        size_bytes: Their number.
        latency_ms_p50: Median time of one sample, batch 1, after warming up.
        latency_ms_p95: 95th percentile of the same runs.
        latency_ms_p99: 99th percentile of the same runs.
        cpu_ms: Processor time of one of them, on average.
        batch_ms_p50: Median time of `BATCH` samples at once; None where that would take long.
        batch_ms_p99: 99th percentile of the same runs.
        load_ms: Time to parse the bytes and make the session.
        memory_bytes: Growth of the process's peak resident memory by loading and answering; None
            where /proc is absent.
        peak_bytes: That peak itself, of a process that holds the runtime and the artifact alone.
        runs: Number of timed runs.
        threads: Threads of the runtime.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str
    size_bytes: int
    latency_ms_p50: float
    latency_ms_p95: float
    latency_ms_p99: float | None = None
    cpu_ms: float | None = None
    batch_ms_p50: float | None = None
    batch_ms_p99: float | None = None
    load_ms: float
    memory_bytes: int | None
    peak_bytes: int | None = None
    runs: int
    threads: int


class MeasureJob(BaseModel):
    """What the measuring process is told, as the first line of its stdin."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    spec: InputSpec
    outputs: tuple[OutputSpec, ...]
    threads: int
    max_runs: int
    budget_s: float
    seed: int = 0


def measure_artifact(
    data: bytes,
    spec: InputSpec,
    outputs: tuple[OutputSpec, ...],
    *,
    threads: int = 1,
    max_runs: int = 300,
    budget_s: float = 1.0,
    timeout_s: float = MEASURE_TIMEOUT_S,
) -> Measurement:
    """Measures an artifact in a fresh process.

    Args:
        data: Its bytes.
        spec: The raw sample it takes; random values within its range are fed, zeros where it has
            none.
        outputs: The arrays it answers with.
        threads: Threads of the runtime.
        max_runs: Most runs that are timed.
        budget_s: Time for them, in seconds; `LEAST_RUNS` are made at least.
        timeout_s: When the process is given up.

    Raises:
        BadArtifact: The bytes cannot be loaded or run, or not in time.
    """
    job = MeasureJob(
        spec=spec, outputs=outputs, threads=threads, max_runs=max_runs, budget_s=budget_s
    )
    header = job.model_dump_json().encode() + b"\n"
    return Measurement.model_validate_json(_run_process(header + data, timeout_s))


def _run_process(content: bytes, timeout_s: float) -> bytes:
    """Runs the measuring process on what it reads, and returns what it prints."""
    command = [sys.executable, "-P", "-m", "deployments.targets.run.measure"]
    try:
        done = subprocess.run(
            command,
            input=content,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BadArtifact(
            f"artifact must answer within {timeout_s:.0f} s; got no end; make the model smaller"
        ) from error
    if done.returncode != 0:
        tail = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise BadArtifact(
            f"artifact must load and run; got exit {done.returncode}: {' '.join(tail)}; export it "
            "again"
        )
    return done.stdout


def measure_here(data: bytes, job: MeasureJob) -> Measurement:
    """Measures an artifact in this process."""
    before = read_peak_memory()
    started = time.perf_counter()
    predictor = Predictor(data, job.spec, job.outputs, threads=job.threads)
    load_ms = (time.perf_counter() - started) * 1e3
    sample = _make_sample(job.spec, job.seed)
    begun_s = time.process_time()
    times_ms = _time_runs(predictor, sample, job)
    cpu_ms = (time.process_time() - begun_s) * 1e3 / (len(times_ms) + WARM_RUNS)
    after = read_peak_memory()
    p50, p95, p99 = np.percentile(times_ms, [50, 95, 99])
    batch_p50, batch_p99 = _time_batches(predictor, sample, job, float(p50))
    return Measurement(
        sha256=sha256_bytes(data),
        size_bytes=len(data),
        latency_ms_p50=float(p50),
        latency_ms_p95=float(p95),
        latency_ms_p99=float(p99),
        cpu_ms=cpu_ms,
        batch_ms_p50=batch_p50,
        batch_ms_p99=batch_p99,
        load_ms=load_ms,
        memory_bytes=None if before is None or after is None else after - before,
        peak_bytes=after,
        runs=len(times_ms),
        threads=job.threads,
    )


def _time_batches(
    predictor: Predictor, sample: NDArray[np.generic], job: MeasureJob, one_ms: float
) -> tuple[float, float] | tuple[None, None]:
    """Return median and 99th percentile of `BATCH` samples at once; None where that takes long.

    Args:
        predictor: The artifact, loaded.
        sample: One sample (1, ...).
        job: For how long batches are timed, at most.
        one_ms: Median time of one sample.
    """
    if one_ms * BATCH * (LEAST_BATCHES + WARM_RUNS) > MOST_BATCH_S * 1e3:
        return None, None
    shorter = job.model_copy(update={"budget_s": job.budget_s * BATCH_SHARE})
    repeated = np.repeat(sample, BATCH, axis=0)
    times_ms = _time_runs(predictor, repeated, shorter, LEAST_BATCHES)
    return float(np.median(times_ms)), float(np.percentile(times_ms, 99))


def _time_runs(
    predictor: Predictor, sample: NDArray[np.generic], job: MeasureJob, least: int = LEAST_RUNS
) -> list[float]:
    for _ in range(WARM_RUNS):
        predictor.predict(sample)
    times_ms: list[float] = []
    end_s = time.perf_counter() + job.budget_s
    while len(times_ms) < min(least, job.max_runs) or (
        len(times_ms) < job.max_runs and time.perf_counter() < end_s
    ):
        started = time.perf_counter()
        predictor.predict(sample)
        times_ms.append((time.perf_counter() - started) * 1e3)
    return times_ms


def _make_sample(spec: InputSpec, seed: int) -> NDArray[np.generic]:
    if spec.value_range is None:
        return np.zeros((1, *spec.shape), dtype=spec.dtype)
    low, high = spec.value_range
    values = np.random.default_rng(seed).uniform(low, high, (1, *spec.shape))
    return values.astype(spec.dtype)


def read_peak_memory() -> int | None:
    """Read the high-water mark of this program's resident memory in bytes; None where none is told.

    Not getrusage: its figure is taken over from the process that started this one.
    """
    try:
        with Path("/proc/self/status").open(encoding="ascii") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        return None
    return None


def main() -> None:
    """Measures what comes on stdin; prints the figures as JSON."""
    import onnxruntime

    # Loaded before the first reading of the memory: the runtime's own code is not the artifact's.
    onnxruntime.disable_telemetry_events()
    job = MeasureJob.model_validate_json(sys.stdin.buffer.readline())
    data = sys.stdin.buffer.read()
    sys.stdout.write(json.dumps(measure_here(data, job).model_dump()) + "\n")


if __name__ == "__main__":
    main()
