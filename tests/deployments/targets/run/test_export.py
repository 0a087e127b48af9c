"""What is exported is what was verified: as a folder whose example runs, and as an OCI layout."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from deployments.targets.errors import ExportError
from deployments.targets.follow.client import VerifiedModel
from deployments.targets.run import export
from deployments.targets.run.live import Runtime
from tests.deployments.targets.material import make_channel, make_onnx, publish_model
from tests.flows.material import call


@pytest.fixture
def model(workspace: Path) -> VerifiedModel:
    publish_model(make_channel(workspace), 1, None)
    return Runtime("edge", str(workspace)).current.verified


def test_the_folder_holds_what_was_verified(
    model: VerifiedModel, workspace: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out"
    done = call("export", "edge", "--to", str(target), "-w", str(workspace))
    assert done.status == 0, done.messages
    found = {path.name: path.read_bytes() for path in target.iterdir()}
    assert found["int8.onnx"] == make_onnx(1)
    assert found["receipt.json"] == model.receipt
    assert (
        hashlib.sha256(found["card.json"]).hexdigest()
        == hashlib.sha256(
            next((workspace / "channels/edge/targets").glob("*.card.json")).read_bytes()
        ).hexdigest()
    )
    assert model.release.model_id in found["NOTICE.txt"].decode()
    assert "Apache License" in found["LICENSE.txt"].decode()
    again = call("export", "edge", "--to", str(target), "-w", str(workspace))
    assert again.status == 1
    assert "new or empty" in again.messages


def test_the_example_runs_without_lepton(model: VerifiedModel, tmp_path: Path) -> None:
    target = tmp_path / "out"
    export.write_folder(export.list_files(model), target)
    example = (target / "example.py").read_text()
    assert len(example.splitlines()) == 5
    assert "lepton" not in example
    command = [sys.executable, "-P", "example.py"]
    done = subprocess.run(command, cwd=target, capture_output=True, text=True, check=True)
    label = model.card.golden.outputs["label"].read()
    assert str(label.tolist()) in done.stdout


def test_the_layout_is_one_that_registries_take(model: VerifiedModel) -> None:
    files = export.list_layout(model)
    assert files == export.list_layout(model)
    assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    (entry,) = json.loads(files["index.json"])["manifests"]
    blobs = {name: data for name, data in files.items() if name.startswith("blobs/")}
    named: set[str] = set()

    def take(descriptor: dict[str, object]) -> bytes:
        algorithm, digest = str(descriptor["digest"]).split(":")
        data = blobs[f"blobs/{algorithm}/{digest}"]
        named.add(f"blobs/{algorithm}/{digest}")
        assert (len(data), hashlib.sha256(data).hexdigest()) == (descriptor["size"], digest)
        return data

    manifest = json.loads(take(entry))
    assert (manifest["schemaVersion"], manifest["mediaType"]) == (2, entry["mediaType"])
    assert take(manifest["config"]) == b"{}"
    titles = {
        layer["annotations"]["org.opencontainers.image.title"]: take(layer)
        for layer in manifest["layers"]
    }
    assert titles == export.list_files(model)
    assert named == set(blobs)


def test_a_write_that_fails_leaves_nothing(
    model: VerifiedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export.os, "fsync", fail)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ExportError, match="No space left"):
        export.write_folder(export.list_files(model), tmp_path / "out")
    assert sorted(tmp_path.iterdir()) == before


def test_a_channel_that_was_tampered_with_exports_nothing(workspace: Path, tmp_path: Path) -> None:
    release = publish_model(make_channel(workspace), 1, None)
    (workspace / f"channels/edge/targets/{release.sha256}.int8.onnx").write_bytes(make_onnx(2))
    done = call("export", "edge", "--to", str(tmp_path / "out"), "-w", str(workspace))
    assert done.status == 1
    assert not (tmp_path / "out").exists()
