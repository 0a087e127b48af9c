"""Models in words and as plain data: one, a list of them, several side by side."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from storage.base.figures import Figure, find_figure
from tasks.forms.streams import HELD_OUT
from tasks.release.shelf import ShelfModel
from tasks.release.stays import Stay
from tasks.rendering.text import format_bytes, format_minute, name_figure, show_figure
from tasks.runtime.outcome_base import Result


class FigureRow(Result):
    """One figure of several models.

    Attributes:
        name: What is measured.
        split: The rows that it is of.
        figures: Of each model; None where it was not measured.
    """

    name: str
    split: str
    figures: tuple[Figure | None, ...]


class Comparison(Result):
    """Models side by side.

    Attributes:
        models: Their ids.
        recipes: Names of their recipes.
        rows: Their figures, the held-out ones first.
        datasets: Of each model the data versions, `name@number`, by what they were to it.
        same_rows: Whether all were judged on the same data version.
    """

    models: tuple[str, ...]
    recipes: tuple[str, ...]
    rows: tuple[FigureRow, ...]
    datasets: tuple[dict[str, str], ...]
    same_rows: bool


def describe_model(model: ShelfModel) -> dict[str, Any]:
    """Return a model as plain data, for programs."""
    receipt = model.receipt
    return {
        "model_id": model.id,
        "recipe": model.recipe,
        "status": receipt.status,
        "created_at": receipt.created_at.isoformat(),
        "receipt": receipt.id,
        "run": receipt.run,
        "headline": model.headline.model_dump() if model.headline is not None else None,
        "figures": [figure.model_dump() for figure in receipt.figures],
        "datasets": {name: record.model_dump() for name, record in receipt.datasets.items()},
        "artifacts": [
            {"name": each.name, "sha256": each.sha256, "size_bytes": each.find("size_bytes")}
            for each in receipt.artifacts
        ],
        "stays": [stay.model_dump(mode="json") for stay in model.stays],
        "tags": list(model.tags),
        "retired": model.retired.model_dump(mode="json") if model.retired is not None else None,
        "present": model.present,
    }


def tell_model(model: ShelfModel, at: datetime | None = None) -> str:
    """Return a model as one line: where it is live, or was at a time."""
    stays = model.stays if at is not None else model.live
    said = [f"{stay.channel} release {stay.number} ({stay.artifact})" for stay in stays]
    said += [f"[{tag}]" for tag in model.tags]
    if model.retired is not None:
        said.append("retired")
    if not model.present:
        said.append("files removed")
    headline = "" if model.headline is None else _tell_figure(model.headline)
    state = model.receipt.status
    return (
        f"{model.id[:12]}  {model.recipe}  {format_minute(model.receipt.created_at)}  {state}  "
        f"{headline}  {', '.join(said)}"
    ).rstrip()


def show_model(model: ShelfModel) -> str:
    """Return all that is known of a model, line by line."""
    receipt = model.receipt
    lines = [
        f"model     {model.id}",
        f"recipe    {model.recipe}, {receipt.status} {format_minute(receipt.created_at)} UTC, run "
        f"{receipt.run}",
        f"receipt   {receipt.id}",
    ]
    lines += [
        f"figure    {figure.split or '-':<10} {_tell_figure(figure)}" for figure in _order(model)
    ]
    lines += [
        f"data      {name:<10} {record.ref} digest {record.digest[:12]}"
        for name, record in receipt.datasets.items()
    ]
    lines += [
        f"artifact  {each.name:<10} {format_bytes(each.find('size_bytes'))} sha256 "
        f"{each.sha256[:12]}"
        for each in receipt.artifacts
    ]
    lines += [f"live      {_tell_stay(stay)}" for stay in model.stays]
    lines += [f"tag       {tag}" for tag in model.tags]
    if model.retired is not None:
        said = model.retired
        lines.append(f"retired   {format_minute(said.at)} UTC by {said.author}: {said.reason}")
    if not model.present:
        lines.append("files     removed; the receipt stays")
    return "\n".join(lines)


def compare_models(models: Sequence[ShelfModel]) -> Comparison:
    """Put the figures of models side by side."""
    names = dict.fromkeys((each.name, each.split) for model in models for each in _order(model))
    judged = {
        tuple(sorted((name, record.digest) for name, record in model.receipt.datasets.items()))
        for model in models
    }
    ordered = sorted(names, key=lambda name: name[1] != HELD_OUT)
    return Comparison(
        models=tuple(model.id for model in models),
        recipes=tuple(model.recipe for model in models),
        rows=tuple(
            FigureRow(
                name=name,
                split=split,
                figures=tuple(find_figure(each.receipt.figures, name, split) for each in models),
            )
            for name, split in ordered
        ),
        datasets=tuple(
            {name: record.ref for name, record in model.receipt.datasets.items()}
            for model in models
        ),
        same_rows=len(judged) == 1,
    )


def show_comparison(found: Comparison) -> str:
    """Return models side by side as a table of text."""
    rows = [["model", "", *(model[:12] for model in found.models)]]
    rows.append(["recipe", "", *found.recipes])
    rows += [
        [
            name_figure(row.name),
            row.split,
            *("-" if each is None else _show_figure(each) for each in row.figures),
        ]
        for row in found.rows
    ]
    rows += [
        ["data", name, *(refs.get(name, "-") for refs in found.datasets)]
        for name in dict.fromkeys(name for refs in found.datasets for name in refs)
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    if not found.same_rows:
        lines.append(
            "the models were not judged on the same data: their figures differ by that, too"
        )
    return "\n".join(lines)


def _order(model: ShelfModel) -> list[Figure]:
    """Return a model's figures on rows, the headline first, held-out ones before others."""
    figures = [figure for figure in model.receipt.figures if figure.split]
    first = model.receipt.headline
    return sorted(figures, key=lambda each: (each.split != HELD_OUT, each.name != first))


def _tell_figure(figure: Figure) -> str:
    return f"{name_figure(figure.name)} {_show_figure(figure)}"


def _show_figure(figure: Figure) -> str:
    """Return a figure with its interval, where it has one."""
    if figure.interval is None:
        return show_figure(figure)
    ends = (show_figure(figure.model_copy(update={"value": end})) for end in figure.interval)
    return f"{show_figure(figure)} [{', '.join(ends)}]"


def _tell_stay(stay: Stay) -> str:
    until = "now" if stay.until is None else f"{format_minute(stay.until)} UTC"
    return (
        f"{stay.channel} release {stay.number} ({stay.artifact}), "
        f"{format_minute(stay.since)} UTC to {until}"
    )
