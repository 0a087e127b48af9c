"""Formats docs/gates.md: every limit with its default, then every stock expectation."""

from pydantic import BaseModel

from gates.catalogue.entries import Entry
from gates.catalogue.notes import DRIFT, INTRODUCTION, MEMORY, MODEL, QUARANTINE, QUARANTINE_MORE
from gates.model.objectives import OBJECTIVES
from gates.raw.forms import FORMS
from gates.specs.artifact import ArtifactGate
from gates.specs.batch import BatchGate
from gates.specs.drift import DriftGate
from gates.specs.live import LiveGate
from gates.specs.prepared import PreparedGate
from gates.specs.raw import RawGate

_HEAD = "Written by `python -m gates.catalogue docs/gates.md`; do not edit."
_LEFT_OUT = "A section of a recipe's `gates`; whatever is left out has the default."
_KINDS = {
    "exact": "Exact: shards are answered one by one and merged",
    "column": (
        "Exact by another route: one pass over the whole of the columns that it names, up to a "
        "limit of memory"
    ),
    "refused": "Refused by name",
}


def format_page(entries: list[Entry]) -> str:
    """Return the page as Markdown."""
    lines = ["# Gates", "", _HEAD, "", "## Limits", "", _LEFT_OUT, ""]
    sections = list_sections()
    last = [name for name in sections if name.startswith("model")][-1]
    for name, section in sections.items():
        lines += [f"### {name}", "", *_format_limits(section)]
        if note := MODEL if name == last else _find_note(name):
            lines += [note, ""]
    lines += ["## Memory", "", MEMORY, "", "## Stock expectations", "", INTRODUCTION, ""]
    return "\n".join(lines) + "\n" + format_table(entries)


def list_sections() -> dict[str, type[BaseModel]]:
    """Return the classes of limits, by the title of their part of the page."""
    of_models: dict[type[BaseModel], list[str]] = {}
    for objective in OBJECTIVES.rows:
        of_models.setdefault(objective.limits, []).append(objective.name)
    return {
        "raw": RawGate,
        "drift": DriftGate,
        "prepared": PreparedGate,
        **{f"model, of {' and '.join(names)}": limits for limits, names in of_models.items()},
        "artifact": ArtifactGate,
        "live": LiveGate,
        "batch": BatchGate,
    }


def format_table(entries: list[Entry]) -> str:
    """Return the stock expectations as Markdown, grouped by how they are answered."""
    lines: list[str] = []
    for kind, title in _KINDS.items():
        chosen = [entry for entry in entries if entry.kind == kind]
        lines += [f"### {title} ({len(chosen)})", "", "| expectation | why |", "|---|---|"]
        lines += [f"| `{entry.rule}` | {entry.reason.replace('|', '/')} |" for entry in chosen]
        lines.append("")
    return "\n".join(lines)


def _format_limits(section: type[BaseModel]) -> list[str]:
    """Return one row a limit: name, default, meaning."""
    lines = ["| limit | default | what it means |", "|---|---|---|"]
    for limit, field in section.model_fields.items():
        default = show_default(field.get_default(call_default_factory=True))
        lines.append(f"| `{limit}` | {default} | {' '.join((field.description or '').split())} |")
    return [*lines, ""]


def _find_note(section: str) -> str:
    """Return what is said below the limits of a section."""
    if section == "drift":
        return DRIFT
    if section != "raw":
        return ""
    forms = [
        f"of {form.name} " + ", ".join(f"`{name}`" for name in form.row_checks)
        for form in FORMS.rows
    ]
    return f"{QUARANTINE} {'; '.join(forms)}{QUARANTINE_MORE}"


def show_default(value: object) -> str:
    """Return a default as a recipe would state it."""
    if value is None or value in ((), {}):
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)
