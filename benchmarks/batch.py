"""Batch prediction beside onnxruntime alone: `python -m benchmarks.batch` writes the section "Batch
prediction" of RESULTS.md.

The same pictures of 28 x 28 are answered by the same bytes of a small convolutional network: by a
session in this process, with the pictures in memory and one thread a core (or one session a core,
whichever is faster), and by a batch on a Dask worker a core, from shards on the disk to shards of
answers, and on to Parquet. Both take turns. What starts once, processes and their imports, is done
before. The processor time is that of all processes that are at work.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from distributed import Client
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from benchmarks.results import describe_machine, make_table, write_section
from deployments.targets.trust.card import ArtifactRef, Card
from storage.base.store import sha256_bytes
from storage.records.models import write_model_files
from tasks.batch.model import AskedModel
from tasks.batch.outcomes import Asked
from tasks.batch.stages import answer_all, ask_rows, drop_marks, publish_all
from tasks.runtime.cluster import count_cores, open_cluster
from tests.deployments.targets.material import make_golden
from tests.tasks.feedback.made import TARGETS, Made, make

SIDE, CLASSES, BATCH = 28, 10, 256
GOAL = 0.8
Pictures = NDArray[np.uint8]


def make_network() -> bytes:
    """Three convolutions and a linear layer, with weights that were drawn."""
    rng = np.random.default_rng(0)
    weights = {
        "a": rng.normal(size=(16, 1, 3, 3)) / 3,
        "b": rng.normal(size=(32, 16, 3, 3)) / 12,
        "c": rng.normal(size=(32, 32, 3, 3)) / 17,
        "d": rng.normal(size=(32, CLASSES)) / 6,
    }
    weights["scale"] = np.array(1 / 255)
    pads = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    nodes = [
        helper.make_node("Cast", ["image"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["real", "scale"], ["x0"]),
        helper.make_node("Conv", ["x0", "a"], ["y0"], **pads),
        helper.make_node("Relu", ["y0"], ["x1"]),
        helper.make_node("Conv", ["x1", "b"], ["y1"], strides=[2, 2], **pads),
        helper.make_node("Relu", ["y1"], ["x2"]),
        helper.make_node("Conv", ["x2", "c"], ["y2"], strides=[2, 2], **pads),
        helper.make_node("Relu", ["y2"], ["x3"]),
        helper.make_node("GlobalAveragePool", ["x3"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "d"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        helper.make_node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "pictures",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", 1, SIDE, SIDE])],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, ["N"]),
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", CLASSES]),
        ],
        [numpy_helper.from_array(v.astype(np.float32), name) for name, v in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def make_workspace(folder: Path, rows: int) -> tuple[Made, AskedModel, bytes, Pictures]:
    """Pictures as a data set, and a promoted model of them."""
    rng = np.random.default_rng(1)
    pictures = rng.integers(0, 256, (rows, SIDE, SIDE), dtype=np.uint8)
    np.savez(folder / "pictures.npz", x=pictures, y=rng.integers(0, CLASSES, rows))
    document: dict[str, Any] = {
        "format": 1,
        "name": "pictures",
        "kind": "image-classification",
        "source": {
            "type": "arrays",
            "url": str(folder / "pictures.npz"),
            "train": ["x", "y"],
            "held_out": None,
        },
        "data": {
            "image": {"shape": [1, SIDE, SIDE], "dtype": "uint8", "value_range": [0, 255]},
            "labels": [str(each) for each in range(CLASSES)],
            "split": {"by": "hash", "held_out": 0.1, "validation": 0.1},
        },
        "targets": TARGETS,
    }
    made = make(folder / "workspace", document)
    content, model = make_network(), made.model
    card = Card(
        model_id=made.model_id,
        name="pictures",
        kind="image-classification",
        objective=model.objective,
        input=model.input,
        outputs=model.outputs,
        artifact=ArtifactRef(name="fp32", file="fp32.onnx", sha256=sha256_bytes(content)),
        golden=make_golden(content, model.input, model.outputs),
        receipt="e" * 64,
    )
    write_model_files(made.store, made.model_id, {"fp32.onnx": content})
    return made, AskedModel(model, card), content, pictures[:, np.newaxis]


def open_session(content: bytes, threads: int) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def answer(session: Any, pictures: Pictures) -> None:
    for start in range(0, len(pictures), BATCH):
        session.run(None, {"image": pictures[start : start + BATCH]})


def make_baselines(content: bytes, pictures: Pictures) -> dict[str, Callable[[], None]]:
    """One session of a thread a core, and a session of one thread a core."""
    cores = count_cores()
    together = open_session(content, cores)
    alone = [open_session(content, 1) for _ in range(cores)]
    pool = ThreadPoolExecutor(cores)
    shares = np.array_split(pictures, cores)
    return {
        "onnxruntime, a thread a core": lambda: answer(together, pictures),
        "onnxruntime, a session a core": lambda: list(pool.map(answer, alone, shares)) and None,
    }


class Clock:
    """Times what is at work here and in the workers."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def _read_cpu_s(self) -> float:
        return time.process_time() + sum(self._client.run(time.process_time).values())

    def time(self, work: Callable[[], object]) -> tuple[float, float]:
        """Return the wall time and the processor time of some work, in seconds."""
        cpu_s, started = self._read_cpu_s(), time.perf_counter()
        work()
        took_s = time.perf_counter() - started
        return took_s, self._read_cpu_s() - cpu_s


def measure(
    folder: Path, rows: int, turns: int
) -> tuple[dict[str, list[tuple[float, float]]], Asked]:
    """Let all take turns."""
    made, model, content, pictures = make_workspace(folder, rows)
    with open_cluster(workers=count_cores()) as address, Client(address) as client:
        clock = Clock(client)
        works: dict[str, Callable[[], object]] = dict(make_baselines(content, pictures))
        asked = ask_rows(model, f"{made.recipe.name}-raw", str(folder / "out"), "parquet", client)

        def answer_rows() -> None:
            drop_marks(asked)
            answer_all(asked, client)

        def publish() -> None:
            answer_rows()
            publish_all(asked, answer_all(asked, client), client)

        works["Lepton, answers in shards"] = answer_rows
        works["Lepton, published as Parquet"] = publish
        for name, work in works.items():
            print(name, "once", flush=True)
            work()
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
        for _ in range(turns):
            for name, work in works.items():
                found[name].append(clock.time(work))
                print(name, found[name][-1], flush=True)
    return found, asked


def write(found: dict[str, list[tuple[float, float]]], asked: Asked) -> None:
    """Write the section: rates, and ratios of the same turn to the faster baseline."""
    names = list(found)
    best = [min(pair) for pair in zip(*([t for t, _ in found[n]] for n in names[:2]), strict=True)]
    least = statistics.median(min(found[n][k][1] for n in names[:2]) for k in range(len(best)))
    rows = []
    for name in names:
        times = [took for took, _ in found[name]]
        ratio = statistics.median(b / took for b, took in zip(best, times, strict=True))
        cpu_s = statistics.median(cpu for _, cpu in found[name])
        rate = asked.rows / statistics.median(times)
        micro = 1e6 * cpu_s / asked.rows
        rows.append([name, f"{rate:,.0f}", f"{ratio:.2f}", f"{micro:.1f}", f"{least / cpu_s:.2f}"])
    head = ["who answers", "rows a second", "of the faster", "CPU us a row", "of the least CPU"]
    body = (
        f"## Batch prediction\n\n{asked.rows:,} pictures of {SIDE} x {SIDE}, {count_cores()} "
        f"cores, {len(best)} turns, medians; goal: {GOAL} of onnxruntime's rate on the same cores. "
        "Not counted, since they start once: processes and their imports, and the drift gate.\n\n"
        f"{make_table(head, rows)}\n\n"
        f"{describe_machine(['onnxruntime', 'numpy', 'distributed', 'pyarrow'])}"
    )
    write_section("Batch prediction", body)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lepton-batch-") as folder:
        write(*measure(Path(folder), options.rows, options.turns))


if __name__ == "__main__":
    main()
