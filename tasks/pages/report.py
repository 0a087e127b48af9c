"""The run's page: filled from what the stages handed on and from the signed receipt, written as one offline file."""

import json
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from gates.engine.report import GateReport
from lightning_modules.specs.objectives import OBJECTIVES, find_direction
from lightning_modules.specs.samples import ImageSample
from storage.base.figures import Figure
from storage.base.store import Store
from storage.records.receipt_files import SignedReceipt
from storage.records.receipts import ArtifactRecord, Receipt, StartRecord
from storage.sources.base import LISTED_FILES
from tasks.data.open_versions import iter_rows, open_version
from tasks.forms.streams import HELD_OUT, VALIDATION
from tasks.pages.answer_plots import pick_forecasts, pick_scatter
from tasks.pages.gate_report import write_gate_pages
from tasks.pages.parts.page_data import (
    Candidate,
    Channel,
    Comparison,
    Confusion,
    CurvePoint,
    Dataset,
    Gate,
    Metric,
    ReceiptPart,
    RunPage,
    Sample,
    Source,
    Stage,
)
from tasks.pages.parts.pictures import encode_picture
from tasks.pages.parts.render import render_run_page
from tasks.pages.parts.text import format_number, format_rate, name_figure
from tasks.runtime.outcomes import (
    Collected,
    Compressed,
    Evaluated,
    Outcome,
    Prepared,
    Promoted,
    RunRecord,
    StageRecord,
    Trained,
)
from tasks.training.answers import read_predictions

WRONG_SHOWN, RIGHT_SHOWN = 18, 12
RATES = frozenset(figure.name for figure in OBJECTIVES.find("classes").list_figures(2))
HEADLINES = 2


def report_path(run: str) -> str:
    """Path of a run's page in its workspace."""
    return f"reports/{run}/report.html"


def curve_path(run: str) -> str:
    """Path of a run's curve as JSON, the points of `tasks.runtime.outcomes.CurvePoint`, in its workspace."""
    return f"reports/{run}/curve.json"


def write_report(workspace: Store, record: RunRecord, signed: SignedReceipt) -> str:
    """Writes the page, and the gates' reports and the curve as JSON beside it. Returns the page's address."""
    for report in record.reports:
        workspace.write(
            f"reports/{record.run}/gate-{report.stage}.json",
            report.model_dump_json(indent=2).encode(),
        )
    write_gate_pages(workspace, record)
    if trained := record.find(Trained):
        points = [point.model_dump(mode="json") for point in trained.curve]
        workspace.write(curve_path(record.run), json.dumps(points, indent=2).encode())
    path = report_path(record.run)
    workspace.write(path, render_run_page(_fill_page(workspace, record, signed)).encode())
    return workspace.address(path)


def number_epochs(trained: Trained) -> tuple[CurvePoint, ...]:
    """The curve as people read it: its epochs are counted from 1, as they are while training goes on."""
    return tuple(
        CurvePoint.model_validate({"epoch": point.epoch + 1} | _name_figures(point.figures))
        for point in trained.curve
    )


def _name_figures(figures: Sequence[Figure]) -> dict[str, float | None]:
    """Return the figures of an epoch as its row on the page names them."""
    shown = CurvePoint.model_fields
    named = {f"{figure.split}_{figure.name}".lstrip("_"): figure.value for figure in figures}
    return {name: value for name, value in named.items() if name in shown}


def fill_candidate(entry: ArtifactRecord) -> Candidate:
    """Return one artifact as pages show it."""
    scores: dict[str, float | None] = {}
    for split, prefix in ((VALIDATION, "validation_"), (HELD_OUT, "")):
        if (score := entry.find_score(split)) is not None:
            name = "error" if score.direction == "lower" else "accuracy"
            scores[prefix + name] = score.value
            scores[f"{prefix}agreement"] = entry.find("agreement", split)
    return Candidate(
        name=entry.name,
        file=entry.file,
        sha256=entry.sha256,
        size_bytes=int(entry.find("size_bytes") or 0),
        latency_ms_p50=entry.find("latency_ms_p50"),
        latency_ms_p95=entry.find("latency_ms_p95"),
        chosen_for=entry.chosen_for,
        note=entry.note,
        **scores,
    )


def describe_outcome(outcome: Outcome | None) -> tuple[str, ...]:
    """A few short facts on what a stage handed on, for the terminal, the page and the Prefect UI."""
    match outcome:
        case Collected(source=source, dataset=dataset):
            return (f"{sum(dataset.rows.values()):,} rows from {source.type}", dataset.ref)
        case GateReport(checks=checks, passed=True):
            return (f"{len(checks)} checks passed",)
        case GateReport(reasons=reasons):
            return reasons
        case Prepared(dataset=dataset):
            return (
                ", ".join(f"{split} {rows:,}" for split, rows in dataset.rows.items()),
                dataset.ref,
            )
        case Trained(
            epochs=epochs, best_epoch=best, validation_figures=figures, precision=precision
        ):
            name = "accuracy" if "accuracy" in figures else "error"
            kept = ", as it was begun on another machine" if outcome.precision_kept else ""
            return (
                f"{show_figure(name, figures[name])} validation",
                f"{epochs} epochs, best {best + 1}",
                f"{precision}{kept}",
                *([_name_start(outcome.start)] if outcome.start is not None else []),
            )
        case Evaluated(headline=name, metrics=metrics, baselines=baselines):
            beside = (
                f"{show_figure(name, figures[name])} {by}"
                for by, figures in baselines.items()
                if name in figures
            )
            return (f"{show_figure(name, metrics[name])} held out", *beside)
        case Compressed(channels=channels, candidates=candidates):
            refused = (f"{entry.name} {entry.note}" for entry in candidates if entry.note)
            return (
                *(f"{name}: {cleared.artifact}" for name, cleared in channels.items()),
                *refused,
            )
        case Promoted(releases=releases):
            return tuple(f"{name}: release {number}" for name, number in releases.items())
        case None:
            return ()


def _name_start(start: StartRecord) -> str:
    return (
        f"from model {start.model[:12]}"
        if start.model
        else f"from {start.url}, sha256 {start.sha256[:12]}"
    )


def _fill_page(workspace: Store, record: RunRecord, signed: SignedReceipt) -> RunPage:
    receipt = signed.receipt
    prepared, trained, evaluated = (
        record.find(Prepared),
        record.find(Trained),
        record.find(Evaluated),
    )
    labels = tuple(str(label) for label in _list_labels(receipt))
    document = receipt.recipe["document"]
    return RunPage(
        run=receipt.run,
        recipe=str(receipt.recipe["name"]),
        description=str(document["description"]) if isinstance(document, dict) else "",
        status=receipt.status,
        stopped_at=receipt.stopped_at,
        reasons=receipt.reasons,
        created_at=receipt.created_at,
        stages=tuple(_fill_stage(name, stage, receipt) for name, stage in record.stages.items()),
        gates=tuple(
            Gate.model_validate(report.model_dump(mode="json")) for report in record.reports
        ),
        metrics=_fill_metrics(record, receipt),
        curve=number_epochs(trained) if trained else (),
        best_epoch=trained.best_epoch + 1 if trained else None,
        confusion=Confusion(labels=labels, counts=evaluated.confusion)
        if evaluated and evaluated.confusion
        else None,
        comparison=compare_baselines(evaluated) if evaluated else None,
        forecasts=pick_forecasts(workspace, prepared, evaluated) if prepared and evaluated else (),
        scatter=pick_scatter(workspace, evaluated) if evaluated else None,
        samples=_pick_samples(workspace, record, labels, receipt),
        candidates=tuple(map(fill_candidate, receipt.artifacts)),
        channels=_fill_channels(record, receipt),
        source=Source.model_validate(receipt.source.model_dump(mode="json"))
        if receipt.source
        else None,
        source_cut=receipt.source is not None and len(receipt.source.files) >= LISTED_FILES,
        datasets={
            name: Dataset.model_validate(entry.model_dump())
            for name, entry in receipt.datasets.items()
        },
        receipt=_fill_receipt(signed),
        workspace=workspace.display,
        operand="IMAGE.png"
        if evaluated is None or isinstance(evaluated.sample, ImageSample)
        else "ROWS.csv",
    )


def _list_labels(receipt: Receipt) -> list[Any]:
    document = receipt.recipe["document"]
    data = document["data"] if isinstance(document, dict) else {}
    labels = data["labels"] if isinstance(data, dict) else []
    return labels if isinstance(labels, list) else []


def _fill_stage(name: str, stage: StageRecord, receipt: Receipt) -> Stage:
    is_gate = name.startswith("gate ")
    state = "red" if name == receipt.stopped_at else "green" if is_gate else "done"
    facts = describe_outcome(stage.outcome)
    shown = (
        (f"{(failed := len(stage.outcome.reasons))} check{'' if failed == 1 else 's'} failed",)
        if state == "red" and isinstance(stage.outcome, GateReport)
        else facts
    )
    return Stage.model_validate(
        {"name": name, "state": state, "duration_s": stage.duration_s, "facts": shown}
    )


def _fill_metrics(record: RunRecord, receipt: Receipt) -> tuple[Metric, ...]:
    metrics: list[Metric] = []
    evaluated, trained = record.find(Evaluated), record.find(Trained)
    if evaluated is not None:
        metrics += _fill_figures(evaluated)
    chosen = [fill_candidate(entry) for entry in receipt.artifacts if entry.chosen_for]
    if chosen:
        smallest = min(chosen, key=lambda entry: entry.size_bytes)
        where = ", ".join(smallest.chosen_for)
        metrics.append(
            Metric(
                name="smallest artifact",
                value=smallest.size_bytes,
                kind="bytes",
                note=where,
                headline=True,
            )
        )
        metrics.append(
            Metric(
                name="its latency",
                value=smallest.latency_ms_p50,
                kind="milliseconds",
                note="median, one row",
                headline=True,
            )
        )
    if trained is not None:
        name = "accuracy" if "accuracy" in trained.validation_figures else "error"
        kind: Literal["rate", "plain"] = "rate" if name == "accuracy" else "plain"
        shown = "MAE" if evaluated is not None and evaluated.headline == "mae" else name
        metrics.append(
            Metric(name=f"validation {shown}", value=trained.validation_figures[name], kind=kind)
        )
        metrics.append(
            Metric(
                name="training",
                value=trained.training_s,
                kind="seconds",
                note=f"{trained.epochs} epochs, {trained.precision}",
            )
        )
        metrics.append(Metric(name="parameters", value=trained.parameters, kind="count"))
    return tuple(metrics)


def show_figure(name: str, value: float) -> str:
    """A figure in a few characters: rates as percentages, errors as they are."""
    return format_rate(value) if name in RATES else format_number(value)


def _fill_figures(evaluated: Evaluated) -> list[Metric]:
    """The held-out figures, each beside the best baseline's, and the champions' first one."""
    found = []
    for place, (name, value) in enumerate(evaluated.metrics.items()):
        others = {
            by: figures[name] for by, figures in evaluated.baselines.items() if name in figures
        }
        best = (min if find_direction(name) == "lower" else max)(
            others, key=lambda by: others[by], default=None
        )
        note = f"{best} {show_figure(name, others[best])}" if best is not None else ""
        kind: Literal["rate", "plain"] = "rate" if name in RATES else "plain"
        shown = f"held-out {name_figure(name)}"
        found.append(
            Metric(name=shown, value=value, kind=kind, note=note, headline=place < HEADLINES)
        )
    first = evaluated.headline
    return found + [
        Metric(
            name=f"champion on {champion.channel}",
            value=champion.metrics[first],
            kind="rate" if first in RATES else "plain",
            note="same rows",
        )
        for champion in evaluated.champions
    ]


def compare_baselines(evaluated: Evaluated) -> Comparison:
    """The model beside its baselines."""
    names = tuple(name for name in evaluated.metrics if name != "loss")
    rows = {"model": evaluated.metrics, **evaluated.baselines}
    return Comparison(
        metrics=tuple(map(name_figure, names)),
        rows=tuple(
            (by, tuple(figures.get(name) for name in names)) for by, figures in rows.items()
        ),
        unit="standard deviations of the training rows" if evaluated.standard else "",
    )


def _pick_samples(
    workspace: Store, record: RunRecord, labels: tuple[str, ...], receipt: Receipt
) -> tuple[Sample, ...]:
    """Held-out rows as pictures: the most confident mistakes first, then the least sure of the right ones."""
    prepared, evaluated = record.find(Prepared), record.find(Evaluated)
    if prepared is None or evaluated is None or not isinstance(evaluated.sample, ImageSample):
        return ()
    predictions = read_predictions(workspace, evaluated.predictions_path, evaluated.predictions)
    predicted = predictions.predicted
    confidence = predictions.values.max(axis=1)
    wrong = np.flatnonzero(predicted != predictions.truth)
    right = np.flatnonzero(predicted == predictions.truth)
    worst = wrong[np.argsort(-confidence[wrong])][:WRONG_SHOWN]
    chosen = [*worst, *right[np.argsort(confidence[right])][:RIGHT_SHOWN]]
    pictures = _read_images(
        workspace, prepared, {int(predictions.row_id[index]) for index in chosen}
    )
    low, high = _value_range(receipt)
    return tuple(
        Sample(
            picture=encode_picture(pictures[int(predictions.row_id[index])], (low, high)),
            truth=labels[int(predictions.truth[index])],
            predicted=labels[int(predicted[index])],
            confidence=float(confidence[index]),
            name=f"row {int(predictions.row_id[index]):016x}",
        )
        for index in chosen
    )


def _value_range(receipt: Receipt) -> tuple[float, float]:
    document: Any = receipt.recipe["document"]
    low, high = document["data"]["image"]["value_range"]
    return float(low), float(high)


def _read_images(
    workspace: Store, prepared: Prepared, wanted: set[int]
) -> dict[int, np.ndarray[Any, Any]]:
    """Images of held-out rows by row id, (C, H, W) each, one shard in memory at a time."""
    version = open_version(workspace, prepared.dataset)
    found: dict[int, np.ndarray[Any, Any]] = {}
    for rows in iter_rows(version, "held_out", ("row_id", "image")):
        for index in np.flatnonzero(np.isin(rows["row_id"], list(wanted))):
            found[int(rows["row_id"][index])] = rows["image"][index].copy()
    return found


def _fill_channels(record: RunRecord, receipt: Receipt) -> dict[str, Channel]:
    promoted = record.find(Promoted)
    releases = promoted.releases if promoted else {}
    return {
        name: Channel(artifact=cleared.artifact, sha256=cleared.sha256, release=releases.get(name))
        for name, cleared in receipt.channels.items()
    }


def _fill_receipt(signed: SignedReceipt) -> ReceiptPart:
    receipt = signed.receipt
    files = receipt.model.files if receipt.model else {}
    return ReceiptPart.model_validate(
        {
            "id": signed.id,
            "key_id": ", ".join(signature["keyid"] for signature in signed.signatures),
            "model_id": receipt.model.id if receipt.model else None,
            "recipe_digest": receipt.recipe["digest"],
            "code_version": receipt.lepton.version,
            "code_digest": receipt.lepton.digest,
            "commit": receipt.lepton.commit,
            "packages": receipt.packages,
            "machine": receipt.machine,
            "files": {name: file.model_dump() for name, file in files.items()},
        }
    )
