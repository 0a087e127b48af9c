"""What the recipes reach: `python -m benchmarks.recipes` writes the section "Recipes" of
RESULTS.md.

Each recipe is run as a person runs it, `lepton run`, once a seed, in a workspace of its own, and
its figures are those of the signed receipts: on held-out rows that nothing else looked at. Runs
that a gate stopped are rows too. Where the goal is a rival, the rival is measured in the same run,
on the same rows. Rows of recipes that are not run stay as they are.
"""

import argparse
import json
import os
import queue
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from benchmarks.recipe_cases import CASES, SHARED, Case
from benchmarks.recipe_table import (
    KEY,
    STATE,
    Entry,
    merge_entries,
    parse_section,
    show_curve,
    show_section,
)
from benchmarks.results import name_processors, read_section, write_section
from storage.base.store import canonical_json, sha256_bytes
from tasks.pages.report import curve_path
from tasks.runtime.cluster import count_cores

SECTION = "Recipes"
LEPTON = Path(sys.executable).with_name("lepton")
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
        seed: Of its training.
        summary: What `lepton run --json` says.
        curve: Its figures by epoch.
        cpu_s: Processor time of it and of all that it started.
    """

    seed: int
    summary: dict[str, Any]
    curve: list[dict[str, Any]]
    cpu_s: float


def run_recipe(
    case: Case, seed: int, settings: list[str], folder: Path, cores: set[int]
) -> Run | None:
    """Runs a recipe with a seed on some cores, in a folder of its own; None where it failed
    otherwise than by a gate.
    """
    overrides = [
        f"train.seed={seed}",
        *([f"train.preset={case.preset}"] if case.preset else []),
        *settings,
    ]
    if case.data is not None:
        overrides.append(f"source.url={SHARED / case.data}")
    workspace = folder / "workspace"
    command = [str(LEPTON), "run", case.recipe, "--workspace", str(workspace), "--json"]
    with (folder / "said").open("w+") as said:
        process = subprocess.Popen(
            [*command, *(f"--set={override}" for override in overrides)],
            stdout=said,
            env={**os.environ, "LEPTON_CONFIG_DIR": str(folder / "config")},
        )
        os.sched_setaffinity(process.pid, cores)
        # Its processor time and that of all that it waited for, apart from runs beside it.
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        lines = said.read().splitlines()
    if process.returncode not in (0, 3):
        print(f"{case.name}, seed {seed}: ended with status {process.returncode}", file=sys.stderr)
        return None
    summary = json.loads(lines[-1])
    curve = workspace / curve_path(summary["run"])
    return Run(
        seed,
        summary,
        json.loads(curve.read_bytes()) if curve.exists() else [],
        used.ru_utime + used.ru_stime,
    )


def run_seeds(
    case: Case, seeds: list[int], settings: list[str], jobs: int
) -> tuple[list[Run], float | None, float | None]:
    """The runs that ended well or at a gate, some at a time on cores of their own; and the rival's
    figures, if any.
    """
    cores = sorted(os.sched_getaffinity(0))
    free: queue.Queue[set[int]] = queue.Queue()
    for job in range(jobs):
        free.put(set(cores[job::jobs]))
    rivals: list[float | None] = []
    alone = threading.Lock()

    def run(seed: int) -> Run | None:
        mine = free.get()
        try:
            # A workspace a run: no champion of another seed is met, nothing is kept.
            with tempfile.TemporaryDirectory(prefix="lepton-results-") as folder:
                done = run_recipe(case, seed, settings, Path(folder), mine)
                with alone:
                    if done is not None and not rivals:  # The rows are those of every seed.
                        workspace = Path(folder) / "workspace"
                        measures = (case.rival, case.informed)
                        rivals.extend(
                            measure and measure(case.recipe, case.figure, workspace)
                            for measure in measures
                        )
                return done
        finally:
            free.put(mine)

    with ThreadPoolExecutor(jobs) as pool:
        runs = [done for done in pool.map(run, seeds) if done is not None]
    rival, informed = rivals or (None, None)
    return runs, rival, informed


def describe_case(
    case: Case, runs: list[Run], rival: float | None, informed: float | None, settings: list[str]
) -> Entry:
    """The row and the curve of a recipe that was just run.

    Args:
        case: The recipe.
        runs: One a seed, at least one.
        rival: Figure of the rival on the same rows; None where there is none.
        informed: Its figure with the head's products and differences, too; None where there are
            none.
        settings: Overrides of the recipe's own.
    """
    figures = [
        float(run.summary["metrics"][case.figure])
        for run in runs
        if case.figure in run.summary["metrics"]
    ]
    wanted = case.goal if rival is None else rival
    mean = statistics.mean(figures) if figures else None
    reached = (
        mean is not None
        and wanted is not None
        and (mean >= wanted if case.higher else mean <= wanted)
    )
    goal = "none" if wanted is None else f"{wanted:.4g} {'reached' if reached else 'missed'}"
    beside = "" if rival is None else case.rival_name
    beside += (
        ""
        if informed is None
        else f"; given the head's products and differences, too: {informed:.4f}"
    )
    cells = {
        KEY: case.name,
        "figure": case.figure,
        "mean": "no figure" if mean is None else f"{mean:.4f}",
        "over the seeds": f"{min(figures):.4f} .. {max(figures):.4f}"
        if len(figures) > 1
        else "one run",
        "goal": goal + (f" ({beside})" if beside else ""),
        "best baseline": find_baseline(case, runs[0].summary["metrics"]),
        "promoted": f"{sum(run.summary['status'] == 'promoted' for run in runs)}/{len(runs)}",
        "CPU min a run": f"{statistics.mean(run.cpu_s for run in runs) / 60:.1f}",
        "seeds": ", ".join(str(run.seed) for run in runs),
        "measured": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "on": f"{name_processors()}, torch {version('torch')}",
        STATE: identify_recipe(case.recipe),
        "settings": ", ".join(settings) or "its own",
    }
    return Entry(cells, show_curve({run.seed: run.curve for run in runs}))


def identify_recipe(name: str) -> str:
    """Digest of the settings that the recipe has now."""
    settings = yaml.safe_load((files("flows") / "recipes" / f"{name}.yaml").read_bytes())
    return sha256_bytes(canonical_json(settings))[:8]  # Whatever its comments say.


def find_baseline(case: Case, metrics: dict[str, Any]) -> str:
    """The best of the answers that need no network, on the same rows."""
    found = {
        name.removesuffix(f"_{case.figure}"): float(value)
        for name, value in metrics.items()
        if name.endswith(f"_{case.figure}") and not name.startswith(("validation_", "champion_"))
    }
    if not found:
        return "none"
    best = (max if case.higher else min)(found, key=lambda name: found[name])
    return f"{best} {found[best]:.4f}"


def write_results(new: Mapping[str, Entry]) -> None:
    """Writes the section: what was measured now, and what it held on the other recipes."""
    states = {case.name: identify_recipe(case.recipe) for case in CASES}
    merged = merge_entries(parse_section(read_section(SECTION)), new, list(states), states)
    write_section(SECTION, show_section(merged, {case.name: case.published for case in CASES}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "recipes",
        nargs="*",
        help="Names, as mnist or mnist-best; all that have their data here, if none is given.",
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument(
        "--jobs", type=int, default=1, help="Runs at a time, each on cores of its own."
    )
    arguments = parser.parse_args()
    known = {case.name: case for case in CASES}
    wrong = sorted(set(arguments.recipes) - set(known))
    if wrong:
        parser.error(f"recipes ({', '.join(wrong)}) must be among {', '.join(known)}")
    if not 1 <= arguments.jobs <= count_cores():
        parser.error(
            f"--jobs ({arguments.jobs}) must lie between 1 and the number of cores; got "
            f"{count_cores()} of them"
        )
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    for name in arguments.recipes or known:
        case = known[name]
        if case.data is not None and not (SHARED / case.data).exists():
            print(f"{name}: {SHARED / case.data} is not on this machine; left out", file=sys.stderr)
            continue
        found, rival, informed = run_seeds(
            case, arguments.seeds, arguments.settings, arguments.jobs
        )
        if found:
            entry = describe_case(case, found, rival, informed, arguments.settings)
            write_results({name: entry})
            print(" | ".join(entry.cells.values()), flush=True)


if __name__ == "__main__":
    main()
