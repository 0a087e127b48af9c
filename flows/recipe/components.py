"""Checks a user's own components, which a recipe names by their import paths."""

import re
from collections.abc import Iterator

from flows.errors import RecipeFault
from flows.recipe.model import Recipe
from lightning_modules.errors import SpecError
from lightning_modules.specs.base import is_import_path
from lightning_modules.specs.components import load_component
from storage.base.parts import is_part
from tasks.runtime.child import find_absent_packages


def check_components(recipe: Recipe) -> Iterator[RecipeFault]:
    """Yields components of a user's own that cannot be imported and called.

    What they import, torch perhaps, is imported here.
    """
    own = {path: name for path, name in _list_named(recipe).items() if is_import_path(name)}
    packages = {path: re.split("[.:]", name)[0] for path, name in own.items()}
    absent = find_absent_packages({name for name in packages.values() if not is_part(name)})
    for path, name in own.items():
        try:
            load_component(name, what=path, known={})
        except SpecError as error:
            _, _, found = str(error).partition("; got ")
            reason, _, remedy = found.partition("; ")
            rule = f"be importable and callable; {reason}"
            yield RecipeFault(path, repr(name), rule, remedy or "check the spelling")
            continue
        if packages[path] in absent:
            rule = "be importable by other processes, which do not look into this one's folder"
            remedy = f"install {packages[path]}, or put its folder into PYTHONPATH"
            yield RecipeFault(path, repr(name), rule, remedy)


def _list_named(recipe: Recipe) -> dict[str, str]:
    """Return the names of all components by their paths in the recipe."""
    student = recipe.compress.student
    named = {
        "compress.student.family": None if student is None else student.family,
        "model.network.family": recipe.model.network.family,
        "model.head.name": recipe.model.head.name,
        "train.loss.name": recipe.train.loss.name,
        "train.optimizer.name": recipe.train.optimizer.name,
        "train.scheduler.name": recipe.train.scheduler.name,
        "train.select_by": recipe.train.select_by,
        "train.augmentation.name": recipe.train.augmentation.name,
        "data.transform": recipe.data.transform,
    }
    named |= {
        f"gates.raw.suites.{place}": name for place, name in enumerate(recipe.gates.raw.suites)
    }
    return {path: name for path, name in named.items() if name is not None}
