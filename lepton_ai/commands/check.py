"""`lepton check`: whether a recipe can be carried out, told in seconds and without training."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lepton_ai.commands.common import (
    DEFAULT_WORKSPACE,
    EXIT_USAGE,
    AsJson,
    Workspace,
    answer,
    fail,
    on_platform,
    say,
)
from lepton_ai.commands.run import Settings, parse_settings
from storage.base.urls import redact

if TYPE_CHECKING:
    from flows.checking import Checked

Page = Annotated[
    str | None,
    typer.Option("--page", metavar="FILE", help="Where the page goes; default: the cache."),
]
Measured = Annotated[
    bool,
    typer.Option(
        "--measure/--no-measure", help="Whether a training step is measured, to estimate its time."
    ),
]


@on_platform("check")
def check(
    recipe: Annotated[
        str, typer.Argument(help="Name of a recipe (see `lepton recipes`), or path to a YAML file.")
    ],
    workspace: Workspace = DEFAULT_WORKSPACE,
    settings: Settings = None,
    as_json: AsJson = False,
    page: Page = None,
    measured: Measured = True,
) -> None:
    """Check a recipe: its settings, the first rows of its source, its channels; nothing is trained.

    Exit status: 0 it can be carried out, 2 it cannot.
    """
    from flows.checking import check_whole_recipe, write_check_page
    from flows.errors import RecipeError

    overrides = parse_settings(settings or [])
    try:
        checked = check_whole_recipe(recipe, workspace, overrides, measure=measured)
    except RecipeError as error:
        if as_json:
            answer(
                {"recipe": recipe, "ok": False, "faults": list(map(str, error.faults))}, "", True
            )
        raise fail(str(error), EXIT_USAGE) from error
    # A value can be a secret: the page names what was set, and not to what.
    put = "".join(f" --set {key}=..." for key in overrides)
    command = f"{shlex.quote(redact(recipe))}{put}"
    _say(checked)
    try:
        written = write_check_page(checked, command, Path(page) if page else None)
    except OSError as error:
        raise fail(
            f"--page ({page or 'the cache'}) must be a file that can be written; got: "
            f"{error.strerror}; give another",
            EXIT_USAGE,
        ) from error
    say(f"  page     {written}")
    if as_json:
        answer(_list_fields(recipe, checked) | {"page": str(written)}, "", as_json)
    if checked.faults:
        raise typer.Exit(EXIT_USAGE)


def _list_fields(recipe: str, checked: "Checked") -> dict[str, Any]:
    return {
        "recipe": recipe,
        "ok": not checked.faults,
        "kind": checked.recipe.kind,
        "faults": checked.faults,
        "estimate": checked.estimate,
        **{
            f"source_{name}": value
            for name, value in checked.look.document.items()
            if name != "faults"
        },
    }


def _say(checked: "Checked") -> None:
    look = checked.look
    seen = f"{look.rows} rows" if look.complete else f"the first {look.rows} rows"
    say(f"{checked.recipe.kind}  {checked.recipe.name}: {seen} in {look.seconds} s")
    width = max((len(column.name) for column in look.profile.columns), default=0)
    for column in look.profile.columns:
        missing = f"  {column.missing:.1%} missing" if column.missing else ""
        say(f"  {column.name:<{width}}  {column.type:<8}  {column.values}{missing}")
    if look.classes:
        say("  classes  " + ", ".join(f"{name} ({n})" for name, n in look.classes.items()))
    if look.splits:
        say("  splits   " + ", ".join(f"{name} ({n})" for name, n in look.splits.items()))
    for name, value in checked.estimate.items():
        say(f"  {name:<8} {value}")
    for fault in checked.faults:
        say(f"FAULT  {fault}", "red")
    if not checked.faults:
        say("sound: nothing of what was looked at stops a run", "green")
