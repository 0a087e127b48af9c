"""Reads a recipe from YAML, and finds every fault of it before anything runs."""

import difflib
import stat
from collections.abc import Mapping
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from flows.errors import RecipeError, RecipeFault
from flows.kinds import KINDS
from flows.recipe.checks import check_recipe
from flows.recipe.columns import name_columns
from flows.recipe.document import MOST_CHARACTERS, Document, DocumentError, read_document
from flows.recipe.faults import add_line, describe_fault, find_parameter_errors
from flows.recipe.model import FORMAT, Recipe, choose_form, narrow_recipe
from flows.recipe.parts import find_parts
from lightning_modules.specs.families import DEFAULT_FAMILIES
from lightning_modules.specs.forms import FORMS
from lightning_modules.specs.objectives import OBJECTIVES
from storage.base.shown import name_type, show_value


def list_recipes() -> dict[str, str]:
    """Return the recipes that come with Lepton, name to description."""
    folder = resources.files("flows.recipes")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".yaml"))
    documents = {
        name.removesuffix(".yaml"): read_document(folder.joinpath(name).read_text("utf-8")).value
        for name in names
    }
    return {name: str(document.get("description", "")) for name, document in documents.items()}


def load_recipe(
    recipe: str | Recipe | Mapping[str, Any], overrides: Mapping[str, Any] | None = None
) -> Recipe:
    """Reads a recipe and checks all of it before anything runs.

    Args:
        recipe: Name of a recipe that comes with Lepton, path to a YAML file, or a recipe, also
            as plain data.
        overrides: Values by dotted path, `{"train.max_epochs": 3}`, put over the file's.

    Raises:
        RecipeError: With every fault at once, each with its path, its line, the value and the
            remedy.
    """
    if isinstance(recipe, Recipe):
        # Not as JSON, which leaves secrets out: they are used.
        return _check_document(recipe.name, Document(recipe.model_dump(), {}), overrides or {})
    if isinstance(recipe, Mapping):
        return _check_document("(given)", Document(dict(recipe), {}), overrides or {})
    origin, text = _read_text(recipe)
    try:
        document = read_document(text)
    except DocumentError as error:
        raise RecipeError(origin, error.faults) from None
    folder = Path(origin).parent if is_path(recipe) else Path()
    return _check_document(origin, document, overrides or {}, folder)


def _check_document(
    origin: str, read: Document, overrides: Mapping[str, Any], folder: Path = Path()
) -> Recipe:
    try:
        return _check_all(origin, read, overrides, folder)
    except RecipeError as error:
        told = [_name_option(fault, overrides) for fault in error.faults]
        raise RecipeError(origin, told) from None


def _name_option(fault: RecipeFault, overrides: Mapping[str, Any]) -> RecipeFault:
    """Return the fault with the option that gave the value, which stands on no line of the file."""
    for path in overrides:
        if fault.path == path or fault.path.startswith(f"{path}."):
            return replace(fault, line=None, option=f"--set {path}")
    return fault


def _check_all(origin: str, read: Document, overrides: Mapping[str, Any], folder: Path) -> Recipe:
    document, lines = read.value, read.lines
    if not isinstance(document, dict):
        got = type(document).__name__
        raise RecipeError(
            origin,
            [RecipeFault("(file)", got, "be a mapping of sections", "begin with `format: 1`", 1)],
        )
    faults = _check_format(document, lines)
    if faults:
        raise RecipeError(origin, faults)
    document, faults = _apply_preset(document, overrides)
    chosen = choose_form(document)
    if isinstance(chosen, RecipeFault):
        raise RecipeError(origin, [*faults, add_line(chosen, lines)])
    document, unread = find_parts(_choose_family(document, *chosen), folder)
    faults += [add_line(fault, lines) for fault in unread]
    recipe_type = narrow_recipe(*chosen)
    # Here besides, so that a wrong parameter is told of with the faults of all other sections.
    faults += [
        describe_fault(detail, lines, recipe_type)
        for detail in find_parameter_errors(document, chosen[1])
    ]
    try:
        loaded = recipe_type.model_validate(document)
    except ValidationError as error:
        faults += [describe_fault(dict(detail), lines, recipe_type) for detail in error.errors()]
        raise RecipeError(origin, faults) from None
    named = name_columns(loaded)
    if isinstance(named, RecipeFault):
        raise RecipeError(origin, [*faults, add_line(named, lines)])
    faults += [add_line(fault, lines) for fault in check_recipe(named)]
    if faults:
        raise RecipeError(origin, faults)
    return named


def read_recipe(recipe: str) -> str:
    """Return the text of a recipe that comes with Lepton, or of a file, as it is written.

    Raises:
        RecipeError: There is none of that name, or the file cannot be read.
    """
    return _read_text(recipe)[1]


def _choose_family(document: dict[str, Any], kind: str, form: str) -> dict[str, Any]:
    """Return the document with a family that suits its kind, where it names none."""
    model = document.get("model", {})
    network = model.get("network", {}) if isinstance(model, dict) else None
    if not isinstance(network, dict) or "family" in network:
        return document
    objective = OBJECTIVES.find(KINDS.find(kind).objective)
    families = FORMS.find(form).families if form in FORMS else {}
    suited = [
        name
        for name in DEFAULT_FAMILIES
        if name in families and families[name].suits(objective.name, restores=objective.restores)
    ]
    if suited[:1] == [DEFAULT_FAMILIES[0]] or not suited:
        return document
    return {**document, "model": {**model, "network": {**network, "family": suited[0]}}}


def is_path(recipe: str) -> bool:
    """Return whether a recipe is given by its path, and not by the name that it comes with."""
    return "/" in recipe or Path(recipe).suffix in {".yaml", ".yml"}


def _read_text(recipe: str) -> tuple[str, str]:
    if is_path(recipe):
        path = Path(recipe).expanduser()
        return str(path), _read_file(path)
    names = list_recipes()
    if recipe not in names:
        close = difflib.get_close_matches(recipe, names, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        remedy = f"{hint}known: {', '.join(names)}; a file of your own is given by its path"
        raise RecipeError(
            recipe,
            [RecipeFault("(name)", recipe, "be a known recipe or a path to a .yaml file", remedy)],
        )
    return recipe, resources.files("flows.recipes").joinpath(f"{recipe}.yaml").read_text("utf-8")


def _read_file(path: Path) -> str:
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            # Of a pipe that nobody writes to the end would never come.
            reason = "it is a folder or a pipe"
        elif found.st_size > MOST_CHARACTERS:
            reason = f"it has {found.st_size} bytes, and may have {MOST_CHARACTERS}"
        else:
            return path.read_text("utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
    fault = RecipeFault("(file)", str(path), "be a readable YAML file", f"check the path: {reason}")
    raise RecipeError(str(path), [fault])


def _check_format(document: Mapping[str, Any], lines: Mapping[str, int]) -> list[RecipeFault]:
    """Refuses a format from the future before its keys are misread."""
    got = document.get("format")
    if got == FORMAT:
        return []
    remedy = (
        "add `format: 1` at the top"
        if got is None
        else "use a Lepton that knows it, or write `format: 1`"
    )
    return [RecipeFault("format", show_value(got), f"be {FORMAT}", remedy, lines.get("format"))]


def _apply_preset(
    document: dict[str, Any], overrides: Mapping[str, Any]
) -> tuple[dict[str, Any], list[RecipeFault]]:
    """Return a copy of the document with a preset put over it, and the overrides over that.

    `train.preset` names the preset. Presets are a file's own, as
    `presets: {best: {train.max_epochs: 20}}`; the recipe holds what they come to.
    """
    document = {**document}
    presets = document.pop("presets", {})
    overridden, faults = _apply_overrides(document, overrides)
    train = overridden.get("train")
    name = train.get("preset") if isinstance(train, dict) else None
    if name is None:
        return overridden, faults
    chosen = presets.get(name) if isinstance(presets, dict) and isinstance(name, str) else None
    if not isinstance(chosen, dict):
        known = ", ".join(presets) if isinstance(presets, dict) and presets else "none"
        remedy = (
            f"known here: {known}; or add it, as in presets: {{best: {{train.max_epochs: 20}}}}"
        )
        faults.append(
            RecipeFault("train.preset", show_value(name), "be one of the recipe's presets", remedy)
        )
    else:
        overridden, faults = _apply_overrides(document, {**chosen, **overrides})
    overridden["train"] = {
        key: value for key, value in overridden["train"].items() if key != "preset"
    }
    return overridden, faults


def _apply_overrides(
    document: dict[str, Any], overrides: Mapping[str, Any]
) -> tuple[dict[str, Any], list[RecipeFault]]:
    """Return a copy of the document with values set by dotted path."""
    faults = []
    for path, value in overrides.items():
        *parents, last = path.split(".")
        document = {**document}
        section = document
        for parent in parents:
            inner = section.get(parent, {})
            if not isinstance(inner, dict):
                faults.append(
                    RecipeFault(
                        path,
                        name_type(value),
                        f"lie in a section; `{parent}` is a value",
                        "mend the path",
                    )
                )
                break
            section[parent] = {**inner}
            section = section[parent]
        else:
            section[last] = value
    return document, faults
