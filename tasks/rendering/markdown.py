"""Short Markdown (CommonMark with GitHub's tables) for the artifacts that stages leave in Prefect.

Every string is untrusted: punctuation is escaped, so that a label or a file name can make no link,
picture or markup.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote

from gates.engine.report import Check, GateReport
from storage.base.figures import Figure, find_value
from storage.records.curve import CurvePoint
from storage.records.receipts import ArtifactRecord, DatasetRecord
from tasks.rendering.answers import Comparison, Confusion
from tasks.rendering.candidates import name_score, show_agreement, show_score
from tasks.rendering.text import (
    clean_text,
    format_bytes,
    format_milliseconds,
    format_number,
    format_rate,
    name_figure,
    shorten_digest,
    show_limit,
    show_observed,
    show_rule,
)
from tasks.rendering.verdicts import SIGNS, list_failed, list_noted, name_verdict

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
_MAX_ROWS = 20
_IN_LINKS = "%/:?&=#@*+,;~!$'()[]"
"""What an address may hold between the angle brackets of a link, as it is."""


def escape_markdown(value: object) -> str:
    """Return a value as one line in which Markdown sees no markup and no URL."""
    line = " ".join(str(clean_text(str(value))).split())
    entities = "".join(_ENTITIES.get(character, character) for character in line)
    return re.sub(r"&#\d+;|&\w+;|[^&]+", _escape_part, entities)


def _escape_part(match: re.Match[str]) -> str:
    part = match[0]
    return part if part.startswith("&") else _PUNCTUATION.sub(r"\\\1", part)


def render_facts_markdown(title: str, facts: Iterable[str]) -> str:
    """Return a few facts as a list."""
    listed = "\n".join(f"- {escape_markdown(fact)}" for fact in facts)
    return f"## {escape_markdown(title)}\n\n{listed}\n"


def render_gate_markdown(report: GateReport, page: str = "") -> str:
    """Return one gate's report: the verdict, every failure with its rows, and all checks.

    Args:
        report: The report.
        page: Where the gate's page is once the run has ended; left out if empty.
    """
    failed, noted = list_failed(report), list_noted(report)
    passed = sum(name_verdict(check) == "passed" for check in report.checks)
    word = "green" if report.passed else "red"
    parts = [
        f"## Gate {escape_markdown(report.stage)}",
        f"**{word}**: {passed} of {len(report.checks)} checks passed",
    ]
    for words, checks in (("First to fail", failed), ("First warning", noted)):
        parts += [f"{words}: **{escape_markdown(checks[0].about)}**"] if checks else []
    for check in (*failed, *noted):
        rows = "".join(f"\n  - {escape_markdown(row)}" for row in check.rows[:_MAX_ROWS])
        parts.append(f"- {escape_markdown(check.message or check.about)}{rows}")
    table = map(_list_cells, sorted(report.checks, key=lambda check: check.passed))
    parts.append(_tabulate(("check", "rule", "observed", "limit", "verdict"), table))
    if page:
        parts.append(f"The gate's page, with offending rows drawn: {escape_markdown(page)}")
    return _assemble(parts)


def _list_cells(check: Check) -> tuple[str, ...]:
    """Return a check as a line of the table."""
    verdict = name_verdict(check)
    return (
        check.about,
        show_rule(check.rule),
        show_observed(check.observed, check.limit) if check.applicable else "",
        show_limit(check.limit) if check.applicable else "",
        f"{SIGNS[verdict]} {verdict}",
    )


def render_candidates_markdown(candidates: Sequence[ArtifactRecord]) -> str:
    """Return the artifacts side by side, and which channel each was chosen for."""
    rows = [
        (
            candidate.name,
            format_bytes(candidate.find("size_bytes")),
            format_milliseconds(candidate.find("latency_ms_p50")),
            _note_split(*show_score(candidate)),
            _note_split(*show_agreement(candidate)),
            ", ".join(candidate.chosen_for) or candidate.note or "not chosen",
            shorten_digest(candidate.sha256),
        )
        for candidate in candidates
    ]
    score = name_score(candidates)
    head = ("artifact", "size", "latency p50", score, "agreement", "chosen for", "sha256")
    return _assemble(["## Candidates", _tabulate(head, rows)])


def _note_split(value: str, split: str) -> str:
    return value if split == "held out" else f"{value} ({split})"


def render_dataset_markdown(dataset: DatasetRecord, title: str = "Dataset") -> str:
    """Return a version of a dataset: its digest and the rows of each split."""
    rows = [(split or "rows", format_number(count)) for split, count in dataset.rows.items()]
    name, digest = escape_markdown(dataset.name), escape_markdown(dataset.digest)
    named = f"{name}&#64;{dataset.number}, digest {digest}"
    return _assemble([f"## {escape_markdown(title)}", named, _tabulate(("split", "rows"), rows)])


def render_training_markdown(
    curve: Sequence[CurvePoint], best_epoch: int | None, most: int = 12
) -> str:
    """Return the last epochs and the one that was kept."""
    last = curve[-1].figures if curve else ()
    watched = next((figure for figure in last if figure.name not in ("loss", "cpu_s")), None)
    name = watched.name if watched is not None else "accuracy"
    show = format_rate if watched is None or watched.unit == "1" else format_number
    shown = [point for point in curve if point.epoch == best_epoch or point in curve[-most:]]
    rows = [
        (
            f"{point.epoch}{' (kept)' if point.epoch == best_epoch else ''}",
            format_number(point.find("loss", "train")),
            format_number(point.find("loss", "validation")),
            show(point.find(name, "validation")),
        )
        for point in shown
    ]
    head = ("epoch", "training loss", "validation loss", f"validation {name_figure(name)}")
    return _assemble(["## Training", f"{len(curve)} epochs", _tabulate(head, rows)])


def render_confusion_markdown(confusion: Confusion, most: int = 16) -> str:
    """Return the confusion matrix, truth down and answer across; empty for very many classes."""
    if len(confusion.labels) > most:
        return ""
    rows = [
        (label, *(format_number(count) for count in row))
        for label, row in zip(confusion.labels, confusion.counts, strict=True)
    ]
    return _assemble(["## Confusion", _tabulate(("truth / answer", *confusion.labels), rows)])


def render_comparison_markdown(comparison: Comparison) -> str:
    """Return the model's figures beside those of its baselines."""
    rows = [
        (name, *(format_number(value) for value in figures)) for name, figures in comparison.rows
    ]
    unit = f"Errors in {escape_markdown(comparison.unit)}." if comparison.unit else ""
    return _assemble(
        ["## Beside the baselines", unit, _tabulate(("answered by", *comparison.metrics), rows)]
    )


def render_question_markdown(
    question: str,
    page: str,
    figures: Sequence[Figure],
    champions: Mapping[str, tuple[Figure, ...]],
) -> str:
    """Return what a person is asked to decide on: the page's link, and the figures.

    Args:
        question: What is asked, in a sentence.
        page: Address of the run's page, without secrets.
        figures: The new model's, as they are to be shown.
        champions: Figures of what each channel has now, by channel.
    """
    rows = [
        (
            name_figure(figure.name),
            format_number(figure.value),
            "" if figure.interval is None else " to ".join(map(format_number, figure.interval)),
            figure.direction,
            *(format_number(find_value(now, figure.name)) for now in champions.values()),
        )
        for figure in figures
    ]
    head = ("held out", "value", "interval", "better", *(f"now on {name}" for name in champions))
    link = f"The run's page: <{quote(page, safe=_IN_LINKS)}>"
    return _assemble([escape_markdown(question), link, _tabulate(head, rows)])


def _tabulate(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; every cell is escaped."""
    lines = [head, *rows]
    written = [f"| {' | '.join(escape_markdown(cell) for cell in line)} |" for line in lines]
    return "\n".join([written[0], f"|{' --- |' * len(head)}", *written[1:]])


def _assemble(parts: Iterable[str]) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"
