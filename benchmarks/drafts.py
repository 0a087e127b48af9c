"""What becomes of data that nobody has described: `lepton new`, then `lepton run`, no edit.

`python -m benchmarks.drafts [--tuned] [NAME ...]` prints a table: promoted, or stopped and why;
minutes of wall and of processor time; the held-out figure, that of the best baseline on the same
rows and, of tables and forecasts, that of a model of scikit-learn tuned on the same training and
validation rows, and how far behind it the draft is.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.draft_cases import CASES, Case
from benchmarks.tuned import Peer, measure_tuned
from flows.errors import FlowError
from flows.recipe.load import load_recipe
from lightning_modules.errors import ModelError
from lightning_modules.specs.measure import find_direction
from storage.base.errors import StorageError

LEPTON = (sys.executable, "-c", "from lepton_ai.cli import main; main()")
TUNED, HEADLINES = "--tuned", ("accuracy", "mae", "auroc")
MOST_S, MOST_TOLD = 1_800, 120
HEADER = ("data", "kind", "outcome", "minutes", "CPU minutes", "figure", "baseline", "tuned")


@dataclass(frozen=True)
class Row:
    """What became of one data set."""

    cells: tuple[str, ...]
    promoted: bool


def main(names: Sequence[str]) -> None:
    """Runs the cases of these names, all without any, and prints the table as it grows."""
    wanted = [name for name in names if name != TUNED]
    known = [case.name for case in CASES]
    if unknown := [name for name in wanted if name not in known]:
        raise SystemExit(
            f"cases ({', '.join(unknown)}) must be known; choose among {', '.join(known)}, "
            f"or name none for all; {TUNED} asks boosting, too"
        )
    chosen = [case for case in CASES if not wanted or case.name in wanted]
    print(show_line(HEADER))
    print(show_line(["---"] * len(HEADER)))
    rows = []
    for case in chosen:
        rows.append(run_case(case, tuned=TUNED in names))
        print(show_line(rows[-1].cells), flush=True)
    print(f"\npromoted: {sum(row.promoted for row in rows)} of {len(rows)}")


def show_line(cells: Sequence[str]) -> str:
    """Return a line of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def run_case(case: Case, *, tuned: bool) -> Row:
    """Drafts a recipe and carries it out, in a folder that is deleted; asks the tuned peer, too.

    Whatever becomes of it is a row, so that the next case runs.
    """
    begun, before = time.monotonic(), measure_children()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        try:
            return draft_and_run(case, Path(folder), begun, before, tuned=tuned)
        except subprocess.TimeoutExpired as error:
            took = f"lepton {error.cmd[len(LEPTON)]} took more than {MOST_S / 60:.0f} minutes"
            return describe(case, "", f"failed: {took}", begun, before)
        except (FlowError, ModelError, StorageError, OSError, ValueError) as error:
            return describe(case, "", f"failed: {error}", begun, before)


def draft_and_run(case: Case, home: Path, begun: float, before: float, *, tuned: bool) -> Row:
    """Drafts a recipe and carries it out in a folder.

    Raises:
        subprocess.TimeoutExpired: One of both took too long; it was ended.
        OSError: The data could not be found or written.
        FlowError: What was drafted or written could not be read.
    """
    drafted = call(home, "new", str(case.find(home)), "--name", case.name, *case.options)
    if drafted.returncode:
        return describe(case, "", f"not drafted: {read_last(drafted)}", begun, before)
    recipe = home / f"{case.name}.yaml"
    kind = load_kind(recipe)
    done = call(home, "run", str(recipe), "--workspace", "w", "--json")
    if not done.stdout.strip():
        return describe(case, kind, f"failed: {read_last(done)}", begun, before)
    summary = json.loads(done.stdout.splitlines()[-1])
    row = describe(case, kind, tell_outcome(summary), begun, before)
    figures = list_figures(summary)
    peer = tell_peer(summary, recipe, home / "w") if tuned and case.tuned else ""
    return Row((*row.cells[:5], *figures, peer), summary["status"] == "promoted")


def load_kind(recipe: Path) -> str:
    """Return the kind of a recipe."""
    return load_recipe(str(recipe)).kind


def read_last(done: subprocess.CompletedProcess[str]) -> str:
    """Return the last line that a command complained in."""
    return (done.stderr.strip().splitlines() or ["no reason"])[-1]


def call(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs `lepton ARGUMENTS` in a folder."""
    environment = {**os.environ, "LEPTON_CONFIG_DIR": str(home / "config")}
    return subprocess.run(
        [*LEPTON, *arguments],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        timeout=MOST_S,
        check=False,
    )


def measure_children() -> float:
    """Return the processor time of all children that have ended, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def tell_outcome(summary: Mapping[str, Any]) -> str:
    """Return whether a model was promoted, or where the run stopped and why."""
    if summary["status"] == "promoted":
        return "promoted"
    reason = next(iter(summary["reasons"]), "")
    return cut_cell(f"stopped at {summary['stopped_at']}: {reason}")


def cut_cell(text: str) -> str:
    """Return a text as short as a cell, without what would end it."""
    return " ".join(text.replace("|", "/").split())[:MOST_TOLD]


def describe(case: Case, kind: str, told: str, begun: float, before: float) -> Row:
    """Return a row without figures."""
    minutes = f"{(time.monotonic() - begun) / 60:.1f}"
    used = f"{(measure_children() - before) / 60:.1f}"
    return Row((case.name, kind, cut_cell(told), minutes, used, "", "", ""), promoted=False)


def list_figures(summary: Mapping[str, Any]) -> tuple[str, str]:
    """Return the headline figure, and that of the best baseline on the same rows."""
    metrics = summary["metrics"]
    name = next((key for key in HEADLINES if isinstance(metrics.get(key), float)), "")
    others = {
        key.removesuffix(f"_{name}"): value
        for key, value in metrics.items()
        if key.endswith(f"_{name}") and not key.startswith(("validation_", "champion_"))
        if isinstance(value, float)
    }
    if not name or not others:
        return f"{name} {metrics[name]:.4g}" if name else "", ""
    better = min if find_direction(name) == "lower" else max
    best = better(others, key=lambda key: others[key])
    return f"{name} {metrics[name]:.4g}", f"{others[best]:.4g} {best}"


def tell_peer(summary: Mapping[str, Any], recipe: Path, workspace: Path) -> str:
    """Return the figure of a model that was tuned on the rows of the run, and the draft beside it.

    It is the one that the recipe chooses by, where a rare class is asked for.
    """
    metrics = summary["metrics"]
    asked = load_recipe(str(recipe)).train.select_by
    names = (asked, *HEADLINES) if asked == "average_precision" else HEADLINES
    name = next((key for key in names if isinstance(metrics.get(key), float)), None)
    if name is None:
        return ""
    return compare(name, metrics[name], measure_tuned(str(recipe), name, workspace))


def compare(name: str, own: float, peer: Peer) -> str:
    """Return the figure of a tuned model, and by how much of it the draft is behind it."""
    behind = (own / peer.figure - 1) * (1 if find_direction(name) == "lower" else -1)
    told = f"{behind:.1%} behind" if behind > 0 else f"{-behind:.1%} ahead"
    return f"{name} {peer.figure:.4g} {peer.name}: {told}"


if __name__ == "__main__":
    main(sys.argv[1:])
