"""Tells of a finished run: to programs as JSON, to people as a table of its times."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import JsonValue

from flows.errors import RecipeFault
from flows.recipe.model import Recipe
from gates.engine.report import GateReport
from storage.base.figures import find_value
from storage.base.store import Store
from storage.records.receipts import ArtifactRecord, Receipt
from tasks.forms.streams import HELD_OUT, VALIDATION
from tasks.pages.report import report_path
from tasks.rendering.verdicts import list_noted


def summarize(receipt: Receipt, workspace: str) -> dict[str, Any]:
    """Return what `lepton run --json` prints; every path is absolute, or a full URL.

    Args:
        receipt: The run's receipt.
        workspace: Folder or URL that the run wrote to.
    """
    store = Store(workspace)
    model = receipt.model
    return {
        "status": receipt.status,
        "stopped_at": receipt.stopped_at,
        "reasons": list(receipt.reasons),
        "run": receipt.run,
        "model_id": model.id if model else None,
        "receipt": receipt.address,
        "report": store.address(report_path(receipt.run)),
        "warnings": list_warnings(receipt),
        "metrics": list_metrics(receipt),
        "datasets": {name: _refer(receipt, name) for name in ("raw", "prepared")},
        "artifacts": [
            {
                "name": entry.name,
                "path": store.address(f"models/{model.id if model else ''}/{entry.file}"),
                "sha256": entry.sha256,
                "size_bytes": int(entry.find("size_bytes") or 0),
                "accuracy": _find_accuracy(entry),
                "agreement": entry.find("agreement", HELD_OUT),
                "latency_ms_p50": entry.find("latency_ms_p50"),
                "chosen_for": list(entry.chosen_for),
            }
            for entry in receipt.artifacts
        ],
        "channels": dict.fromkeys(_list_targets(receipt))
        | {name: cleared.artifact for name, cleared in receipt.channels.items()},
    }


def summarize_clashes(recipe: Recipe, clashes: Sequence[RecipeFault]) -> dict[str, Any]:
    """Return the same fields for a run that channels stopped before it began: it has no receipt.

    Args:
        recipe: What was to be carried out.
        clashes: Channels of another task.
    """
    nothing = dict.fromkeys(("run", "model_id", "receipt", "report"))
    return {
        "status": "stopped",
        "stopped_at": "recipe",
        "reasons": [str(clash) for clash in clashes],
        **nothing,
        "warnings": [],
        "metrics": {},
        "datasets": dict.fromkeys(("raw", "prepared")),
        "artifacts": [],
        "channels": dict.fromkeys(recipe.targets),
    }


def list_warnings(receipt: Receipt) -> list[dict[str, str]]:
    """Return what gates found wanting without stopping the run: gate, what about, message."""
    reports = [GateReport.model_validate(gate) for gate in receipt.gates]
    return [
        {"gate": report.stage, "about": check.about, "message": check.message}
        for report in reports
        for check in list_noted(report)
    ]


def list_metrics(receipt: Receipt) -> dict[str, JsonValue]:
    """Return a receipt's figures under the flat names that programs read them by."""
    metrics: dict[str, JsonValue] = {}
    for figure in receipt.figures:
        prefix = "validation_" if figure.split == VALIDATION else ""
        metrics[prefix + figure.name] = figure.value
    if (training := receipt.training) is not None:
        metrics["epochs"] = training.epochs
        metrics["training_s"] = training.seconds
        metrics["precision"] = training.precision
        metrics["threads"] = training.threads
    for baseline, figures in receipt.baselines.items():
        for figure in figures:
            metrics[f"{baseline.replace(' ', '_')}_{figure.name}"] = figure.value
    for channel, figures in receipt.champions.items():
        name = receipt.headline
        metrics[f"champion_{name}_{channel}"] = find_value(figures, name)
    return metrics


def _find_accuracy(entry: ArtifactRecord) -> float | None:
    """Return how often an artifact is right on held-out rows; None where it answers with errors."""
    score = entry.find_score(HELD_OUT)
    return score.value if score is not None and score.direction == "higher" else None


def _refer(receipt: Receipt, name: str) -> str | None:
    """`name@number` of a data version; None if the run did not get there."""
    dataset = receipt.datasets.get(name)
    return dataset.ref if dataset is not None else None


def _list_targets(receipt: Receipt) -> list[str]:
    """Return the names of the channels that the recipe wanted."""
    document = receipt.recipe["document"]
    targets = document["targets"] if isinstance(document, dict) else {}
    return list(targets) if isinstance(targets, dict) else []


def show_timings(
    receipt: Receipt, durations_s: Mapping[str, float], imports_s: float, total_s: float
) -> str:
    """Return a table of where the time went, stage by stage, and what of it is Lepton's own.

    Lepton's own is all that is neither training, nor the Prefect server's start, nor imports.

    Args:
        receipt: The run's receipt.
        durations_s: Wall time of each stage, in seconds.
        imports_s: Time that this process spent importing.
        total_s: Wall time of the whole command.
    """
    others = {
        "training": receipt.training.seconds if receipt.training else 0.0,
        "Prefect server": durations_s.get("prefect server", 0.0),
        "imports": imports_s + (find_value(receipt.figures, "worker_imports_s") or 0.0),
    }
    rows = [("imports, this process", imports_s), *durations_s.items()]
    rows.append(("other", total_s - imports_s - sum(durations_s.values())))
    lines = [f"  {name:<24}{seconds:8.2f} s" for name, seconds in rows]
    lines += ["  " + "-" * 34, f"  {'total':<24}{total_s:8.2f} s"]
    lines += [f"  {'- ' + name:<24}{seconds:8.2f} s" for name, seconds in others.items()]
    lines.append(f"  {'= own overhead':<24}{total_s - sum(others.values()):8.2f} s")
    return "\n".join(lines)
