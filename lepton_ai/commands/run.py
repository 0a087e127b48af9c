"""`lepton run`."""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lepton_ai.commands.common import (
    DEFAULT_WORKSPACE,
    EXIT_STOPPED,
    EXIT_USAGE,
    AsJson,
    Workspace,
    answer,
    explain,
    fail,
    on_platform,
    say,
    stderr,
)
from lepton_ai.commands.interrupts import Interrupts
from lepton_ai.console import ConsoleProgress

if TYPE_CHECKING:
    from storage.records.receipts import Receipt

Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Put a value over the recipe's."),
]
Scheduler = Annotated[
    str | None,
    typer.Option("--scheduler", help="Address of a Dask scheduler; default: a local one."),
]
Timings = Annotated[
    bool, typer.Option("--timings", help="Show where the time went, stage by stage.")
]
Resume = Annotated[
    str | None,
    typer.Option(
        "--resume", metavar="RUN", help="Go on with a run that was lost, instead of a recipe."
    ),
]

LIMITS = {
    "gate raw": "gates.raw and gates.drift",
    "gate prepared": "gates.prepared",
    "gate model": "gates.model",
    "gate artifact": "gates.artifact",
}
"""Says in which sections of a recipe the limits of a gate are set."""


@on_platform("run")
def run(
    recipe: Annotated[
        str | None,
        typer.Argument(help="Name of a recipe (see `lepton recipes`), or path to a YAML file."),
    ] = None,
    workspace: Workspace = DEFAULT_WORKSPACE,
    settings: Settings = None,
    as_json: AsJson = False,
    scheduler: Scheduler = None,
    timings: Timings = False,
    resume: Resume = None,
) -> None:
    """Carry out a recipe, or go on with a lost run: raw data to a gated, signed model on channels.

    Exit status: 0 promoted, 3 stopped by a gate, 2 bad usage or recipe, 1 anything else.
    """
    started = time.monotonic()
    overrides = parse_settings(settings or [])
    quiet_libraries()
    _look_ahead(recipe, workspace, overrides, resume, as_json)
    # Great Expectations takes seconds to import: here, where it is counted as such.
    import gates.engine.runner  # noqa: F401
    from flows.errors import GateStopped
    from flows.lifecycle import lifecycle
    from flows.run.summary import show_timings, summarize

    imports_s = time.monotonic() - started
    interrupts = Interrupts()
    console = ConsoleProgress(stderr, interrupts.check)
    with translate_stops(console), interrupts:
        try:
            receipt = lifecycle(recipe or "", workspace, overrides, scheduler, resume)
        except GateStopped as stopped:
            receipt = stopped.receipt
    summary = summarize(receipt, workspace)
    _say_outcome(receipt, summary)
    if timings:
        total_s = time.monotonic() - started
        say(show_timings(receipt, console.durations_s, imports_s, total_s))
    if as_json:
        answer(summary, "", as_json)
    if not receipt.promoted:
        raise typer.Exit(EXIT_STOPPED)


def _look_ahead(
    recipe: str | None,
    workspace: str,
    overrides: dict[str, Any],
    resume: str | None,
    as_json: bool,
) -> None:
    """Answers bad usage, a wrong recipe or a path to nothing at once, before anything slow."""
    if (recipe is None) == (resume is None) or (resume and overrides):
        raise fail(
            "run must get a recipe, or --resume RUN and no --set; write e.g. lepton run digits",
            EXIT_USAGE,
        )
    from flows.errors import RecipeError, ResumeError
    from flows.recipe.load import load_recipe
    from flows.run.clashes import find_clashes
    from flows.run.lost import find_lost_run, recall_recipe

    try:
        if resume is not None:
            recall_recipe(workspace, resume)
        elif recipe is not None:
            loaded = load_recipe(recipe, overrides)
            loaded.source.look()
            if clashes := find_clashes(loaded, workspace):
                if as_json:
                    from flows.run.summary import summarize_clashes

                    answer(summarize_clashes(loaded, clashes), "", as_json)
                # As where a run finds it out: what cannot be compared is stopped.
                raise fail(str(RecipeError(recipe, clashes)), EXIT_STOPPED)
            if (lost := find_lost_run(workspace, loaded)) is not None:
                say(f"note: {lost}")
    except (RecipeError, ResumeError) as error:
        raise fail(str(error), EXIT_USAGE) from error


@contextmanager
def translate_stops(console: ConsoleProgress) -> Iterator[None]:
    """Shows a run's stages, and says in one sentence what ended it early."""
    from flows.errors import FlowError
    from tasks.runtime.errors import TaskError
    from tasks.runtime.progress import PROGRESS

    token = PROGRESS.set(console)
    try:
        yield
    except (FlowError, TaskError) as error:
        raise fail(explain(error)) from error
    except KeyboardInterrupt as error:
        say(explain(error))
        raise
    finally:
        PROGRESS.reset(token)


def parse_settings(
    settings: list[str], option: str = "--set", example: str = "train.max_epochs=3"
) -> dict[str, Any]:
    """`["train.max_epochs=3"]` as `{"train.max_epochs": 3}`; values are read as YAML."""
    from flows.recipe.document import DocumentError, read_document

    parsed = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key.strip():
            # Neither is repeated: a value can be a secret.
            raise fail(
                f"{option} must have the form KEY=VALUE; write e.g. {option} {example}", EXIT_USAGE
            )
        try:
            parsed[key.strip()] = read_document(value).value
        except DocumentError as error:
            raise fail(
                f"{option} ({key.strip()}) must have a YAML value; got: {error}; quote it",
                EXIT_USAGE,
            ) from None
    return parsed


def quiet_libraries() -> None:
    """Keeps telemetry on the machine and other logs off the terminal; the server gets every log."""
    os.environ.setdefault("DO_NOT_TRACK", "1")
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("PREFECT_LOGGING_COLORS", "false")
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    # A server that is away is told of once, and not with every event that it has missed.
    os.environ.setdefault("PREFECT_LOGGING_INTERNAL_LEVEL", "CRITICAL")
    logging.getLogger("distributed").setLevel(logging.ERROR)


def _say_outcome(receipt: "Receipt", summary: dict[str, Any]) -> None:
    if receipt.promoted:
        say(f"promoted  model {receipt.model.id[:12] if receipt.model else '?'}", "bold green")
        for channel in (name for name, got in summary["channels"].items() if got is None):
            say(f"stopped   channel {channel}: no artifact meets its demands", "bold red")
            for entry in receipt.artifacts:
                for why in entry.passed_over.get(channel, ()):
                    say(f"  {entry.name}: {why}")
    else:
        say(f"stopped at {receipt.stopped_at}", "bold red")
        for reason in receipt.reasons:
            say(f"  {reason}")
        if section := LIMITS.get(receipt.stopped_at or ""):
            say(f"  limits   {section} of the recipe, see docs/gates.md")
    say(f"  report   {summary['report']}\n  receipt  {summary['receipt']}")
