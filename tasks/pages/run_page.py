"""The run's page, filled from what the stages handed on and from the signed receipt."""

from dataclasses import fields
from typing import Any

from lightning_modules.specs.model import ModelSpec
from storage.base.store import Store
from storage.records.receipt_files import SignedReceipt
from storage.records.receipts import Receipt
from storage.sources.base import LISTED_FILES
from tasks.objectives.base import AnswerParts
from tasks.pages.data_profile import profile_data
from tasks.pages.held_out import pick_parts
from tasks.pages.metrics import list_metrics
from tasks.rendering.answers import Comparison, Confusion
from tasks.rendering.comparison import compare_baselines
from tasks.rendering.costs import ErrorCosts, price_errors
from tasks.rendering.page_data import Channel, ReceiptPart, RunPage, Stage
from tasks.runtime.model_outcomes import Evaluated, Trained
from tasks.runtime.outcomes import Compressed, Promoted
from tasks.runtime.race_outcome import Chosen
from tasks.runtime.run_record import RunRecord, StageRecord


def fill_page(
    workspace: Store, record: RunRecord, receipt: Receipt, signed: SignedReceipt | None
) -> RunPage:
    """Return the page of a run.

    Args:
        workspace: Where the run wrote.
        record: What its stages handed on.
        receipt: What it has earned.
        signed: The same, signed; None: a person is still asked.
    """
    return RunPage(
        run=receipt.run,
        recipe=str(receipt.recipe["name"]),
        description=_describe(receipt),
        status=receipt.status if signed else "waiting",
        stopped_at=receipt.stopped_at,
        reasons=receipt.reasons,
        created_at=receipt.created_at,
        plan=record.plan,
        stages=tuple(_fill_stage(name, stage, receipt) for name, stage in record.stages.items()),
        gates=record.reports,
        profile=profile_data(workspace, record),
        metrics=list_metrics(record, receipt),
        candidates=receipt.artifacts,
        not_made=receipt.not_made,
        channels=_fill_channels(record, receipt),
        source=receipt.source,
        source_cut=receipt.source is not None and len(receipt.source.files) >= LISTED_FILES,
        datasets=receipt.datasets,
        receipt=_fill_receipt(signed) if signed else None,
        workspace=workspace.display,
        **_fill_model(workspace, record),
    )


def _fill_model(workspace: Store, record: RunRecord) -> dict[str, Any]:
    """Return the parts on the model and its answers, as far as the run got."""
    trained, evaluated = record.find(Trained), record.find(Evaluated)
    compressed = record.find(Compressed)
    parts = pick_parts(workspace, record) or AnswerParts()
    chosen = record.find(Chosen)
    return {
        "race": chosen.part if chosen else None,
        "curve": trained.numbered_curve if trained else (),
        "best_epoch": trained.best_epoch + 1 if trained else None,
        "confusion": _fill_confusion(evaluated),
        "costs": _price_errors(record, evaluated),
        "comparison": _fill_comparison(evaluated),
        **{each.name: getattr(parts, each.name) for each in fields(parts)},
        "operand": "ROWS.csv" if compressed and compressed.input.columns else "IMAGE.png",
    }


def _fill_confusion(evaluated: Evaluated | None) -> Confusion | None:
    if evaluated is None or not evaluated.confusion:
        return None
    return Confusion(labels=evaluated.labels, counts=evaluated.confusion)


def _price_errors(record: RunRecord, evaluated: Evaluated | None) -> ErrorCosts | None:
    """Return what wrong answers cost, where the recipe chooses the threshold by that."""
    confusion = _fill_confusion(evaluated)
    document: Any = record.recipe["document"]
    threshold = ModelSpec.model_validate(document["model"]).threshold
    if evaluated is None or confusion is None or threshold is None or threshold.cost is None:
        return None
    cost = threshold.cost
    return price_errors(confusion, evaluated.sample.positive, cost.missed, cost.false_alarm)


def _fill_comparison(evaluated: Evaluated | None) -> Comparison | None:
    if evaluated is None:
        return None
    return compare_baselines(evaluated.figures, evaluated.baselines)


def _describe(receipt: Receipt) -> str:
    document = receipt.recipe["document"]
    return str(document["description"]) if isinstance(document, dict) else ""


def _fill_stage(name: str, stage: StageRecord, receipt: Receipt) -> Stage:
    """Return one link of the chain."""
    outcome = stage.outcome
    word = outcome.word if outcome is not None else "done"
    state = "red" if name == receipt.stopped_at else word
    facts = outcome.summary if outcome is not None else ()
    return Stage(name=name, state=state, duration_s=stage.duration_s, facts=facts)


def _fill_channels(record: RunRecord, receipt: Receipt) -> dict[str, Channel]:
    promoted = record.find(Promoted)
    releases = promoted.releases if promoted else {}
    return {
        name: Channel(artifact=cleared.artifact, sha256=cleared.sha256, release=releases.get(name))
        for name, cleared in receipt.channels.items()
    }


def _fill_receipt(signed: SignedReceipt) -> ReceiptPart:
    receipt = signed.receipt
    return ReceiptPart(
        id=signed.id,
        key_id=", ".join(signature["keyid"] for signature in signed.signatures),
        model_id=receipt.model_id,
        recipe_digest=str(receipt.recipe["digest"]),
        code_version=receipt.lepton.version,
        code_digest=receipt.lepton.digest,
        commit=receipt.lepton.commit,
        packages=receipt.packages,
        machine=receipt.machine,
        files=receipt.model.files if receipt.model else {},
    )
