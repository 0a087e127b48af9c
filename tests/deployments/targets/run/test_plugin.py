"""A stranger's form and objective work on a device by registration alone, and not without it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from deployments.targets.errors import NotCleared
from deployments.targets.publish.channel import publish
from deployments.targets.trust.card import InputSpec, OutputSpec
from storage.base.store import sha256_bytes
from tests.deployments.targets.material import (
    make_body,
    make_card,
    make_channel,
    make_golden,
    sign_body,
)

ALPHABET = "abc"
INPUT = InputSpec(
    form="bells", name="strokes", dtype="float32", shape=(4,), details={"alphabet": ALPHABET}
)
OUTPUTS = (
    OutputSpec(name="loud", meaning="level", unit="dB"),
    OutputSpec(name="long", meaning="time", unit="s"),
)


def make_peal() -> bytes:
    """A network of bells: the mean and the sum of the strokes."""
    nodes = [
        helper.make_node("ReduceMean", ["strokes", "axes"], ["loud"], keepdims=0),
        helper.make_node("ReduceSum", ["strokes", "axes"], ["long"], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "peal",
        [helper.make_tensor_value_info("strokes", TensorProto.FLOAT, ["N", 4])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N"])
            for name in ("loud", "long")
        ],
        [numpy_helper.from_array(np.array([1], dtype=np.int64), "axes")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 9
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def make_bells(channel: Any, alphabet: str = ALPHABET) -> tuple[bytes, dict[str, bytes]]:
    """A receipt of a run that learned from bells, and the files that it clears."""
    data = make_peal()
    golden = make_golden(data, INPUT, OUTPUTS)
    body = make_body(data, {channel.name: None}, golden=golden)
    document = {"kind": "ringing", "data": {"kind": "bells", "alphabet": alphabet}}
    body["recipe"]["document"] = document
    body["model"]["objective"] = "peal"
    receipt = sign_body(body, channel.keys)
    card = make_card(body, receipt, kind="ringing", objective="peal", input=INPUT, outputs=OUTPUTS)
    return receipt, {"int8.onnx": data, "card.json": card.to_bytes()}


def test_without_the_plugin_nothing_is_cleared(workspace: Path) -> None:
    channel = make_channel(workspace)
    receipt, files = make_bells(channel)
    with pytest.raises(NotCleared, match=r"input \(bells\).*install the plug-in"):
        publish(channel, receipt=receipt, files=files, artifact="int8", expected=None)


SCRIPT = """
import sys
from deployments.targets.errors import NotCleared
from deployments.targets.publish.channel import publish
from deployments.targets.run.predict import predict
from tests.deployments.targets.material import make_channel
from tests.deployments.targets.run.test_plugin import make_bells

channel = make_channel(sys.argv[1])
receipt, files = make_bells(channel, alphabet="xyz")
try:
    publish(channel, receipt=receipt, files=files, artifact="int8", expected=None)
except NotCleared as error:
    print(error)
receipt, files = make_bells(channel)
publish(channel, receipt=receipt, files=files, artifact="int8", expected=None)
for answer in predict("edge", [sys.argv[2]], sys.argv[1]):
    print(answer)
    print(answer.to_json())
"""


def test_with_the_plugin_a_device_reads_answers_and_holds_the_card(
    workspace: Path, tmp_path: Path
) -> None:
    file = tmp_path / "peal.txt"
    file.write_text("abcc\n")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(workspace), str(file)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "LEPTON_PLUGINS": "tests.deployments.toy"},
    )
    assert done.returncode == 0, done.stderr
    refused, line, document = done.stdout.splitlines()
    assert refused.startswith("card's alphabet must be 'xyz'; got 'abc'")
    assert line == f"{file}  1.2 dB for 5.0 s"
    assert json.loads(document) == {
        "file": str(file),
        "loud": 1.25,
        "long": 5.0,
        "model_id": sha256_bytes(b"model of " + make_peal()),
    }
