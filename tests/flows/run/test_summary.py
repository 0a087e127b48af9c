"""`lepton run --json`: programs read it, so its keys and the types behind them stay."""

import json
from datetime import UTC, datetime

from flows.run.summary import show_timings, summarize
from storage.base.figures import Figure
from storage.records.receipts import (
    ArtifactRecord,
    ChannelRecord,
    CodeRecord,
    DatasetRecord,
    ModelRecord,
    Receipt,
    TrainingRecord,
)
from tasks.runtime.figures import measure_cost
from tests.tasks.rendering.material import make_check, make_report

GATES = ("raw", "prepared", "model", "artifact")
ARTIFACT = {
    "name": str,
    "path": str,
    "sha256": str,
    "size_bytes": int,
    "accuracy": float,
    "agreement": float,
    "latency_ms_p50": float,
    "chosen_for": list,
}


def list_figures(values: dict[str, float], split: str) -> tuple[Figure, ...]:
    lower = {"loss", "mae"}
    return tuple(
        Figure(
            name=name, value=value, split=split, direction="lower" if name in lower else "higher"
        )
        for name, value in values.items()
    )


def make_artifact(name: str, *, score: str = "accuracy", held_out: bool = True) -> ArtifactRecord:
    figures = list_figures({score: 0.97, "agreement": 0.999}, "validation")
    if held_out:
        figures += list_figures({score: 0.96, "agreement": 0.998}, "held_out")
    costs = (
        measure_cost("size_bytes", 34_211, "bytes"),
        measure_cost("latency_ms_p50", 0.05, "ms"),
        measure_cost("latency_ms_p95", 0.07, "ms"),
    )
    return ArtifactRecord(
        name=name, file=f"{name}.onnx", sha256="a" * 64, figures=(*figures, *costs)
    )


def make_receipt(**changes) -> Receipt:
    figures = list_figures({"accuracy": 0.97, "loss": 0.1}, "validation")
    figures += list_figures({"accuracy": 0.96, "macro_f1": 0.95, "loss": 0.2}, "held_out")
    facts = {
        "run": "r1",
        "flow": "lifecycle",
        "required_gates": GATES,
        "status": "promoted",
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
        "lepton": CodeRecord(version="0", digest="d"),
        "packages": {},
        "machine": {},
        "recipe": {"name": "digits", "document": {"targets": {"edge": {}, "cloud": {}}}},
        "datasets": {
            "raw": DatasetRecord(name="digits-raw", number=0, digest="", manifest="", rows={})
        },
        "model": ModelRecord(id="b" * 64, checkpoint="c" * 64),
        "training": TrainingRecord(
            epochs=3, best_epoch=2, seconds=8.5, precision="fp32", threads=1
        ),
        "headline": "accuracy",
        "figures": (*figures, measure_cost("worker_imports_s", 2.5, "s")),
        "baselines": {"simple model": list_figures({"accuracy": 0.9}, "held_out")},
        "champions": {"edge": list_figures({"accuracy": 0.94, "loss": 0.3}, "held_out")},
        "artifacts": (make_artifact("int8"),),
        "channels": {"edge": ChannelRecord(artifact="int8", sha256="a" * 64, expected=None)},
    }
    return Receipt(**{**facts, **changes})


def test_the_keys_of_a_promoted_run_and_the_types_behind_them(tmp_path):
    summary = json.loads(json.dumps(summarize(make_receipt(), str(tmp_path))))
    assert {name: type(value) for name, value in summary.items()} == {
        "status": str,
        "stopped_at": type(None),
        "reasons": list,
        "run": str,
        "model_id": str,
        "receipt": str,
        "report": str,
        "warnings": list,
        "metrics": dict,
        "datasets": dict,
        "artifacts": list,
        "channels": dict,
    }
    (artifact,) = summary["artifacts"]
    assert {name: type(value) for name, value in artifact.items()} == ARTIFACT
    assert summary["datasets"] == {"raw": "digits-raw@0", "prepared": None}
    assert summary["channels"] == {"edge": "int8", "cloud": None}


def test_what_gates_only_warned_of_is_told(tmp_path):
    sound = make_check(about="rows")
    warned = make_check(about="drift of heat", passed=False, severity="warn", message="it moved")
    report = make_report(sound, warned, stage="raw").model_dump(mode="json")
    (found,) = summarize(make_receipt(gates=(report,)), str(tmp_path))["warnings"]
    assert found == {"gate": "raw", "about": "drift of heat", "message": "it moved"}


def test_metrics_stay_flat_names(tmp_path):
    metrics = summarize(make_receipt(), str(tmp_path))["metrics"]
    assert metrics == {
        "validation_accuracy": 0.97,
        "validation_loss": 0.1,
        "epochs": 3,
        "training_s": 8.5,
        "precision": "fp32",
        "threads": 1,
        "accuracy": 0.96,
        "macro_f1": 0.95,
        "loss": 0.2,
        "simple_model_accuracy": 0.9,
        "champion_accuracy_edge": 0.94,
        "worker_imports_s": 2.5,
    }
    assert type(metrics["epochs"]) is int


def test_a_run_that_stopped_early_has_the_same_keys(tmp_path):
    stopped = {"status": "stopped", "stopped_at": "gate raw", "reasons": ("red",)}
    nothing = dict.fromkeys(("model", "training")) | {"headline": "", "figures": ()}
    nothing |= {"baselines": {}, "champions": {}, "artifacts": (), "channels": {}}
    bare = make_receipt(**stopped, **nothing)
    summary = summarize(bare, str(tmp_path))
    assert set(summary) == set(summarize(make_receipt(), str(tmp_path)))
    assert (summary["model_id"], summary["metrics"], summary["artifacts"]) == (None, {}, [])


def test_an_artifact_that_answers_with_errors_has_no_accuracy(tmp_path):
    artifacts = (make_artifact("fp32", score="mae"), make_artifact("int8", held_out=False))
    receipt = make_receipt(artifacts=artifacts)
    for entry in summarize(receipt, str(tmp_path))["artifacts"]:
        assert set(entry) == set(ARTIFACT)
        assert entry["accuracy"] is None


def test_a_table_of_timings_takes_training_and_imports_from_the_receipt():
    table = show_timings(make_receipt(), {"train": 10.0}, imports_s=1.0, total_s=13.0)
    assert "8.50 s" in table
    assert f"{'- imports':<24}{3.5:8.2f} s" in table
    without = make_receipt(training=None, figures=(Figure(name="loss", value=None),))
    assert f"{'- imports':<24}{1.0:8.2f} s" in show_timings(without, {}, 1.0, 13.0)
