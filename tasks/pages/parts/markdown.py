"""Short Markdown (CommonMark with GitHub's tables) for the artifacts that stages leave in Prefect.

Every string is untrusted: punctuation is escaped, so that a label or a file name can make no link,
picture or markup.
"""

import re
from collections.abc import Iterable, Sequence

from tasks.pages.parts.page_data import (
    Candidate,
    Comparison,
    Confusion,
    CurvePoint,
    Dataset,
    Gate,
    Metric,
)
from tasks.pages.parts.render import show_metric
from tasks.pages.parts.text import (
    clean_text,
    format_bytes,
    format_milliseconds,
    format_number,
    format_rate,
    shorten_digest,
    show_limit,
    show_observed,
    show_rule,
)

_PUNCTUATION = re.compile(r"([\\`*_{}\[\]()#+.!|~$^=-])")
_ENTITIES = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "'": "&#39;",
    ":": "&#58;",
    "@": "&#64;",
}
_SIGNS = {"passed": "✓", "failed": "✕", "warning": "△", "quarantined": "△", "not applicable": "○"}
_MAX_ROWS = 20


def escape_markdown(value: object) -> str:
    """Return a value as text in which Markdown sees no markup: one line, punctuation escaped, no URL recognised."""
    line = " ".join(str(clean_text(str(value))).split())
    entities = "".join(_ENTITIES.get(character, character) for character in line)
    return re.sub(r"&#\d+;|&\w+;|[^&]+", _escape_part, entities)


def _escape_part(match: re.Match[str]) -> str:
    part = match[0]
    return part if part.startswith("&") else _PUNCTUATION.sub(r"\\\1", part)


def render_gate_markdown(gate: Gate, page: str = "") -> str:
    """Return one gate's report: the verdict, what failed first, every failure with its rows, and the table of all checks.

    Args:
        gate: The report.
        page: Where the gate's page is once the run has ended; left out if empty.
    """
    passed = sum(check.verdict == "passed" for check in gate.checks)
    verdict = (
        f"**{'green' if gate.passed else 'red'}**: {passed} of {len(gate.checks)} checks passed"
    )
    parts = [f"## Gate {escape_markdown(gate.stage)}\n\n{verdict}"]
    for word, checks in (("First to fail", gate.failed), ("First warning", gate.noted)):
        parts += [f"{word}: **{escape_markdown(checks[0].about)}**"] if checks else []
    for check in (*gate.failed, *gate.noted):
        rows = "".join(f"\n  - {escape_markdown(row)}" for row in check.rows[:_MAX_ROWS])
        parts.append(f"- {escape_markdown(check.message or check.about)}{rows}")
    ordered = sorted(gate.checks, key=lambda check: check.passed)
    table = [
        (
            check.about,
            show_rule(check.rule),
            show_observed(check.observed) if check.applicable else "",
            show_limit(check.limit) if check.applicable else "",
            f"{_SIGNS[check.verdict]} {check.verdict}",
        )
        for check in ordered
    ]
    parts.append(_tabulate(("check", "rule", "observed", "limit", "verdict"), table))
    parts += (
        [f"The gate's page, with offending rows drawn: {escape_markdown(page)}"] if page else []
    )
    return _assemble(parts)


def render_metrics_markdown(metrics: Sequence[Metric], title: str = "Metrics") -> str:
    """Return figures as a table."""
    rows = [(metric.name, show_metric(metric), metric.note) for metric in metrics]
    return _assemble([f"## {escape_markdown(title)}", _tabulate(("figure", "value", "note"), rows)])


def render_candidates_markdown(candidates: Sequence[Candidate]) -> str:
    """Return the artifacts side by side, and which channel each was chosen for."""
    errors = any(candidate.validation_error is not None for candidate in candidates)
    rows = [
        (
            candidate.name,
            format_bytes(candidate.size_bytes),
            format_milliseconds(candidate.latency_ms_p50),
            _show_error(candidate)
            if errors
            else _show_rate(candidate.accuracy, candidate.validation_accuracy),
            _show_rate(candidate.agreement, candidate.validation_agreement),
            ", ".join(candidate.chosen_for) or candidate.note or "not chosen",
            shorten_digest(candidate.sha256),
        )
        for candidate in candidates
    ]
    head = (
        "artifact",
        "size",
        "latency p50",
        "error" if errors else "accuracy",
        "agreement",
        "chosen for",
        "sha256",
    )
    return _assemble(["## Candidates", _tabulate(head, rows)])


def _show_error(candidate: Candidate) -> str:
    held_out, validation = candidate.error, candidate.validation_error
    return (
        format_number(held_out)
        if held_out is not None
        else f"{format_number(validation)} (validation)"
    )


def _show_rate(held_out: float | None, validation: float | None) -> str:
    return (
        format_rate(held_out) if held_out is not None else f"{format_rate(validation)} (validation)"
    )


def render_dataset_markdown(dataset: Dataset, title: str = "Dataset") -> str:
    """Return a version of a dataset: its digest and the rows of each split."""
    rows = [(split or "rows", format_number(count)) for split, count in dataset.rows.items()]
    named = f"{escape_markdown(dataset.name)}&#64;{dataset.number}, digest {escape_markdown(dataset.digest)}"
    return _assemble([f"## {escape_markdown(title)}", named, _tabulate(("split", "rows"), rows)])


def render_training_markdown(
    curve: Sequence[CurvePoint], best_epoch: int | None, most: int = 12
) -> str:
    """Return the last epochs and the one that was kept."""
    errors = any(point.validation_error is not None for point in curve)
    shown = [point for point in curve if point.epoch == best_epoch or point in curve[-most:]]
    rows = [
        (
            f"{point.epoch}{' (kept)' if point.epoch == best_epoch else ''}",
            format_number(point.train_loss),
            format_number(point.validation_loss),
            format_number(point.validation_error)
            if errors
            else format_rate(point.validation_accuracy),
        )
        for point in shown
    ]
    head = (
        "epoch",
        "training loss",
        "validation loss",
        "validation error" if errors else "validation accuracy",
    )
    return _assemble(["## Training", f"{len(curve)} epochs", _tabulate(head, rows)])


def render_confusion_markdown(confusion: Confusion, most: int = 16) -> str:
    """Return the confusion matrix, truth down and answer across; empty if the classes are too many for a table."""
    if len(confusion.labels) > most:
        return ""
    rows = [
        (label, *(format_number(count) for count in row))
        for label, row in zip(confusion.labels, confusion.counts, strict=True)
    ]
    return _assemble(["## Confusion", _tabulate(("truth / answer", *confusion.labels), rows)])


def render_comparison_markdown(comparison: Comparison) -> str:
    """Return the model's figures beside those of simpler means."""
    rows = [
        (name, *(format_number(value) for value in figures)) for name, figures in comparison.rows
    ]
    unit = f"Errors in {escape_markdown(comparison.unit)}." if comparison.unit else ""
    return _assemble(
        ["## Beside simpler means", unit, _tabulate(("answered by", *comparison.metrics), rows)]
    )


def _tabulate(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; every cell is escaped."""
    lines = [head, *rows]
    written = [f"| {' | '.join(escape_markdown(cell) for cell in line)} |" for line in lines]
    return "\n".join([written[0], f"|{' --- |' * len(head)}", *written[1:]])


def _assemble(parts: Iterable[str]) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"
