"""What the stream costs besides time: `python -m benchmarks.stream_limits` writes "Streaming: store
and memory".

From an S3 emulator: requests and bytes of an epoch, and what 50 ms of latency a request add to it.
From local files: the resident memory of a process that streams 1 GB, and 10 GB.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.object_store import start_object_store
from benchmarks.results import describe_machine, make_table, write_section
from benchmarks.stream import BATCH_SIZE, THREADS
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.datasets.version import Version
from storage.shards.writing import write_shard
from storage.stream.stream import Stream

LATENCY_MS = 50
STEP_MS = 10
SHARD_BYTES = 8 * 2**20
ROW_SHAPE = (3, 64, 64)


class Repeated:
    """A version that lists its shards many times: as many bytes to stream, without as many to
    write.
    """

    def __init__(self, version: Version, times: int) -> None:
        self.dataset, self.ref = version.dataset, version.ref
        self._shards = tuple(version.iter_shards("train")) * times

    def iter_shards(self, split: str) -> tuple:
        return self._shards


def write_noise(dataset: Dataset, size_bytes: int) -> Version:
    """Shards of noisy images, 8 MiB each."""
    rng = np.random.default_rng(0)
    rows = SHARD_BYTES // int(np.prod(ROW_SHAPE))
    entries = []
    for number in range(size_bytes // SHARD_BYTES):
        images = rng.integers(0, 256, (rows, *ROW_SHAPE), dtype=np.uint8)
        labels = np.arange(rows) + number
        entries.append(
            write_shard(
                dataset.shards, {"image": images, "label": labels}, split="train", codec="none"
            )
        )
    return dataset.commit(entries, kind="prepare", parent=None)


def measure_store(size_bytes: int) -> str:
    with start_object_store() as store:
        import s3fs

        s3fs.S3FileSystem(**store.options).mkdir("bench")
        version = write_noise(
            Dataset(Store("s3://bench/workspace", store.options), "noise"), size_bytes
        )
        arrays = sum(len(shard.encodings) for shard in version.shards)
        stored = sum(shard.size_bytes for shard in version.shards)
        rows = []
        for latency_ms in (0, LATENCY_MS):
            store.set_latency(latency_ms)
            before = store.counts()
            stream = Stream(version, "train", batch_size=BATCH_SIZE, threads=THREADS)
            started = time.perf_counter()
            first_s = 0.0
            for _ in stream:
                first_s = first_s or time.perf_counter() - started
                time.sleep(STEP_MS / 1000)
            epoch_s = time.perf_counter() - started
            used = store.counts() - before
            rows.append(
                [
                    f"{latency_ms} ms a request",
                    f"{used['GET'] / arrays:.2f}",
                    f"{used['HEAD'] / arrays:.2f}",
                    f"{used['bytes'] / stored:.3f}",
                    f"{first_s:.2f}",
                    f"{epoch_s - first_s:.2f}",
                ]
            )
        head = [
            "",
            "GET an array",
            "HEAD an array",
            "bytes / stored bytes",
            "first batch, s",
            "rest of the epoch, s",
        ]
        text = (
            f"{len(version.shards)} shards, {arrays} arrays, {stored / 2**20:.0f} MiB; a step of "
            f"{STEP_MS} ms a batch."
        )
        return f"### From S3 (emulator in its own process)\n\n{text}\n\n{make_table(head, rows)}"


def measure_memory(folder: Path, times: int) -> dict[str, float]:
    """Peak resident memory of this process after an epoch."""
    version = Dataset(Store(folder), "noise").open()
    idle = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    stream = Stream(Repeated(version, times), "train", batch_size=BATCH_SIZE, threads=THREADS)
    rows = sum(len(batch["label"]) for batch in stream)
    return {
        "bytes": rows * float(np.prod(ROW_SHAPE)),
        "idle": idle,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def describe_memory(folder: Path, size_bytes: int, factors: tuple[int, ...]) -> str:
    write_noise(Dataset(Store(folder), "noise"), size_bytes)
    rows = []
    for times in factors:
        command = [
            sys.executable,
            "-m",
            "benchmarks.stream_limits",
            "--alone",
            str(folder),
            str(times),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        rows.append(
            [f"{found['bytes'] / 1e9:.1f} GB", f"{found['idle']:.0f}", f"{found['peak']:.0f}"]
        )
    head = ["streamed", "before, MiB", "peak, MiB"]
    note = "Budget: 512 MiB for the windows. The larger sets list the shards of the smallest again."
    return f"### Resident memory\n\n{note}\n\n{make_table(head, rows)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alone", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument(
        "--fraction", type=float, default=1.0, help="measure with less data, for a quick look"
    )
    options = parser.parse_args()
    if options.alone:
        print(json.dumps(measure_memory(Path(options.alone[0]), int(options.alone[1]))))
        return
    machine = describe_machine(["numpy", "zarr", "s3fs"])
    sections = [
        "## Streaming: store and memory",
        f"`python -m benchmarks.stream_limits`. {machine}",
    ]
    sections.append(measure_store(int(256 * 2**20 * options.fraction)))
    with tempfile.TemporaryDirectory(prefix="lepton-bench-") as folder:
        sections.append(describe_memory(Path(folder), int(10**9 * options.fraction), (1, 10)))
    write_section("streaming-limits", "\n\n".join(sections))
    print("\n\n".join(sections))


if __name__ == "__main__":
    main()
