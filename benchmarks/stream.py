"""The stream beside its peers: `python -m benchmarks.stream` writes the section "Streaming" of
RESULTS.md.

Every contender serves the same samples, shuffled, in batches of images and labels, in a process of
its own. First epoch: from files as they are stored, nothing decoded before, page cache warm,
workers' start counted. The limit is a numpy gather from an array that lies in memory already.
"""

import argparse
import gzip
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.peers import STREAM_PEERS, make_environment
from benchmarks.results import describe_machine, make_table, write_section
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.forms.base import DEFAULT_SHARD_BYTES
from storage.shards.entry import ShardEntry
from storage.shards.writing import write_shard
from storage.stream.stream import Stream

WRITERS = ("mosaicml-streaming", "litdata")
PEERS = ("mosaicml-streaming", "litdata", "webdataset", "zarr + DataLoader")
BATCH_SIZE = 256
THREADS = 2
ROUNDS = 5
SHARED_MNIST = (
    Path(__file__).parents[2] / "shared" / "data" / "mnist" / "train-images-idx3-ubyte.gz"
)


@dataclass(frozen=True)
class Case:
    """Samples of one size, and the goals for them. The peers, which are slow, get the first
    `peer_rows`.
    """

    name: str
    rows: int
    peer_rows: int
    codec: str
    times_best_peer: float
    share_of_gather: float


CASES = {
    "784B": Case("784 B samples (handwritten digits)", 240_000, 40_000, "lz4", 60, 1 / 4),
    "12KB": Case("12 KB samples (noisy images)", 20_000, 5_000, "auto", 5, 1 / 5),
}
TIMES_WRITING = 3
TOUCHED_BYTES = 2**31


def make_samples(case: Case) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, case.rows)
    if case.name.startswith("12 KB"):
        return rng.normal(128, 40, (case.rows, 3, 64, 64)).clip(0, 255).astype(np.uint8), labels
    if SHARED_MNIST.exists():
        images = np.frombuffer(
            gzip.decompress(SHARED_MNIST.read_bytes()), np.uint8, offset=16
        ).reshape(-1, 1, 28, 28)
    else:
        strokes = rng.integers(0, 256, (60_000, 1, 28, 28)) * (
            rng.random((60_000, 1, 28, 28)) < 0.19
        )
        images = strokes.astype(np.uint8)
    shifts = range(-(-case.rows // len(images)))
    return np.concatenate([np.roll(images, shift, axis=3) for shift in shifts])[: case.rows], labels


def write_version(folder: Path, images: np.ndarray, labels: np.ndarray, codec: str) -> float:
    """Writes the samples as a version; seconds."""
    dataset = Dataset(Store(folder), "samples")
    rows = max(1, DEFAULT_SHARD_BYTES // images[0].nbytes)

    def write_rows(start: int) -> ShardEntry:
        part = {"image": images[start : start + rows], "label": labels[start : start + rows]}
        return write_shard(dataset.shards, part, split="train", codec={"image": codec})

    started = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as threads:
        entries = list(threads.map(write_rows, range(0, len(images), rows)))
    dataset.commit(entries, kind="prepare", parent=None)
    return time.perf_counter() - started


def measure_epoch(batches: Iterable[dict[str, np.ndarray]], started: float) -> float:
    rows = sum(len(batch["label"]) for batch in batches)
    return rows / (time.perf_counter() - started)


def measure_lepton(folder: Path) -> dict[str, float]:
    """Rows a second in the first epoch and in the next."""
    version = Dataset(Store(folder), "samples").open()
    import numcodecs  # noqa: F401 - imports are not counted, for nobody

    started = time.perf_counter()
    stream = Stream(version, "train", batch_size=BATCH_SIZE, seed=time.time_ns(), threads=THREADS)
    first = measure_epoch(stream, started)
    return {"first": first, "later": measure_epoch(stream, time.perf_counter())}


def measure_gather(image_path: Path, label_path: Path) -> dict[str, float]:
    """Rows a second of `array[index]` on arrays in memory; the shuffling is not counted."""
    images, labels = np.load(image_path), np.load(label_path)
    rates = []
    for _ in range(ROUNDS):
        order = np.random.default_rng(len(rates)).permutation(len(images))
        picks = [
            order[start : start + BATCH_SIZE]
            for start in range(0, len(order) - BATCH_SIZE + 1, BATCH_SIZE)
        ]
        rates.append(
            measure_epoch(
                ({"image": images[pick], "label": labels[pick]} for pick in picks),
                time.perf_counter(),
            )
        )
    return {"first": statistics.median(rates), "later": statistics.median(rates)}


def touch_memory() -> None:
    """Takes memory from the system once and gives it back, as a virtual machine charges whoever is
    the first to use it.
    """
    np.empty(TOUCHED_BYTES, np.uint8)[::4096] = 1


def run_alone(*command: str) -> dict[str, float]:
    """Runs a contender in a process of its own; its last line is JSON."""
    touch_memory()
    done = subprocess.run([*command], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-4000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def run_self(*arguments: str) -> dict[str, float]:
    return run_alone(sys.executable, "-m", "benchmarks.stream", "--alone", *arguments)


def measure_case(
    case: Case, folder: Path, python: Path, peers: tuple[str, ...]
) -> dict[str, dict[str, float]]:
    images, labels = make_samples(case)
    paths = folder / "images.npy", folder / "labels.npy"
    for path, array in zip(paths, (images, labels), strict=True):
        np.save(path, array)
    touch_memory()
    written = case.rows / write_version(folder / "lepton", images, labels, case.codec)
    some = folder / "some-images.npy", folder / "some-labels.npy"
    for path, array in zip(some, (images, labels), strict=True):
        np.save(path, array[: case.peer_rows])
    del images, labels
    results = {}
    for peer in peers:
        print(f"{case.name}: {peer}", file=sys.stderr)
        script = Path(__file__).with_name("stream_peers.py")
        place = folder / "peer"
        shutil.rmtree(place, ignore_errors=True)
        found = run_alone(
            str(python),
            "-W",
            "ignore",
            str(script),
            peer,
            *map(str, some),
            str(place),
            str(BATCH_SIZE),
            str(THREADS),
        )
        results[peer] = found | {"written": case.peer_rows / found["write_s"]}
    # Turn by turn, so that whatever else the machine does falls on both.
    rounds = [
        (run_self("lepton", str(folder / "lepton")), run_self("gather", *map(str, paths)))
        for _ in range(ROUNDS)
    ]
    results["Lepton"] = {"written": written} | take_median([lepton for lepton, _ in rounds])
    results["numpy gather in memory"] = take_median([gather for _, gather in rounds])
    return results


def take_median(results: list[dict[str, float]]) -> dict[str, float]:
    return {key: statistics.median(result[key] for result in results) for key in results[0]}


def describe_case(case: Case, results: dict[str, dict[str, float]]) -> str:
    peers = [result for name, result in results.items() if name in PEERS]
    # Their better epoch: what starting workers costs weighs more on fewer rows.
    best = max((max(result["first"], result["later"]) for result in peers), default=None)
    lepton, limit = results["Lepton"], results["numpy gather in memory"]["first"]
    rows = [
        [
            f"**{name}**" if name == "Lepton" else name,
            f"{result['first']:,.0f}",
            f"{result['later']:,.0f}",
            f"{result['first'] / best:.1f}" if best else "",
            f"{result['first'] / limit:.3f}",
            f"{result['written']:,.0f}" if "written" in result else "",
        ]
        for name, result in results.items()
    ]
    head = [
        "",
        "first epoch, rows/s",
        "later epochs, rows/s",
        "x best peer",
        "x gather",
        "written, rows/s",
    ]
    verdict = [
        f"{lepton['first'] / limit:.2f} of the in-memory gather (goal {case.share_of_gather:.2f})"
    ]
    if best:
        fastest = max(results[name]["written"] for name in WRITERS)
        verdict += [
            f"{lepton['first'] / best:.0f} times the best peer (goal {case.times_best_peer:.0f})",
            f"written {lepton['written'] / fastest:.1f} times as fast as the faster of "
            f"{' and '.join(WRITERS)}, with statistics and SHA-256 (goal {TIMES_WRITING})",
        ]
    of_peers = f" ({case.peer_rows:,} for peers)" if peers else ""
    title = f"### {case.name}: {case.rows:,} rows{of_peers}, codec {case.codec}"
    return "\n\n".join((title, make_table(head, rows), f"Lepton: {'; '.join(verdict)}."))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alone", nargs="+", help=argparse.SUPPRESS)
    parser.add_argument(
        "--fraction", type=float, default=1.0, help="measure with fewer rows, for a quick look"
    )
    parser.add_argument(
        "--without-peers", action="store_true", help="compare with the in-memory gather only"
    )
    parser.add_argument("--case", choices=tuple(CASES), help="samples of one size only")
    options = parser.parse_args()
    if options.alone:
        kind, *paths = options.alone
        measure = {"lepton": measure_lepton, "gather": measure_gather}[kind]
        print(json.dumps(measure(*map(Path, paths))))
        return
    peers = () if options.without_peers else PEERS
    python = make_environment(STREAM_PEERS) if peers else Path(sys.executable)
    for key, case in CASES.items():
        if options.case in (None, key):
            machine = describe_machine(["numpy", "zarr", "numcodecs"])
            sizes = {
                "rows": int(case.rows * options.fraction),
                "peer_rows": int(case.peer_rows * options.fraction),
            }
            scaled = Case(**(vars(case) | sizes))
            with tempfile.TemporaryDirectory(prefix="lepton-bench-") as folder:
                found = describe_case(scaled, measure_case(scaled, Path(folder), python, peers))
            title = f"## Streaming: {case.name.split(' (')[0]}" + (
                "" if peers else ", beside the gather alone"
            )
            body = "\n\n".join((title, describe_method(key, peers), machine, found))
            write_section(f"streaming-{key}" + ("" if peers else "-gather"), body)
            print(body)


def describe_method(key: str, peers: tuple[str, ...]) -> str:
    if not peers:
        return (
            f"`python -m benchmarks.stream --case {key} --without-peers`: Lepton's first epoch and "
            f"the gather in turn, median of {ROUNDS}, {THREADS} threads."
        )
    return (
        f"`python -m benchmarks.stream --case {key}`: shuffled batches of {BATCH_SIZE} images and "
        f"labels, {THREADS} threads or workers each. Peers: {', '.join(STREAM_PEERS)}. Peers run "
        "once and are judged by their better epoch; Lepton and the gather run in turn, median of "
        f"{ROUNDS}, and Lepton is judged by its first: page cache warm, nothing decoded before, "
        "threads' start counted. Random access through zarr is measured on a few batches."
    )


if __name__ == "__main__":
    main()
