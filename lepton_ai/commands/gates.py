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
    require_platform,
    say,
    translate_errors,
)
from storage.base.store import Store

if TYPE_CHECKING:
    from gates.engine.report import GateReport
    from tasks.gates.by_hand import Rules

app = typer.Typer(no_args_is_help=True)
RecipeName = Annotated[str, typer.Argument(help="Name of a recipe, or path to a YAML file.")]


@app.command("run")
@translate_errors
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
    """Judge a version by the recipe's gates, against the last accepted one, and by suites of your own.

    Exit status: 0 green, 3 red, 2 bad usage, 1 anything else.
    """
    try:
        from gates.errors import GateError
        from storage.datasets.dataset import Dataset
        from tasks.gates.by_hand import find_rules, judge_by_hand
    except ImportError as error:
        raise require_platform(error, "gates") from error
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
@translate_errors
def draft(
    recipe: RecipeName,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write; default: standard output.")
    ] = None,
    workspace: Workspace = DEFAULT_WORKSPACE,
) -> None:
    """Profile the last accepted version and write a suite in Great Expectations' JSON that you can edit.

    Name the file in the recipe's `gates.raw.suites`, or give it to `lepton gates run --suite`.
    """
    try:
        from flows.errors import RecipeError
        from flows.recipe.load import load_recipe
        from tasks.gates.by_hand import draft_by_hand
    except ImportError as error:
        raise require_platform(error, "gates") from error
    try:
        loaded = load_recipe(recipe)
    except RecipeError as error:
        raise fail(str(error), EXIT_USAGE) from error
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
    from flows.errors import RecipeError
    from flows.recipe.load import load_recipe
    from tasks.gates.by_hand import Rules

    try:
        loaded = load_recipe(recipe)
    except RecipeError as error:
        raise fail(str(error), EXIT_USAGE) from error
    return Rules(loaded.data, loaded.gates)


def _say_report(ref: str, report: "GateReport") -> None:
    for reason in report.reasons:
        say(f"STOP  {reason}", "red")
    for warning in report.warnings:
        say(f"WARN  {warning}", "yellow")
    failed = len(report.reasons)
    word = (
        f"{len(report.checks)} checks passed"
        if report.passed
        else f"{failed} of {len(report.checks)} checks failed"
    )
    say(
        f"{'green' if report.passed else 'red'}  {ref}: {word}", "green" if report.passed else "red"
    )
