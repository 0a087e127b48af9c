"""Ingest: `python -m benchmarks.ingest` writes the sections "Ingest" and "Ingest: memory" of
RESULTS.md.

Pictures: the 60,000 CIFAR JPEGs of one tar.xz become a checksummed version, with ids, content
hashes and statistics, beside what plain Pillow reaches on both cores: once for the same archive,
once for JPEGs that lie in memory already. Memory: noise from a .npy file becomes a version, and the
largest resident set of any process is looked at.
"""

import argparse
import io
import json
import multiprocessing
import resource
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.results import describe_machine, make_table, write_section
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.datasets.version import Version
from storage.forms.image import ImageSpec
from storage.pipeline.collecting import collect_rows
from storage.sources.arrays import ArraysSource
from storage.sources.images import ImagesSource
from tasks.runtime.cluster import open_cluster

SHARED_CIFAR = (
    Path(__file__).parents[2] / "shared" / "data" / "cifar10-jpeg" / "cifar10_jpeg.tar.xz"
)
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CORES = 2
ROUNDS = 3
BATCH = 500
NOISE_SHAPE = (3, 64, 64)
GOAL = 0.8


def decode_batch(files: list[bytes]) -> int:
    """What every training script does with a picture; gives how many."""
    return len(
        np.stack([np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) for data in files])
    )


def read_archive(count: int) -> Iterator[bytes]:
    with tarfile.open(SHARED_CIFAR, "r:xz") as archive:
        plain = (archive.extractfile(member).read() for member in archive if member.isfile())
        yield from islice(plain, count)


def batch_files(files: Iterator[bytes]) -> Iterator[list[bytes]]:
    while batch := list(islice(files, BATCH)):
        yield batch


def measure_pillow(pool: Any, batches: Any) -> float:
    """Pictures a second on both cores."""
    started = time.perf_counter()
    return sum(pool.imap_unordered(decode_batch, batches)) / (time.perf_counter() - started)


@contextmanager
def start_cluster() -> Iterator[Any]:
    """The Dask cluster of a run, of one process a core, and the import of what its workers need."""
    from distributed import Client

    with open_cluster(workers=CORES) as address, Client(address) as client:
        client.run(prepare_worker)
        yield client


def prepare_worker() -> None:
    import numcodecs  # noqa: F401 - imports are not counted, for nobody

    decode_batch([make_jpeg()])


def make_jpeg() -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (8, 8)).save(data, "JPEG")
    return data.getvalue()


def ingest_pictures(client: Any) -> tuple[float, Version]:
    """Pictures a second, and the version."""
    spec = ImageSpec(image={"shape": [3, 32, 32]}, labels=CLASSES)
    with tempfile.TemporaryDirectory(prefix="lepton-bench-") as folder:
        started = time.perf_counter()
        version = collect_rows(
            ImagesSource(url=str(SHARED_CIFAR)), Dataset(Store(folder), "cifar"), client, spec=spec
        )
        return version.rows / (time.perf_counter() - started), version


def describe_pictures(fraction: float) -> str:
    count = int(60_000 * fraction)
    files = list(read_archive(count))
    lepton, archive, memory = [], [], []
    with start_cluster() as client, multiprocessing.get_context("spawn").Pool(CORES) as pool:
        pool.map(decode_batch, [[make_jpeg()]] * CORES)
        # Turn by turn, so that whatever else the machine does falls on all.
        for _ in range(ROUNDS):
            rate, version = ingest_pictures(client)
            lepton.append(rate)
            archive.append(measure_pillow(pool, batch_files(read_archive(count))))
            memory.append(measure_pillow(pool, batch_files(iter(files))))
    measured = {
        "Lepton": lepton,
        "plain Pillow, same archive": archive,
        "plain Pillow, JPEGs in memory": memory,
    }
    median = {name: statistics.median(rates) for name, rates in measured.items()}
    rows = [
        [
            f"**{name}**" if name == "Lepton" else name,
            f"{rate:,.0f}",
            f"{median['Lepton'] / rate:.2f}",
        ]
        for name, rate in median.items()
    ]
    table = make_table(["", "pictures/s", "Lepton's share"], rows)
    return (
        f"{version.rows:,} JPEGs of 32 x 32 from one tar.xz, {CORES} processes, median of {ROUNDS} "
        f"turns (plain Pillow on {count:,} of them). Lepton: read, hash, decode, identify, "
        "statistics, write, SHA-256, fsync, commit. Plain: decode to arrays, which are dropped; "
        f"in memory nothing is read or unpacked either.\n\n{table}\n\n"
        f"Goal: {GOAL:.2f} of plain Pillow."
    )


def write_noise(folder: Path, size_bytes: int) -> None:
    """A pair of .npy files of noisy images and labels."""
    rows = size_bytes // int(np.prod(NOISE_SHAPE))
    noise = np.random.default_rng(0).integers(0, 256, (1 << 26) + rows, np.uint8)
    with (folder / "x_train.npy").open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (rows, *NOISE_SHAPE)}
        np.lib.format.write_array_header_1_0(file, header)
        left = rows * int(np.prod(NOISE_SHAPE))
        while left:
            # The same noise from another place each time, so that no two shards are equal.
            start = left % rows
            file.write(noise[start : start + min(left, 1 << 26)].data)
            left -= min(left, 1 << 26)
    np.save(folder / "y_train.npy", np.arange(rows) % 10)


def measure_memory(folder: Path) -> dict[str, float]:
    """Peak resident memory, in MiB, of the process that scans and of the largest worker."""
    spec = ImageSpec(image={"shape": NOISE_SHAPE}, labels=CLASSES)
    with start_cluster() as client:
        idle = [read_peak(), max(client.run(read_peak).values())]
        source = ArraysSource(url=str(folder), held_out=None)
        started = time.perf_counter()
        version = collect_rows(
            source, Dataset(Store(folder / "workspace"), "noise"), client, spec=spec
        )
        seconds = time.perf_counter() - started
        peak = [read_peak(), max(client.run(read_peak).values())]
    size = version.rows * float(np.prod(NOISE_SHAPE))
    return dict(
        zip(
            ("bytes", "s", "idle", "idle_worker", "peak", "peak_worker"),
            (size, seconds, *idle, *peak),
            strict=True,
        )
    )


def read_peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def describe_memory(sizes: tuple[int, ...]) -> str:
    rows = []
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="lepton-bench-") as folder:
            write_noise(Path(folder), size)
            command = [sys.executable, "-m", "benchmarks.ingest", "--alone", folder]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        rate = found["bytes"] / found["s"] / 2**20
        figures = [found[name] for name in ("idle", "peak", "idle_worker", "peak_worker")]
        rows.append(
            [
                f"{found['bytes'] / 1e9:.1f} GB",
                *(f"{value:.0f}" for value in figures),
                f"{rate:.0f}",
            ]
        )
    head = [
        "ingested",
        "before, MiB",
        "peak, MiB",
        "worker before, MiB",
        "worker's peak, MiB",
        "MiB/s",
    ]
    return f"Noise from a .npy file, {CORES} worker processes.\n\n{make_table(head, rows)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    parser.add_argument(
        "--fraction", type=float, default=1.0, help="measure with less data, for a quick look"
    )
    parser.add_argument("--only", choices=("pictures", "memory"), help="one of the two sections")
    options = parser.parse_args()
    if options.alone:
        print(json.dumps(measure_memory(Path(options.alone))))
        return
    for name, title in (("pictures", "Ingest"), ("memory", "Ingest: memory")):
        if options.only not in (None, name):
            continue
        machine = describe_machine(["pillow", "numpy", "distributed"])
        sizes = tuple(int(size * options.fraction) for size in (10**9, 10**10))
        body = describe_pictures(options.fraction) if name == "pictures" else describe_memory(sizes)
        text = f"## {title}\n\n`python -m benchmarks.ingest`. {machine}\n\n{body}"
        write_section("ingest" if name == "pictures" else "ingest-memory", text)
        print(text)


if __name__ == "__main__":
    main()
