"""Checks a recipe as far as that costs seconds: settings, first rows, channels, what it takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deployments.targets.trust.key_files import cache_dir
from flows.estimating import estimate_sizes, estimate_training
from flows.recipe.load import load_recipe
from flows.recipe.model import Recipe
from flows.run.clashes import find_clashes
from storage.base.errors import StorageError
from tasks.drafting.checking import SourceLook, look_at_source
from tasks.rendering.check_page import CheckPage, render_check_page


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
    recipe: str,
    workspace: str,
    overrides: Mapping[str, Any] | None = None,
    *,
    measure: bool = False,
) -> Checked:
    """Check a recipe, its source's first rows and its channels.

    Args:
        recipe: Name of a recipe that comes with Lepton, or path to a YAML file.
        workspace: Folder or URL of the workspace that it would run in.
        overrides: Values put over the recipe's, by dotted path.
        measure: Whether a training step is measured where there is no fault: seconds, for it takes
            torch, in a process of its own.

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
    estimate = estimate_sizes(loaded, look)
    if measure and not faults:
        estimate |= estimate_training(loaded, look)
    return Checked(loaded, look, faults, estimate)


def write_check_page(checked: Checked, command: str, path: Path | None = None) -> Path:
    """Write the page of a check, and return where it lies.

    Args:
        checked: What was found.
        command: The recipe and its settings, as `lepton run` takes them.
        path: Where it is written; None for a file of this recipe in the cache, so that nothing is
            left in a workspace or beside the recipe.
    """
    name = checked.recipe.name
    page = CheckPage(
        recipe=name,
        kind=checked.recipe.kind,
        at=datetime.now(UTC),
        faults=tuple(checked.faults),
        profile=checked.look.profile,
        complete=checked.look.complete,
        splits=checked.look.splits,
        estimate=dict(checked.estimate),
        commands=() if checked.faults else (f"lepton run {command}",),
    )
    found = path or cache_dir() / "checks" / f"{name}.html"
    found.parent.mkdir(parents=True, exist_ok=True)
    found.write_text(render_check_page(page), "utf-8")
    return found
