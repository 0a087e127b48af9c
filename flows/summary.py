"""A finished run in a few words: for programs as JSON, for people as a table of where the time went."""

from typing import Any

from storage.files import Store
from storage.receipts import Receipt
from tasks.report import report_path


def summarize(receipt: Receipt, workspace: str) -> dict[str, Any]:
    """What `lepton run --json` prints; every path is absolute, or a full URL.

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
        "metrics": receipt.metrics,
        "datasets": {name: dataset.ref for name, dataset in receipt.datasets.items()},
        "artifacts": [
            {
                "name": entry.name,
                "path": store.address(f"models/{model.id if model else ''}/{entry.file}"),
                "sha256": entry.sha256,
                "size_bytes": entry.size_bytes,
                "accuracy": entry.accuracy,
                "agreement": entry.agreement,
                "latency_ms_p50": entry.latency_ms_p50,
                "chosen_for": list(entry.chosen_for),
            }
            for entry in receipt.artifacts
        ],
        "channels": {name: cleared.artifact for name, cleared in receipt.channels.items()},
    }


def measure_overhead(receipt: Receipt, imports_s: float, total_s: float) -> str:
    """Where the time went, stage by stage, as a table for people. All times in seconds."""
    training_s = receipt.metrics.get("training_s")
    training = float(training_s) if isinstance(training_s, int | float) else 0.0
    lines = [f"  {name:<16}{duration:8.2f}" for name, duration in receipt.timings.items()]
    lines += [f"  {'imports':<16}{imports_s:8.2f}", f"  {'total':<16}{total_s:8.2f}"]
    lines.append(f"  {'of it training':<16}{training:8.2f}")
    return "\n".join(lines)
