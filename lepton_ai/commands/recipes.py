"""`lepton recipes`: those that come with Lepton, and what one of them says."""

import sys
from typing import Annotated

import typer

from lepton_ai.commands.common import EXIT_USAGE, AsJson, answer, fail, on_platform

app = typer.Typer(invoke_without_command=True)


@app.callback()
@on_platform("recipes")
def recipes(context: typer.Context, as_json: AsJson = False) -> None:
    """List the recipes that come with Lepton."""
    if context.invoked_subcommand is not None:
        return
    from flows.recipe.load import list_recipes

    found = list_recipes()
    width = max(map(len, found))
    for name, description in found.items():
        fields = {"name": name, "description": description}
        answer(fields, f"{name:<{width}}  {description}", as_json)


@app.command()
@on_platform("recipes")
def show(name: Annotated[str, typer.Argument(help="Name of a recipe, or path to a file.")]) -> None:
    """Print a recipe as it is written, to begin one of your own with."""
    from flows.errors import RecipeError
    from flows.recipe.load import read_recipe

    try:
        sys.stdout.write(read_recipe(name))
    except RecipeError as error:
        raise fail(str(error), EXIT_USAGE) from error
