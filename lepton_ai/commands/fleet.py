"""`lepton fleet`: a fleet of real agents on this machine, and what must hold of it."""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lepton_ai.commands.common import (
    DEFAULT_WORKSPACE,
    EXIT_FAILED,
    EXIT_USAGE,
    AsJson,
    Workspace,
    answer,
    fail,
    on_platform,
    say,
    stderr,
)
from lepton_ai.commands.interrupts import Interrupts
from lepton_ai.commands.run import translate_stops
from lepton_ai.console import ConsoleProgress

if TYPE_CHECKING:
    from deployments.targets.fleet.plan import Outcome, Plan

app = typer.Typer(no_args_is_help=True)

ENTRY = "lepton_ai.cli:main"
FARTHEST_DEG = 40.0
MOST_DEVICES, MOST_ROUNDS = 50, 6
ABOUT = (
    "{count:,} handwritten digits of scikit-learn, each sent once, turned by an angle that grows "
    "from round to round. The first model learned from other digits of the same writers. Half of a "
    "round's labels are told when it is over, the others a round later. The agents, their spools "
    "and signed batches, the feedback flow and the retraining are the real ones; that the digits "
    "turn is made up."
)


@app.callback()
def main() -> None:
    """Real agents on this machine."""


@app.command("simulate")
@on_platform("fleet simulate")
def simulate(
    devices: Annotated[int, typer.Option("--devices", help="How many agents.")] = 3,
    rounds: Annotated[
        int, typer.Option("--rounds", help="How often what came back is judged.")
    ] = 3,
    workspace: Workspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Let real agents answer for digits that turn, learn from what comes back, and check it all.

    Everything has a name of its own, `fleet-...`: recipe, channel, devices. Nothing else in the
    workspace is touched. Exit status: 0 every invariant was held, 1 one was not or it failed, 2 bad
    usage.
    """
    _check_range("--devices", devices, MOST_DEVICES)
    _check_range("--rounds", rounds, MOST_ROUNDS)
    name = f"fleet-{datetime.now(UTC):%m%d}-{secrets.token_hex(3)}"
    interrupts = Interrupts()
    console = ConsoleProgress(stderr, interrupts.check)
    with translate_stops(console), interrupts, _open_folder(name) as folder:
        plan, about = _make_plan(name, workspace, devices, rounds, folder)
        outcome = _carry_out(plan, console)
        page = _write_page(plan, outcome, name, about)
    _say_outcome(outcome, page)
    if as_json:
        invariants = [asdict(found) for found in outcome.invariants]
        answer({"invariants": invariants, "page": page}, "", as_json)
    if not outcome.held:
        raise typer.Exit(EXIT_FAILED)


def _check_range(option: str, value: int, most: int) -> None:
    if not 1 <= value <= most:
        raise fail(f"{option} must be 1 to {most}; got {value}", EXIT_USAGE)


@contextmanager
def _open_folder(name: str) -> Iterator[Path]:
    """Makes a folder for the devices' keys, spools and logs; it stays where something failed."""
    from deployments.targets.trust.key_files import cache_dir, make_private_dir

    folder = cache_dir() / "fleet" / name
    make_private_dir(folder)
    try:
        yield folder
    except Exception as error:
        error.add_note(f"  what the processes said lies in {folder / 'logs'}")
        raise
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)


def _make_plan(
    name: str, workspace: str, devices: int, rounds: int, folder: Path
) -> "tuple[Plan, str]":
    """Writes the digits and the recipe of the first model, and deals out the others."""
    from deployments.targets.fleet.drift import plan_angles, plan_rounds
    from deployments.targets.fleet.plan import Plan, score_label
    from storage.base.store import Store
    from tasks.data.fleet_digits import HIGHEST, split_digits

    store = Store(workspace)
    first, others = split_digits()
    source = f"reports/{name}/first-digits.npz"
    store.write(source, first.to_npz())
    recipe = _write_recipe(folder / f"{name}.yaml", name, store.address(source))
    angles = plan_angles(rounds, FARTHEST_DEG)
    planned = plan_rounds(
        others.pictures,
        [str(label) for label in others.labels],
        devices=devices,
        angles=angles,
        highest=HIGHEST,
    )
    plan = Plan(
        workspace=store.url,
        recipe=str(recipe),
        channel=name,
        devices=tuple(f"{name}-{number + 1}" for number in range(devices)),
        rounds=tuple(planned),
        score=score_label,
        folder=folder,
        entry=ENTRY,
    )
    count = sum(len(samples) for part in planned for samples in part.samples)
    return plan, ABOUT.format(count=count)


def _write_recipe(path: Path, name: str, source: str) -> Path:
    """Write the recipe of digits anew: another source, one channel, and room for turned digits."""
    import yaml

    from flows.recipe.load import load_recipe

    changes: dict[str, Any] = {
        "name": name,
        "description": "The first 1,000 of scikit-learn's digits in a fixed random order.",
        "source": {"type": "arrays", "url": source, "train": ["x", "y"], "held_out": None},
        # Held-out rows of later runs are turned, too: harder than those of `digits`.
        # So few of them prove little against nearest neighbours, and what is shown is the loop.
        "gates": {"model": {"min_accuracy": 0.9, "min_skill": -5.0}},
        "targets": {name: {"prefer": ["int8", "fp32"]}},
    }
    recipe = load_recipe("digits", changes)
    path.write_text(yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False), "utf-8")
    return path


def _carry_out(plan: "Plan", console: ConsoleProgress) -> "Outcome":
    """Runs the simulation on one Prefect server; ends every process, however it goes."""
    from deployments.targets.fleet.children import Children
    from deployments.targets.fleet.simulate import Fleet
    from flows.run.server import prefect_server

    with (
        prefect_server() as url,
        Children(plan.entry, plan.folder / "logs", {"PREFECT_API_URL": url}) as children,
    ):
        return Fleet(plan, children, console).run()


def _write_page(plan: "Plan", outcome: "Outcome", name: str, about: str) -> str:
    """Holds the dataset against the ledger, too, and writes the page."""
    from storage.base.store import Store
    from tasks.data.fleet_rows import hold_rows
    from tasks.pages.fleet_page import write_fleet_page

    store = Store(plan.workspace)
    outcome.invariants.append(hold_rows(store, name, outcome))
    return write_fleet_page(store, plan, outcome, name=name, about=about, figure="accuracy")


def _say_outcome(outcome: "Outcome", page: str) -> None:
    for found in outcome.invariants:
        word, style = ("held", "green") if found.held else ("BROKEN", "bold red")
        say(f"  {word:<8}{found.name}: {found.detail}", style)
    say(f"  page    {page}")
