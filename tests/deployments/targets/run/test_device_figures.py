"""A device measures what the verified receipt names, by digest, and signs it; nothing else."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from deployments.targets.follow.client import VerifiedModel
from deployments.targets.run import device_figures
from deployments.targets.run.device_figures import accept_figures, measure_candidates
from deployments.targets.run.live import Runtime
from deployments.targets.run.measure import Measurement
from storage.base.store import Store, sha256_bytes
from tests.deployments.targets.material import make_channel, make_onnx, publish_model
from tests.flows.material import call

BYTES = {"int8": make_onnx(1), "fp32": make_onnx(2), "fp16": make_onnx(3)}


@pytest.fixture
def model(workspace: Path) -> VerifiedModel:
    """A verified int8 whose receipt lists two more candidates, which the workspace holds."""
    publish_model(make_channel(workspace), 1, None)
    found = Runtime("edge", str(workspace)).current.verified
    body = json.loads(found.receipt)["signed"]
    folder = workspace / "models" / found.card.model_id
    folder.mkdir(parents=True)
    for name in ("fp32", "fp16"):
        file, digest = f"{name}.onnx", sha256_bytes(BYTES[name])
        (folder / file).write_bytes(BYTES[name])
        body["artifacts"].append({"name": name, "file": file, "sha256": digest, "figures": []})
        body["model"]["files"][file] = {"sha256": digest, "size_bytes": len(BYTES[name])}
    receipt = json.dumps({"signatures": [], "signed": body}).encode()
    return dataclasses.replace(found, receipt=receipt)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What was measured."""
    found: list[bytes] = []

    def measure(data: bytes, *_: Any, threads: int) -> Measurement:
        found.append(data)
        return Measurement(
            sha256=sha256_bytes(data),
            size_bytes=len(data),
            latency_ms_p50=1.0,
            latency_ms_p95=1.0,
            load_ms=1.0,
            memory_bytes=None,
            runs=1,
            threads=threads,
        )

    monkeypatch.setattr(device_figures, "measure_artifact", measure)
    return found


def test_every_candidate_that_the_receipt_names_is_measured_on_its_very_bytes(
    model: VerifiedModel, workspace: Path, measured: list[bytes]
) -> None:
    figures = measure_candidates(model, Store(str(workspace)), "cam-1", 2)
    assert measured == list(BYTES.values())
    assert [each.name for each in figures.artifacts] == list(BYTES)
    assert figures.absent == {}
    assert (figures.threads, figures.receipt) == (2, sha256_bytes(model.receipt))


def test_bytes_that_are_others_or_out_of_reach_are_not_run(
    model: VerifiedModel, workspace: Path, measured: list[bytes]
) -> None:
    folder = workspace / "models" / model.card.model_id
    (folder / "fp32.onnx").write_bytes(make_onnx(2)[:-1] + b"!")
    (folder / "fp16.onnx").unlink()
    figures = measure_candidates(model, Store(str(workspace)), "cam-1", 1)
    assert measured == [BYTES["int8"]]
    assert "must be the bytes that the receipt names" in figures.absent["fp32"]
    assert set(figures.absent) == {"fp32", "fp16"}
    figures = measure_candidates(model, None, "cam-1", 1)
    assert "give --workspace" in figures.absent["fp32"]


def test_a_device_measures_and_its_workspace_takes_the_figures(
    workspace: Path, tmp_path: Path
) -> None:
    publish_model(make_channel(workspace), 1, None)
    device = ("--id", "cam-1", "--state", str(tmp_path / "state"))
    code = call("edge", "enroll", *device).out.strip()
    where = ("-w", str(workspace))
    assert call("devices", "add", code, "--class", "camera", *where).status == 0
    file, uplinks = tmp_path / "figures.json", workspace / "uplinks"
    sent = ("--to", str(file), "--uplink", str(uplinks))
    asked = ("--class", "camera", "--threads", "2")
    done = call("measure", "edge", *device, *asked, *sent, *where, "--json")
    assert done.status == 0, done.messages
    assert "figures in 2 threads; releases go by those in 1" in done.messages
    (told,) = json.loads(done.out)["artifacts"]
    assert told["name"] == "int8"
    assert told["measured"]["sha256"] == sha256_bytes(make_onnx(1))
    assert told["measured"]["latency_ms_p99"] >= told["measured"]["latency_ms_p50"] > 0
    assert told["measured"]["batch_ms_p99"] >= told["measured"]["batch_ms_p50"] > 0
    assert told["measured"]["peak_bytes"] > told["measured"]["memory_bytes"] > 0
    (lying,) = (uplinks / "cam-1").iterdir()
    assert lying.read_bytes() == file.read_bytes()
    # A file that was carried by hand is the same one.
    assert call("devices", "figures", str(file), *where).status == 0
    assert list((uplinks / "cam-1").iterdir()) == [lying]
    assert accept_figures(Store(str(workspace)), file.read_bytes()).device == "cam-1"
    call("devices", "revoke", "cam-1", *where)
    refused = call("devices", "figures", str(file), *where)
    assert refused.status == 1
    assert "one that was revoked" in refused.messages
