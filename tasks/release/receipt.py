"""From what a run has handed on to its signed receipt."""

from datetime import UTC, datetime

from pydantic import JsonValue

from deployments.targets.trust.keys import KeyRing
from storage.base.store import Store
from storage.records.receipts import ModelRecord, Receipt, SignedReceipt, write_receipt
from tasks.runtime.errors import StageStopped
from tasks.runtime.outcomes import Collected, Compressed, Evaluated, Prepared, RunRecord, Trained
from tasks.runtime.provenance import describe_code, describe_machine, describe_packages


def draft_receipt(record: RunRecord, stopped: StageStopped | None = None) -> Receipt:
    """The receipt of a run as far as it got: cleared for its channels, or stopped.

    Args:
        record: What the stages handed on.
        stopped: What ended the run; None clears it, which takes a green report of every gate.

    Raises:
        StageStopped: The run is to be cleared, but a gate's green report is missing.
    """
    if stopped is None:
        _require_green(record)
    collected, prepared = record.find(Collected), record.find(Prepared)
    compressed = record.find(Compressed)
    stages = {"raw": collected, "prepared": prepared}
    return Receipt(
        run=record.run,
        status="stopped" if stopped else "promoted",
        stopped_at=stopped.stage if stopped else None,
        reasons=stopped.reasons if stopped else (),
        created_at=datetime.now(UTC),
        lepton=describe_code(),
        packages=describe_packages(),
        machine=describe_machine(),
        recipe=record.recipe,
        source=collected.source if collected else None,
        datasets={name: result.dataset for name, result in stages.items() if result is not None},
        gates=tuple(report.model_dump(mode="json") for report in record.reports),
        model=_describe_model(record),
        artifacts=compressed.candidates if compressed else (),
        channels=compressed.channels if compressed and not stopped else {},
        metrics=describe_metrics(record),
        timings={name: round(stage.duration_s, 3) for name, stage in record.stages.items()},
        resumptions=tuple(resumption.model_dump(mode="json") for resumption in record.resumptions),
    )


def _require_green(record: RunRecord) -> None:
    green = {report.stage for report in record.reports if report.passed}
    missing = [name for name in record.required_gates if name not in green]
    if missing:
        raise StageStopped(
            "promote",
            tuple(
                f"gate {name} must be green before promotion; got no green report"
                for name in missing
            ),
        )


def _describe_model(record: RunRecord) -> ModelRecord | None:
    trained, evaluated, compressed = (
        record.find(Trained),
        record.find(Evaluated),
        record.find(Compressed),
    )
    if trained is None or evaluated is None:
        return None
    return ModelRecord(
        id=evaluated.model_id,
        checkpoint=trained.checkpoint.sha256,
        start=trained.start,
        parameters=trained.parameters,
        files=compressed.files if compressed else {},
    )


def describe_metrics(record: RunRecord) -> dict[str, JsonValue]:
    """The run's figures by name, as far as it got. Rates in 0..1, times in seconds."""
    metrics: dict[str, JsonValue] = {}
    if (trained := record.find(Trained)) is not None:
        metrics |= {
            **{f"validation_{name}": value for name, value in trained.validation_figures.items()},
            "epochs": trained.epochs,
            "training_s": round(trained.training_s, 3),
            "precision": trained.precision,
        }
    if (evaluated := record.find(Evaluated)) is not None:
        metrics |= {
            **evaluated.metrics,
            **{
                f"{baseline.replace(' ', '_')}_{name}": value
                for baseline, figures in evaluated.baselines.items()
                for name, value in figures.items()
            },
        }
        headline = evaluated.headline
        metrics |= {
            f"champion_{headline}_{champion.channel}": champion.metrics[headline]
            for champion in evaluated.champions
        }
    started = [
        outcome.start_s for outcome in (trained, record.find(Compressed)) if outcome is not None
    ]
    if started:
        metrics["worker_imports_s"] = round(sum(started), 3)
    return metrics


def issue_receipt(workspace: Store, receipt: Receipt) -> SignedReceipt:
    """Signs a receipt with this machine's key and writes it to the workspace."""
    return write_receipt(workspace, receipt, KeyRing().receipt_signer().sign)
