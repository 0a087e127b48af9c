"""`lepton gates`: judge a version by hand, or draft a suite from one that was accepted."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lepton_ai.commands.common import (
    DEFAULT_WORKSPACE,
    EXIT_STOPPED,
    EXIT_USAGE,
    AsJson,
    Workspace,
    fail,
    on_platform,
    say,
)
from storage.base.store import Store

if TYPE_CHECKING:
    from flows.recipe.model import Recipe
    from gates.engine.report import GateReport
    from tasks.gates.by_hand import Rules

app = typer.Typer(no_args_is_help=True)
RecipeName = Annotated[str, typer.Argument(help="Name of a recipe, or path to a YAML file.")]


@app.command("run")
@on_platform("gates")
def run_gates(
    reference: Annotated[
        str, typer.Argument(help="DATASET, DATASET@NUMBER, DATASET@TAG or DATASET@DATE.")
    ],
    recipe: Annotated[
        str | None,
        typer.Option("--recipe", help="Whose rules; default: those of the run that made it."),
    ] = None,
    suite: Annotated[
        list[str] | None,
        typer.Option("--suite", help="Great Expectations' JSON, or package.module:function."),
    ] = None,
    workspace: Workspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Judge a version by the recipe's gates, against the last accepted one, and by your suites.

    Exit status: 0 green, 3 red, 2 bad usage, 1 anything else.
    """
    from gates.errors import GateError
    from storage.datasets.dataset import Dataset
    from tasks.gates.by_hand import find_rules, judge_by_hand

    store = Store(workspace)
    name, _, number = reference.partition("@")
    version = Dataset(store, name).open(number or None)
    rules = _load_rules(recipe) if recipe is not None else find_rules(store, name)
    try:
        report = judge_by_hand(store, version, rules, suite or ())
    except GateError as error:
        raise fail(str(error), EXIT_USAGE) from error
    if as_json:
        sys.stdout.write(report.model_dump_json() + "\n")
    _say_report(version.ref, report)
    if not report.passed:
        raise typer.Exit(EXIT_STOPPED)


@app.command()
@on_platform("gates")
def draft(
    recipe: RecipeName,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write; default: standard output.")
    ] = None,
    workspace: Workspace = DEFAULT_WORKSPACE,
) -> None:
    """Profile the last accepted version and write a suite that you can edit.

    It is Great Expectations' JSON. Name the file in the recipe's `gates.raw.suites`, or give it to
    `lepton gates run --suite`.
    """
    from tasks.gates.by_hand import draft_by_hand

    loaded = _load_recipe(recipe)
    drafted = draft_by_hand(Store(workspace), loaded.name, loaded.data)
    text = json.dumps(drafted, indent=2, ensure_ascii=False) + "\n"
    if out is None:
        sys.stdout.write(text)
        return
    try:
        out.write_text(text, "utf-8")
    except OSError as error:
        raise fail(
            f"--out ({out}) must be a file that can be written; got: {error.strerror}"
        ) from error
    say(
        f"wrote {len(drafted['expectations'])} expectations to {out}; edit them, then name the "
        "file in gates.raw.suites"
    )


def _load_rules(recipe: str) -> "Rules":
    from tasks.gates.by_hand import Rules

    loaded = _load_recipe(recipe)
    return Rules(loaded.data, loaded.gates)


def _load_recipe(recipe: str) -> "Recipe":
    from flows.errors import RecipeError
    from flows.recipe.load import load_recipe

    try:
        return load_recipe(recipe)
    except RecipeError as error:
        raise fail(str(error), EXIT_USAGE) from error


def _say_report(ref: str, report: "GateReport") -> None:
    for reason in report.reasons:
        say(f"STOP  {reason}", "red")
    for warning in report.warnings:
        say(f"WARN  {warning}", "yellow")
    count = len(report.checks)
    if report.passed:
        say(f"green  {ref}: {count} checks passed", "green")
    else:
        say(f"red  {ref}: {len(report.reasons)} of {count} checks failed", "red")
