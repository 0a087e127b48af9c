"""A workspace whose model is a small ONNX file made by hand, and a batch asked of it here."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from deployments.targets.trust.card import ArtifactRef, Card
from storage.base.store import sha256_bytes
from storage.records.models import write_model_files
from tasks.batch.model import AskedModel
from tasks.batch.outcomes import Answered, Asked, Format, Published
from tasks.batch.stages import answer_all, ask_rows, publish_all
from tests.deployments.targets.material import make_golden
from tests.tasks.feedback.made import Made, describe_table, make


def make_network() -> bytes:
    """Of a row (width, height, colour) the class by its width; no finite answer to vast heights."""
    nodes = [
        helper.make_node("Cast", ["row"], ["given"], to=TensorProto.FLOAT),
        helper.make_node("IsNaN", ["given"], ["missing"]),
        helper.make_node("Where", ["missing", "nothing", "given"], ["real"]),
        helper.make_node("Gather", ["real", "first"], ["width"], axis=1),
        helper.make_node("Gather", ["real", "second"], ["height"], axis=1),
        # A height of 1e30 or more has a square beyond float32; of all others nothing is left.
        helper.make_node("Mul", ["height", "height"], ["square"]),
        helper.make_node("Mul", ["square", "nothing"], ["faint"]),
        helper.make_node("Add", ["width", "faint"], ["known"]),
        helper.make_node("Neg", ["known"], ["other"]),
        helper.make_node("Concat", ["other", "known"], ["logits"], axis=1),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        helper.make_node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "table",
        [helper.make_tensor_value_info("row", TensorProto.DOUBLE, ["N", 3])],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, ["N"]),
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 2]),
        ],
        [
            numpy_helper.from_array(np.array([0]), "first"),
            numpy_helper.from_array(np.array([1]), "second"),
            numpy_helper.from_array(np.array(0, np.float32), "nothing"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    return bytes(model.SerializeToString())


def double_widths(rows: dict[str, Any]) -> dict[str, Any]:
    """A transform that changes what a model takes."""
    return {**rows, "numbers": rows["numbers"] * np.array([2.0, 1.0])}


@dataclass
class Batch:
    """A batch of a made model, carried out in this process."""

    made: Made
    model: AskedModel
    folder: Path

    def ask(self, dataset: str, format: Format = "parquet", out: str = "out") -> Asked:
        return ask_rows(self.model, dataset, str(self.folder / out), format)

    def carry_out(self, dataset: str, **how: Any) -> tuple[Asked, Answered, Published]:
        asked = self.ask(dataset, **how)
        answered = answer_all(asked)
        return asked, answered, publish_all(asked, answered)

    def write(self, lines: list[str], name: str = "asked.csv", header: str = "") -> str:
        path = self.folder / name
        path.write_text("\n".join([header or "width,height,colour", *lines]) + "\n")
        return str(path)


def make_batch(folder: Path) -> Batch:
    """A table of which a model learned, and its network."""
    made = make(folder / "workspace", describe_table(folder))
    content = make_network()
    model = made.model
    spec, outputs = model.input, model.outputs
    card = Card(
        model_id=made.model_id,
        name=made.recipe.name,
        kind=made.recipe.kind,
        objective=model.objective,
        input=spec,
        outputs=outputs,
        artifact=ArtifactRef(name="fp32", file="fp32.onnx", sha256=sha256_bytes(content)),
        golden=make_golden(content, spec, outputs),
        receipt="e" * 64,
    )
    write_model_files(made.store, made.model_id, {"fp32.onnx": content})
    return Batch(made, AskedModel(model, card, "edge", 1), folder)
