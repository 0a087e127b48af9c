"""What these tests publish: small real ONNX models, and signed receipts of their runs."""

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from deployments.targets.errors import BadArtifact
from deployments.targets.publish.channel import Channel, create_channel, open_channel, publish
from deployments.targets.run.runtime import Predictor
from deployments.targets.trust.card import ArtifactRef, Card, InputSpec, OutputSpec
from deployments.targets.trust.golden import ArrayText, Golden, name_golden_file
from deployments.targets.trust.keys import KeyRing
from deployments.targets.trust.release import Release
from storage.base.store import canonical_json, sha256_bytes

LABELS = tuple(str(digit) for digit in range(10))
SPEC = InputSpec(form="image", name="image", dtype="uint8", shape=(1, 8, 8), value_range=(0, 16))


def list_classes(labels: tuple[str, ...] = LABELS) -> tuple[OutputSpec, ...]:
    """The outputs of a classifier."""
    return (
        OutputSpec(name="label", dtype="int64", meaning="label", labels=labels),
        OutputSpec(
            name="probabilities", shape=(len(labels),), meaning="probabilities", labels=labels
        ),
    )


OUTPUTS = list_classes()
Outputs = tuple[OutputSpec, ...]
_MODELS: dict[str, bytes] = {}
"""Bytes of the models that a body was made for, by their digest."""
GATES = ("raw", "prepared", "model", "artifact")


def make_onnx(seed: int = 0, *, classes: int = 10, shape: tuple[int, ...] = (1, 8, 8)) -> bytes:
    """A linear classifier: uint8 (N, *shape) -> label int64 (N,), probabilities float32 (N,
    classes).
    """
    size = int(np.prod(shape))
    weights = np.random.default_rng(seed).normal(size=(size, classes)).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["image"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["real"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        helper.make_node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", *shape])],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, ["N"]),
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", classes]),
        ],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def make_golden(data: bytes, spec: InputSpec = SPEC, outputs: Outputs = OUTPUTS) -> Golden:
    """Golden samples of a model; of bytes that are no such model, with answers of zeros."""
    low, high = spec.value_range or (0, 1)
    shape = (2, *spec.shape)
    raw = np.random.default_rng(0).uniform(low, high, shape).astype(spec.dtype)
    try:
        answers = Predictor(data, spec, outputs).predict(raw, batch_size=1).arrays
    except BadArtifact:
        answers = {
            output.name: np.zeros((2, *(length or 1 for length in output.shape)), output.dtype)
            for output in outputs
        }
    return Golden(
        input=ArrayText.of(raw),
        outputs={name: ArrayText.of(values) for name, values in answers.items()},
        tolerance=0.02,
    )


def make_body(
    data: bytes,
    channels: dict[str, int | None],
    *,
    artifact: str = "int8",
    golden: Golden | None = None,
) -> dict[str, Any]:
    """The body of a green receipt for one artifact, cleared for channels with the release each
    expects.
    """
    samples = (golden or make_golden(data)).to_bytes()
    _MODELS[sha256_bytes(data)] = data
    digest, model_id = sha256_bytes(data), sha256_bytes(b"model of " + data)
    return {
        "format": 2,
        "flow": "lifecycle",
        "required_gates": list(GATES),
        "run": "r1",
        "status": "promoted",
        "stopped_at": None,
        "reasons": [],
        "created_at": "2026-01-01T00:00:00Z",
        "recipe": {
            "name": "digits",
            "digest": "0" * 64,
            "document": {
                "kind": "image-classification",
                "data": {
                    "kind": "image",
                    "image": {"shape": [1, 8, 8], "dtype": "uint8", "value_range": [0, 16]},
                    "labels": list(LABELS),
                },
            },
        },
        "gates": [{"stage": stage, "passed": True} for stage in GATES],
        "model": {
            "id": model_id,
            "objective": "classes",
            "files": {
                f"{artifact}.onnx": {"sha256": digest, "size_bytes": len(data)},
                name_golden_file(artifact): {
                    "sha256": sha256_bytes(samples),
                    "size_bytes": len(samples),
                },
            },
        },
        "artifacts": [
            {
                "name": artifact,
                "file": f"{artifact}.onnx",
                "sha256": digest,
                "figures": [],
            }
        ],
        "channels": {
            name: {"artifact": artifact, "sha256": digest, "expected": expected}
            for name, expected in channels.items()
        },
    }


def sign_body(body: dict[str, Any], keys: KeyRing) -> bytes:
    """A receipt file."""
    signature = keys.receipt_signer().sign(canonical_json(body))
    return canonical_json({"signatures": [signature], "signed": body})


def make_card(
    body: dict[str, Any], signed: bytes, *, artifact: str = "int8", **changes: Any
) -> Card:
    """The card that goes with a receipt."""
    facts: dict[str, Any] = {
        "model_id": body["model"]["id"],
        "name": "digits",
        "kind": "image-classification",
        "input": SPEC,
        "objective": "classes",
        "outputs": OUTPUTS,
        "artifact": ArtifactRef(
            name=artifact, file=f"{artifact}.onnx", sha256=body["artifacts"][0]["sha256"]
        ),
        "receipt": sha256_bytes(signed),
        **changes,
    }
    if "golden" not in facts:
        data = _MODELS[facts["artifact"].sha256]
        facts["golden"] = make_golden(data, facts["input"], facts["outputs"])
    return Card(**facts)


def make_run(
    data: bytes,
    channels: dict[str, int | None],
    keys: KeyRing,
    *,
    artifact: str = "int8",
    golden: Golden | None = None,
) -> tuple[bytes, dict[str, bytes]]:
    """A receipt and the files that it clears."""
    samples = golden or make_golden(data)
    body = make_body(data, channels, artifact=artifact, golden=samples)
    receipt = sign_body(body, keys)
    card = make_card(body, receipt, artifact=artifact, golden=samples)
    return receipt, {f"{artifact}.onnx": data, "card.json": card.to_bytes()}


def make_channel(workspace: object, name: str = "edge", **options: Any) -> Channel:
    """A new channel in a workspace."""
    channel = open_channel(str(workspace), name, **options)
    create_channel(channel)
    return channel


def publish_model(
    channel: Channel, seed: int, expected: int | None, golden: Golden | None = None
) -> Release:
    """Publishes the model of a seed."""
    data = make_onnx(seed)
    receipt, files = make_run(data, {channel.name: expected}, channel.keys, golden=golden)
    return publish(channel, receipt=receipt, files=files, artifact="int8", expected=expected)
