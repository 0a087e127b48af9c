"""The section "Recipes" of RESULTS.md as data: a row and a curve a recipe, read back so that what
was not measured stays.

Each row says by itself when, on what and over which seeds it was measured, and which state of the
recipe that was: one that was kept cannot pass for a new one.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.results import make_table

KEY = "recipe"
STATE = "recipe's digest"
COLUMNS = (
    KEY,
    "figure",
    "mean",
    "over the seeds",
    "goal",
    "best baseline",
    "promoted",
    "CPU min a run",
    "seeds",
    "measured",
    "on",
    STATE,
    "settings",
)
NOT_SAID = "not said"
CHANGED = ", since changed"
WIDEST = 16

_CURVE = re.compile(
    r"^### Curve of (?P<recipe>[\w.-]+)\n+(?P<text>.*?)(?=^#|^Published:|\Z)",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Entry:
    """What is known of one recipe.

    Attributes:
        cells: Of its row, by column.
        curve: Its figures by epoch, as Markdown; empty where there is none.
    """

    cells: Mapping[str, str]
    curve: str = ""


def parse_section(text: str) -> dict[str, Entry]:
    """The rows and curves of a section, by recipe; a column that an older form of the table lacks
    is "not said".
    """
    curves = {found["recipe"]: found["text"].strip() for found in _CURVE.finditer(text)}
    entries: dict[str, Entry] = {}
    head: list[str] = []
    for line in text.splitlines():
        if not line.startswith("|"):
            head = []
            continue
        cells = _split_row(line)
        if not head:
            head = cells
        elif head[0] == KEY and not set(cells[0]) <= {"-", ":"}:
            named = dict(zip(head, cells, strict=True))
            entries[cells[0]] = Entry(
                {name: named.get(name, NOT_SAID) for name in COLUMNS}, curves.get(cells[0], "")
            )
    return entries


def merge_entries(
    kept: Mapping[str, Entry],
    new: Mapping[str, Entry],
    order: Sequence[str],
    states: Mapping[str, str],
) -> dict[str, Entry]:
    """The entries of both, new ones in place of kept ones.

    Args:
        kept: Those that the file held.
        new: Those that were measured now.
        order: All recipes that there are; entries of others are dropped.
        states: Digest of each recipe as it is now; a row that was measured on another one says so.
    """
    merged = {
        name: entry for name in order if (entry := new.get(name) or kept.get(name)) is not None
    }
    return {name: _mark(entry, states[name]) for name, entry in merged.items()}


def show_section(entries: Mapping[str, Entry], notes: Mapping[str, str]) -> str:
    """The section's text, which `parse_section` reads.

    Args:
        entries: By recipe.
        notes: What others report on it, by recipe; only those of recipes that have a row are shown.
    """
    rows = [[_guard(entry.cells[name]) for name in COLUMNS] for entry in entries.values()]
    curves = [
        f"### Curve of {name}\n\n{entry.curve}" for name, entry in entries.items() if entry.curve
    ]
    published = [f"- {name}: {notes[name]}" for name in entries if notes.get(name)]
    return "\n\n".join(
        [
            "## Recipes",
            "Held-out rows, read once; figures from the signed receipts. Each row was measured "
            "when, where and over the seeds that it says; those of recipes that were not run "
            "again are kept.",
            make_table(list(COLUMNS), rows),
            *curves,
            "Published:",
            "\n".join(published) or "- nothing to hold beside these",
        ]
    )


def show_curve(curves: Mapping[int, Sequence[Mapping[str, Any]]]) -> str:
    """Validation figures by epoch as a table: a line for the first seed's processor time, then one
    a seed.

    Args:
        curves: The points of a run, in order, by seed: "epoch" from 0 and "figures", `cpu_s`
            of that epoch among them.

    Returns:
        Markdown; empty without points. Of many epochs some are shown, the first and the last
        always.
    """
    curves = {seed: points for seed, points in curves.items() if points}
    if not curves:
        return ""
    first = next(iter(curves.values()))
    figure = next(
        (name for name in ("accuracy", "error") if _find(first[0], name) is not None), "loss"
    )
    longest = max(curves.values(), key=len)
    shown = sorted(
        {round(place * (len(longest) - 1) / max(1, WIDEST - 1)) for place in range(WIDEST)}
    )
    minutes, spent = [], 0.0
    for point in first:
        spent += _find_or_nan(point, "cpu_s", "") / 60
        minutes.append(spent)
    rows = [["CPU min", *(_show(minutes, place, ".1f") for place in shown)]]
    for seed, points in curves.items():
        values = [_find_or_nan(point, figure, "validation") for point in points]
        rows.append([f"seed {seed}", *(_show(values, place, ".4f") for place in shown)])
    table = make_table(["epoch", *(str(place + 1) for place in shown)], rows)
    return (
        f"Validation {figure}; processor time of training and validation, of the first seed.\n\n"
        f"{table}"
    )


def _find(point: Mapping[str, Any], name: str, split: str = "validation") -> float | None:
    """Return the value of a figure of an epoch; None where it was not measured."""
    for figure in point["figures"]:
        if (figure["name"], figure["split"]) == (name, split):
            return None if figure["value"] is None else float(figure["value"])
    return None


def _find_or_nan(point: Mapping[str, Any], name: str, split: str) -> float:
    found = _find(point, name, split)
    return float("nan") if found is None else found


def _show(values: Sequence[float], place: int, form: str) -> str:
    return (
        format(values[place], form)
        if place < len(values) and values[place] == values[place]
        else ""
    )


def _split_row(line: str) -> list[str]:
    return [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]


def _guard(cell: str) -> str:
    return cell.replace("|", r"\|")


def _mark(entry: Entry, state: str) -> Entry:
    measured = entry.cells[STATE].removesuffix(CHANGED)
    changed = measured not in (state, NOT_SAID)
    return replace(entry, cells={**entry.cells, STATE: measured + (CHANGED if changed else "")})
