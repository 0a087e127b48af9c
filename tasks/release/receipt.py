"""From what a run has handed on to its signed receipt."""

from datetime import UTC, datetime

from pydantic import JsonValue

from deployments.targets.trust.keys import KeyRing
from storage.base.figures import Figure
from storage.base.store import Store
from storage.records.receipt_files import SignedReceipt, write_receipt
from storage.records.receipts import DatasetRecord, ModelRecord, Receipt, TrainingRecord
from tasks.runtime.approval_outcome import Approved
from tasks.runtime.errors import StageStopped
from tasks.runtime.figures import measure_cost
from tasks.runtime.model_outcomes import Evaluated, Trained
from tasks.runtime.outcomes import Collected, Compressed, Prepared
from tasks.runtime.provenance import describe_code, describe_machine, describe_packages
from tasks.runtime.race_outcome import Chosen
from tasks.runtime.run_record import RunRecord


def draft_receipt(record: RunRecord, stopped: StageStopped | None = None) -> Receipt:
    """Drafts the receipt of a run as far as it got: cleared for its channels, or stopped.

    Args:
        record: What the stages handed on.
        stopped: What ended the run; None clears it, which takes a green report of every gate.

    Raises:
        StageStopped: The run is to be cleared, but a gate's green report is missing.
    """
    if stopped is None:
        _require_green(record)
    collected, compressed = record.find(Collected), record.find(Compressed)
    evaluated, approved = record.find(Evaluated), record.find(Approved)
    return Receipt(
        run=record.run,
        flow=record.flow,
        required_gates=record.required_gates,
        status="stopped" if stopped else "promoted",
        stopped_at=stopped.stage if stopped else None,
        reasons=stopped.reasons if stopped else (),
        created_at=datetime.now(UTC),
        lepton=describe_code(),
        packages=describe_packages(),
        machine=describe_machine(),
        recipe=_describe_recipe(record),
        source=collected.source if collected else None,
        datasets=_list_datasets(record),
        gates=tuple(report.model_dump(mode="json") for report in record.reports),
        model=_describe_model(record),
        artifacts=compressed.candidates if compressed else (),
        not_made=compressed.not_made if compressed else {},
        channels=compressed.channels if compressed and not stopped else {},
        training=_describe_training(record),
        headline=evaluated.headline if evaluated else "",
        figures=(*list_model_figures(record), *_list_run_figures(record)),
        baselines=evaluated.baselines if evaluated else {},
        champions=_list_champions(evaluated) if evaluated else {},
        timings={name: round(stage.duration_s, 3) for name, stage in record.stages.items()},
        resumptions=tuple(resumption.model_dump(mode="json") for resumption in record.resumptions),
        approval=approved.answer.model_dump(mode="json") if approved else None,
    )


def _describe_recipe(record: RunRecord) -> dict[str, JsonValue]:
    """Return the recipe, with the network that a race has chosen for it, if there was one."""
    chosen = record.find(Chosen)
    if chosen is None:
        return record.recipe
    trained: dict[str, JsonValue] = {
        "name": chosen.name,
        "model": chosen.model.model_dump(mode="json", exclude_defaults=True),
        "train": chosen.train.model_dump(mode="json", exclude_defaults=True),
    }
    return {**record.recipe, "chosen": trained}


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


def _list_datasets(record: RunRecord) -> dict[str, DatasetRecord]:
    stages = {"raw": record.find(Collected), "prepared": record.find(Prepared)}
    return {name: result.dataset for name, result in stages.items() if result is not None}


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
        objective=trained.sample.objective,
        start=trained.start,
        parameters=trained.parameters,
        files=compressed.files if compressed else {},
    )


def _describe_training(record: RunRecord) -> TrainingRecord | None:
    trained = record.find(Trained)
    if trained is None:
        return None
    return TrainingRecord(
        epochs=trained.epochs,
        best_epoch=trained.best_epoch,
        seconds=round(trained.training_s, 3),
        precision=trained.precision,
        threads=trained.threads,
    )


def list_model_figures(record: RunRecord) -> tuple[Figure, ...]:
    """Return the model's figures on validation and held-out rows, as far as the run got."""
    trained, evaluated = record.find(Trained), record.find(Evaluated)
    figures = trained.validation_figures if trained else ()
    return (*figures, *(evaluated.figures if evaluated else ()))


def _list_run_figures(record: RunRecord) -> tuple[Figure, ...]:
    """Return how long the run waited for the imports of its training processes."""
    waits_s = [
        outcome.start_s
        for outcome in (record.find(Trained), record.find(Compressed))
        if outcome is not None
    ]
    return (measure_cost("worker_imports_s", round(sum(waits_s), 3), "s"),) if waits_s else ()


def _list_champions(evaluated: Evaluated) -> dict[str, tuple[Figure, ...]]:
    return {champion.channel: champion.figures for champion in evaluated.champions}


def issue_receipt(workspace: Store, receipt: Receipt) -> SignedReceipt:
    """Signs a receipt with this machine's key and writes it to the workspace."""
    return write_receipt(workspace, receipt, KeyRing().receipt_signer().sign)
