"""A run that is promoted: what it prints, writes, signs, shows in Prefect, and how its receipt is
verified.
"""

import json
from pathlib import Path

import pytest

from flows.lifecycle import lifecycle
from storage.records.receipts import Receipt
from tests.flows.conftest import Promoted
from tests.flows.material import FAST, call, run

pytestmark = pytest.mark.prefect


def test_a_good_run_is_promoted_on_both_channels(promoted: Promoted) -> None:
    summary = promoted.summary
    assert promoted.outcome.status == 0, promoted.outcome.messages
    assert (summary["status"], summary["stopped_at"], summary["reasons"]) == ("promoted", None, [])
    assert summary["channels"] == {"edge": "int8", "cloud": "fp32"}
    assert set(summary["datasets"]) == {"raw", "prepared"}
    assert summary["datasets"]["raw"].startswith("digits-raw@")
    assert summary["metrics"]["accuracy"] >= 0.9
    assert summary["metrics"]["precision"] == "fp32"
    assert {entry["name"] for entry in summary["artifacts"]} == {"fp32", "int8"}
    for path in (
        summary["receipt"],
        summary["report"],
        *(entry["path"] for entry in summary["artifacts"]),
    ):
        assert Path(path).is_absolute()
        assert Path(path).is_file()


def test_int8_is_three_times_smaller_and_agrees(promoted: Promoted) -> None:
    artifacts = {entry["name"]: entry for entry in promoted.summary["artifacts"]}
    assert artifacts["fp32"]["size_bytes"] >= 3 * artifacts["int8"]["size_bytes"]
    assert artifacts["int8"]["agreement"] >= 0.99
    body = json.loads(Path(promoted.summary["receipt"]).read_bytes())["signed"]
    figures = {each["name"] for each in body["figures"] if each["split"] == "held_out"} - {"loss"}
    for entry in body["artifacts"]:
        found = {each["name"]: each["value"] for each in entry["figures"]}
        held_out = {each["name"] for each in entry["figures"] if each["split"] == "held_out"}
        assert held_out == figures | {"agreement", "worst_slice_drop"}
        assert found["worst_slice_drop"] <= 0.2
        assert found["peak_bytes"] > found["memory_bytes"] > 0
        assert found["latency_ms_p99_of_64"] >= found["latency_ms_p50_of_64"] > 0
        others = {"edge", "cloud"} - set(entry["chosen_for"])
        assert set(entry["passed_over"]) == others


def test_the_receipt_names_everything_from_source_to_signature(promoted: Promoted) -> None:
    envelope = json.loads(Path(promoted.summary["receipt"]).read_bytes())
    body = envelope["signed"]
    assert [gate["stage"] for gate in body["gates"]] == ["raw", "prepared", "model", "artifact"]
    assert all(gate["passed"] and gate["checks"] for gate in body["gates"])
    assert body["source"]["type"] == "sklearn"
    assert body["source"]["files"]
    released = {f"{cleared['artifact']}.golden.json" for cleared in body["channels"].values()}
    artifacts = {"checkpoint.safetensors", "fp32.onnx", "int8.onnx"}
    assert set(body["model"]["files"]) == artifacts | released
    assert set(body["channels"]) == {"edge", "cloud"}
    assert body["recipe"]["document"]["train"]["max_epochs"] == FAST["train.max_epochs"]
    assert {"torch", "prefect", "great-expectations", "onnxruntime"} <= set(body["packages"])
    assert len(envelope["signatures"]) == 1


def test_the_page_is_one_offline_file(promoted: Promoted) -> None:
    page = Path(promoted.summary["report"]).read_text()
    assert "<svg" in page
    assert promoted.summary["run"] in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page


def test_the_curve_lies_beside_the_page(promoted: Promoted) -> None:
    points = json.loads(Path(promoted.summary["report"]).with_name("curve.json").read_bytes())
    assert [point["epoch"] for point in points] == list(range(FAST["train.max_epochs"]))
    figures = [
        {(figure["split"], figure["name"]): figure["value"] for figure in point["figures"]}
        for point in points
    ]
    best = max(named["validation", "accuracy"] for named in figures)
    assert best == promoted.summary["metrics"]["validation_accuracy"]
    assert all(0 < named["", "cpu_s"] < 600 for named in figures)


def test_nothing_is_left_in_the_making(promoted: Promoted) -> None:
    assert list((promoted.workspace / "runs").iterdir()) == []


def test_verify_and_trace_follow_the_chain(promoted: Promoted) -> None:
    summary, where = promoted.summary, ("--workspace", str(promoted.workspace))
    for reference in (summary["receipt"], summary["model_id"], Path(summary["receipt"]).stem[:10]):
        assert call("verify", reference, *where).status == 0
    chain = call("trace", summary["model_id"][:12], *where).out
    for word in (
        "digits-raw@",
        "digits-prepared@",
        "sklearn",
        Path(summary["receipt"]).stem,
        "int8.onnx",
    ):
        assert word in chain


def test_every_stage_is_a_task_with_an_artifact_in_prefect(promoted: Promoted) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

    with get_client(sync_client=True) as client:
        runs = [
            entry
            for entry in client.read_flow_runs()
            if entry.parameters.get("workspace") == str(promoted.workspace)
        ]
        assert [entry.state.name for entry in runs if entry.state] == ["Completed"]
        kept = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[runs[0].id]))
        response = client._client.post(
            "/artifacts/filter", json={"artifacts": kept.model_dump(mode="json")}
        )
    keys = {artifact["key"] for artifact in response.json()}
    stages = (
        "collect",
        "gate-raw",
        "prepare",
        "gate-prepared",
        "train",
        "evaluate",
        "gate-model",
        "compress",
    )
    assert keys >= {f"lepton-{stage}" for stage in (*stages, "gate-artifact", "promote")}


def test_called_from_python_it_returns_a_frozen_receipt_and_publishes_once(
    promoted: Promoted, own_promoted: Promoted, dask_scheduler: str
) -> None:
    before = sorted((own_promoted.workspace / "channels").rglob("*.targets.json"))
    receipt = lifecycle(
        "digits", workspace=str(own_promoted.workspace), overrides=FAST, scheduler=dask_scheduler
    )
    assert isinstance(receipt, Receipt)
    assert receipt.model_id == promoted.summary["model_id"]
    assert Path(receipt.address).is_file()
    assert sorted((own_promoted.workspace / "channels").rglob("*.targets.json")) == before
    with pytest.raises(Exception, match="frozen"):
        receipt.status = "stopped"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("run", "nonsense"), "must be a known recipe"),
        (("run", "digits", "--set", "train.max_epochs"), "must have the form KEY=VALUE"),
        (("run", "digits", "--set", "train.max_epochs=0"), "train.max_epochs (0)"),
        (("run",), ""),
        (("run", "digits", "--no-such-option"), ""),
    ],
)
def test_bad_usage_exits_2_with_the_remedy(arguments: tuple[str, ...], expected: str) -> None:
    outcome = call(*arguments)
    assert outcome.status == 2
    assert expected in outcome.messages


def test_recipes_are_listed() -> None:
    assert {line.split()[0] for line in call("recipes").out.splitlines()} >= {"digits", "mnist"}


def test_a_workspace_that_cannot_be_written_is_named(
    dask_scheduler: str, tmp_path: Path, prefect_url: str
) -> None:
    file = tmp_path / "a file"
    file.write_text("not a folder")
    outcome = run("digits", file / "workspace", dask_scheduler)
    assert outcome.status == 1
    assert "a file" in outcome.messages
    assert "Traceback" not in outcome.messages


def test_a_named_server_that_does_not_answer_is_said_with_the_remedy(
    prefect_url: str, tmp_path: Path, dask_scheduler: str
) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        outcome = run("digits", tmp_path / "workspace", dask_scheduler)
    assert outcome.status == 1
    assert "PREFECT_API_URL" in outcome.messages
    assert "Traceback" not in outcome.messages
