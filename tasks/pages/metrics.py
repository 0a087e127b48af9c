"""The figures of the run's page: the model's, its smallest artifact's, and the training's."""

from collections.abc import Iterator
from typing import Literal

from storage.base.figures import Figure, find_value
from storage.records.receipts import Receipt
from tasks.rendering.comparison import find_best_baseline
from tasks.rendering.page_data import Metric
from tasks.rendering.text import count_digits, name_figure, show_figure
from tasks.runtime.model_outcomes import Evaluated, Trained
from tasks.runtime.run_record import RunRecord

HEADLINES = 2
"""How many of the model's figures stand at the top of the page."""


def list_metrics(record: RunRecord, receipt: Receipt) -> tuple[Metric, ...]:
    """Return the figures of a run as far as it got, the most important first."""
    evaluated, trained = record.find(Evaluated), record.find(Trained)
    metrics: list[Metric] = []
    if evaluated is not None:
        metrics += _list_held_out(evaluated)
    metrics += _list_artifact(receipt)
    if trained is not None:
        metrics += _list_training(trained, evaluated)
    return tuple(metrics)


def _list_held_out(evaluated: Evaluated) -> Iterator[Metric]:
    """Yield the held-out figures, each beside the best baseline's, then the champions' headline."""
    for place, figure in enumerate(evaluated.figures):
        best = find_best_baseline(figure, evaluated.baselines)
        digits = count_digits([figure.value, best[1] if best is not None else None])
        yield Metric(
            name=f"held-out {name_figure(figure.name)}",
            value=figure.value,
            kind=_name_kind(figure),
            digits=digits,
            note=f"{best[0]} {_show(figure, best[1], digits)}" if best is not None else "",
            headline=place < HEADLINES,
        )
    for champion in evaluated.champions:
        yield Metric(
            name=f"champion on {champion.channel}",
            value=find_value(champion.figures, evaluated.headline),
            kind=_name_kind(evaluated.score),
            note="same rows",
        )


def _list_artifact(receipt: Receipt) -> Iterator[Metric]:
    """Yield size and latency of the smallest artifact that a channel gets."""
    chosen = [entry for entry in receipt.artifacts if entry.chosen_for]
    if not chosen:
        return
    smallest = min(chosen, key=lambda entry: entry.find("size_bytes") or 0.0)
    yield Metric(
        name="smallest artifact",
        value=smallest.find("size_bytes"),
        kind="bytes",
        note=", ".join(smallest.chosen_for),
        headline=True,
    )
    yield Metric(
        name="its latency",
        value=smallest.find("latency_ms_p50"),
        kind="milliseconds",
        note="median, one row",
        headline=True,
    )


def _list_training(trained: Trained, evaluated: Evaluated | None) -> Iterator[Metric]:
    """Yield what was measured on validation rows, and what training cost."""
    for figure in trained.validation_figures[:1]:
        is_mae = figure.name == "error" and evaluated is not None and evaluated.headline == "mae"
        name = name_figure("mae" if is_mae else figure.name)
        yield Metric(name=f"validation {name}", value=figure.value, kind=_name_kind(figure))
    note = f"{trained.epochs} epochs, {trained.precision}"
    yield Metric(name="training", value=trained.training_s, kind="seconds", note=note)
    yield Metric(name="parameters", value=trained.parameters, kind="count")


def _show(figure: Figure, value: float, digits: int) -> str:
    return show_figure(figure.model_copy(update={"value": value}), digits)


def _name_kind(figure: Figure) -> Literal["rate", "plain"]:
    return "rate" if figure.unit == "1" else "plain"
