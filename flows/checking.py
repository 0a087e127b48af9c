"""Checks a recipe as far as that costs seconds: settings, first rows, channels, what it takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flows.recipe.load import load_recipe
from flows.recipe.model import Recipe
from flows.run.clashes import find_clashes
from storage.base.errors import StorageError
from tasks.drafting.checking import SourceLook, look_at_source


@dataclass(frozen=True)
class Checked:
    """What was found.

    Attributes:
        recipe: The recipe.
        look: What its source's first rows hold.
        faults: What would stop a run, each with its remedy.
        estimate: What a run takes, by name.
    """

    recipe: Recipe
    look: SourceLook
    faults: list[str]
    estimate: Mapping[str, str]


def check_whole_recipe(
    recipe: str, workspace: str, overrides: Mapping[str, Any] | None = None
) -> Checked:
    """Check a recipe, its source's first rows and its channels.

    Args:
        recipe: Name of a recipe that comes with Lepton, or path to a YAML file.
        workspace: Folder or URL of the workspace that it would run in.
        overrides: Values put over the recipe's, by dotted path.

    Raises:
        RecipeError: The recipe itself is wrong, with every fault of it.
    """
    loaded = load_recipe(recipe, overrides)
    clashes = [str(fault) for fault in find_clashes(loaded, workspace)]
    try:
        loaded.source.look()
    except StorageError as error:
        return Checked(loaded, SourceLook(complete=False), [str(error), *clashes], {})
    raw = loaded.gates.raw
    look = look_at_source(
        loaded.source, loaded.data, raw.max_unread_fraction, raw.max_unreadable_fraction
    )
    faults = [*look.faults, *clashes]
    if look.complete and look.rows < raw.min_rows and look.rows:
        faults.append(
            f"gates.raw.min_rows ({raw.min_rows}) must be at most the rows that there are; got "
            f"{look.rows}; fetch more rows, or lower it"
        )
    return Checked(loaded, look, faults, _estimate(loaded, look))


def _estimate(recipe: Recipe, look: SourceLook) -> dict[str, str]:
    """Return what a run takes, as far as the first rows say it."""
    if not look.rows:
        return {}
    more = "" if look.complete else " or more"
    row_bytes = look.bytes_read / look.rows
    steps = max(1, look.rows // recipe.train.batch_size) * recipe.train.max_epochs
    return {
        "rows": f"{look.rows}{more}, {row_bytes:.0f} bytes each",
        "disk": f"{2 * look.bytes_read / 1e6:.1f} MB{more} in the workspace at most",
        "steps": f"{steps}{more} optimizer steps at most; a network fitted at once takes none",
    }
