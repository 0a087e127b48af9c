"""Every gate goes red on a concrete fault: exit status 3, rule, observed and limit in the reason,
channels untouched.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from flows.errors import GateStopped
from flows.lifecycle import lifecycle
from gates.engine.report import GateReport
from storage.base.store import Store
from storage.records.receipt_files import list_model_receipts
from tasks.release import choose, compress
from tests.flows.conftest import Promoted
from tests.flows.material import FAST, Outcome, call, digits, read_channels, run, write_digits

pytestmark = pytest.mark.prefect


def _expect_stop(outcome: Outcome, workspace: Path, stage: str, *words: str) -> None:
    summary = outcome.summary
    assert outcome.status == 3, outcome.messages
    assert (summary["status"], summary["stopped_at"]) == ("stopped", stage)
    reasons = "; ".join(summary["reasons"])
    for word in words:
        assert word in reasons
    gate = stage.removeprefix("gate ")
    assert (f"limits   gates.{gate}" in outcome.messages) == (gate != stage)
    assert Path(summary["report"]).is_file()
    assert call("verify", summary["receipt"], "--workspace", str(workspace)).status == 0
    assert summary["channels"] == {"edge": None, "cloud": None}


def _spoil_nan() -> tuple[Any, Any]:
    images, labels = digits()
    images = images.astype(np.float32)
    images[17, 3, 3] = np.nan
    return images, labels


def _spoil_range() -> tuple[Any, Any]:
    images, labels = digits()
    images[17, 3, 3] = 255
    return images, labels


def _spoil_label() -> tuple[Any, Any]:
    images, labels = digits()
    labels[17] = 11
    return images, labels


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_spoil_nan, ("image.missing", "observed 1", "limit")),
        (_spoil_range, ("image.max", "observed 255", "16")),
        (_spoil_label, ("label", "11")),
    ],
)
def test_spoiled_rows_stop_at_the_raw_gate(
    spoil: Any, words: tuple[str, ...], tmp_path: Path, prefect_url: str, dask_scheduler: str
) -> None:
    images, labels = spoil()
    settings = write_digits(tmp_path / "files", images=images, labels=labels)
    workspace = tmp_path / "workspace"
    outcome = run("mnist", workspace, dask_scheduler, settings)
    _expect_stop(outcome, workspace, "gate raw", *words)
    assert not (workspace / "channels").exists()
    assert outcome.summary["model_id"] is None


def _cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize(
    ("damage", "word"),
    [(_cut, "must unpack to its end"), (lambda path: path.write_bytes(b""), "magic number")],
)
def test_a_file_that_is_cut_off_stops_at_collect_with_a_receipt(
    damage: Any, word: str, tmp_path: Path, prefect_url: str, dask_scheduler: str
) -> None:
    settings = write_digits(tmp_path / "files")
    damage(tmp_path / "files" / "train-images-idx3-ubyte.gz")
    workspace = tmp_path / "workspace"
    outcome = run("mnist", workspace, dask_scheduler, settings)
    _expect_stop(outcome, workspace, "collect", "train-images-idx3-ubyte", word)
    assert not (workspace / "channels").exists()


def test_files_that_are_not_there_are_no_verdict_on_the_data(
    tmp_path: Path, prefect_url: str, dask_scheduler: str
) -> None:
    settings = write_digits(tmp_path / "files")
    workspace = tmp_path / "workspace"
    # A folder that is not there is told of before anything starts, files in it when they are asked
    # for.
    outcome = run(
        "mnist", workspace, dask_scheduler, {**settings, "source.url": str(tmp_path / "elsewhere")}
    )
    assert outcome.status == 1
    assert f"source ({tmp_path}/elsewhere) must be a path that exists" in outcome.messages
    assert not workspace.exists()
    (tmp_path / "files" / "train-images-idx3-ubyte.gz").unlink()
    outcome = run("mnist", workspace, dask_scheduler, settings)
    assert outcome.status == 1
    assert "must exist; got nothing there" in outcome.messages
    assert not (workspace / "receipts").exists()


def test_a_held_out_row_copied_into_training_stops_at_the_prepared_gate(
    tmp_path: Path, prefect_url: str, dask_scheduler: str
) -> None:
    images, labels = digits()
    images[100], labels[100] = images[-1], labels[-1]
    workspace = tmp_path / "workspace"
    outcome = run(
        "mnist",
        workspace,
        dask_scheduler,
        write_digits(tmp_path / "files", images=images, labels=labels),
    )
    _expect_stop(outcome, workspace, "gate prepared", "content hash between splits", "row_id")


def test_shuffled_labels_stop_at_the_model_gate(
    own_promoted: Promoted, tmp_path: Path, dask_scheduler: str
) -> None:
    images, labels = digits()
    labels = np.random.default_rng(0).permutation(labels)
    before = read_channels(own_promoted.workspace)
    settings = write_digits(tmp_path / "files", images=images, labels=labels)
    outcome = run("mnist", own_promoted.workspace, dask_scheduler, settings)
    _expect_stop(outcome, own_promoted.workspace, "gate model", "accuracy", "observed", "limit")
    assert read_channels(own_promoted.workspace) == before


def test_a_candidate_worse_than_the_champion_stops_at_the_model_gate(
    own_promoted: Promoted, dask_scheduler: str
) -> None:
    before = read_channels(own_promoted.workspace)
    weak = {
        "train.max_epochs": 1,
        "gates.model.min_accuracy": 0.0,
        "gates.model.min_gain_over_majority": 0.0,
    }
    outcome = run("digits", own_promoted.workspace, dask_scheduler, weak)
    _expect_stop(outcome, own_promoted.workspace, "gate model", "champion", "observed", "limit")
    assert read_channels(own_promoted.workspace) == before


def _break(content: bytes) -> bytes:
    """The artifact with its largest weights zeroed: it loads, runs, and answers nonsense."""
    model = onnx.load_from_string(content)
    largest = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    largest.raw_data = bytes(len(largest.raw_data))
    return bytes(model.SerializeToString())


@pytest.fixture
def _broken_int8(monkeypatch: pytest.MonkeyPatch) -> None:
    """The export's int8 candidate is broken before anything measures it."""
    real = compress.read_artifacts

    def read_broken(*args: Any) -> dict[str, bytes]:
        made = real(*args)
        return {**made, "int8": _break(made["int8"])}

    monkeypatch.setattr(compress, "read_artifacts", read_broken)


def _refuse_nothing(bench: Any, candidate: Any, limits: Any) -> tuple[str, ...]:
    """Answers the held-out rows as the gate asks, and says nothing of it."""
    real_refuse(bench, candidate, limits)
    return ()


real_refuse = compress.HeldOutBench.refuse


@pytest.mark.usefixtures("_broken_int8")
def test_a_broken_int8_artifact_stops_at_the_artifact_gate(
    tmp_path: Path, prefect_url: str, dask_scheduler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Chosen whatever it measured.
    monkeypatch.setattr(choose, "find_faults", lambda *_: [])
    monkeypatch.setattr(compress.HeldOutBench, "refuse", _refuse_nothing)
    workspace = tmp_path / "workspace"
    outcome = run("digits", workspace, dask_scheduler, {"targets.edge.prefer": ["int8"]})
    _expect_stop(outcome, workspace, "gate artifact", "int8.onnx", "agreement", "observed", "limit")
    assert not (workspace / "channels").exists()


@pytest.mark.usefixtures("_broken_int8")
def test_a_broken_int8_artifact_gives_way_to_fp32_and_a_channel_without_one_stops_alone(
    tmp_path: Path, prefect_url: str, dask_scheduler: str
) -> None:
    workspace = tmp_path / "workspace"
    outcome = run("digits", workspace, dask_scheduler, {"targets.tiny.prefer": ["int8"]})
    assert outcome.status == 0, outcome.messages
    assert outcome.summary["channels"] == {"edge": "fp32", "cloud": "fp32", "tiny": None}
    assert "int8 not for edge: accuracy drop must be at most" in outcome.messages
    assert "tiny: nothing, it stops here" in outcome.messages
    said = outcome.messages.partition("stopped   channel tiny: no artifact meets its demands")[2]
    assert "  int8: accuracy drop must be at most" in said
    assert "  fp32: it is not among those that the channel prefers" in said
    assert {path.name for path in (workspace / "channels").iterdir()} == {"edge", "cloud"}
    (signed,) = list_model_receipts(Store(workspace), outcome.summary["model_id"])
    notes = {entry.name: entry.note for entry in signed.receipt.artifacts}
    assert notes["fp32"] == ""
    assert notes["int8"].startswith("not for edge: accuracy drop must be at most")
    report = GateReport.model_validate(signed.receipt.gates[-1])
    assert report.passed
    assert "on tiny: nothing is released there" in report.warnings[0]


def test_from_python_a_stop_raises_with_the_receipt_and_prefect_says_stopped(
    own_promoted: Promoted, dask_scheduler: str
) -> None:
    strict = {**FAST, "gates.raw.min_rows": 5000}
    workspace = str(own_promoted.workspace)
    with pytest.raises(GateStopped) as caught:
        lifecycle("digits", workspace=workspace, overrides=strict, scheduler=dask_scheduler)
    receipt = caught.value.receipt
    assert (receipt.status, receipt.stopped_at) == ("stopped", "gate raw")
    assert "observed 1797" in receipt.reasons[0]
    assert Path(receipt.address).is_file()
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        runs = [
            entry
            for entry in client.read_flow_runs()
            if entry.parameters.get("workspace") == workspace
        ]
    states = [
        (entry.state.type.value, entry.state.name, entry.run_count) for entry in runs if entry.state
    ]
    assert states == [("FAILED", "Stopped", 1)]
