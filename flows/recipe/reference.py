"""Writes the page of every setting of a recipe, with what it may be and its default.

`python -m flows.recipe.reference docs/recipe.md` works it out from the frozen models that a recipe
is checked by, so that the page cannot say what the code does not do.
"""

import argparse
import inspect
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from deployments.targets.specs import DeviceClass, TargetSpec
from flows.kinds import KINDS
from flows.recipe.examples import show_examples
from flows.recipe.model import Recipe
from lightning_modules.specs.compress import CompressSpec
from lightning_modules.specs.forms import FORMS as SAMPLES
from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.training import TrainSpec
from storage.forms.registry import FORMS as ROWS
from storage.sources import BUILT_IN, name_type

INTRODUCTION = """# The recipe

Written by `python -m flows.recipe.reference docs/recipe.md`; do not edit.

A recipe is one YAML file of the sections below; `lepton run mine.yaml` carries it out. Whatever is
left out has its default; an unknown key, or a value that cannot be, is refused before anything
starts, with its line and the remedy. `--set train.max_epochs=3` puts a value over the file's, by
its path. A file may keep sets of such values under `presets`, as
`presets: {best: {train.max_epochs: 20}}`, from which `--set train.preset=best` chooses.

Where a text may be an import path, `package.module:Name`, a component of your own stands there: it
is imported, and tried out on a made-up step, before the run starts. `parts.py:Name` names one in a
file beside the recipe, which itself imports installed packages alone: its bytes are kept on this
machine, and named by their digest wherever the recipe is written down. Training on several machines
(`train.nodes`) takes an installed package."""
BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
WORDS = {
    "integer": "whole number",
    "number": "number",
    "boolean": "`true`, `false`",
    "string": "text",
}
GATES = (
    "What must hold before the run goes on: `raw`, `prepared`, `drift`, `model`, `artifact`; and "
    "what must hold of what comes back: `live`, and of all rows of a data set: `batch`. See "
    "[gates.md](gates.md)."
)


def write_reference() -> str:
    """Return the page, as Markdown."""
    blocks = [INTRODUCTION, *show_examples(), *_show_model("recipe", Recipe, inner=False)]
    blocks += [_show_kinds(), "## source", "Where the rows come from, by `type`."]
    for source in BUILT_IN:
        blocks += _show_model(f"source, type: {name_type(source)}", source, level=3)
    blocks += [
        "## data",
        "Which rows and fields there are, and how they are split, by the form of the rows.",
    ]
    told: set[type[BaseModel]] = set()
    for form in ROWS.rows:
        blocks += _show_model(f"data, kind: {form.name}", form.spec, level=3, told=told)
    blocks += ["## gates", GATES]
    blocks += _show_model("model", ModelSpec)
    for sample in SAMPLES.rows:
        for family, params in sample.families.items():
            title = f"model.network.params, family: {family}, kind: {sample.name}"
            blocks += _show_model(title, params, level=4)
    for path, model in (
        ("train", TrainSpec),
        ("compress", CompressSpec),
        ("device_classes.<class>", DeviceClass),
        ("targets.<channel>", TargetSpec),
    ):
        blocks += _show_model(path, model)
    return "\n\n".join(blocks) + "\n"


def _show_kinds() -> str:
    lines = [
        "| kind | rows | objective | first figure | beside | losses |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {kind.name} | {' or '.join(kind.forms)} | {kind.objective} | {kind.headline} | "
        f"{', '.join(kind.baselines)} | {', '.join(kind.losses)} |"
        for kind in KINDS.rows
    ]
    return "\n".join(lines)


def _show_model(
    path: str,
    model: type[BaseModel],
    level: int = 2,
    *,
    inner: bool = True,
    told: set[type[BaseModel]] | None = None,
) -> Iterator[str]:
    """Yields a heading, a sentence and a table for a section, then for each inside it.

    Args:
        path: Of the section in a recipe.
        model: By which it is checked.
        level: Of its heading.
        inner: Whether the sections inside it are told, too.
        told: Sections that have been told already, to which those of this call are added.
    """
    told = set() if told is None else told
    meanings = find_meanings(model)
    schema = model.model_json_schema()
    yield f"{'#' * level} {path}"
    yield _first_sentence(model)
    if not meanings:
        return
    lines = ["| key | may be | default | what it means |", "|---|---|---|---|"]
    for name, meaning in meanings.items():
        may_be = _name_type(schema["properties"][name], schema.get("$defs", {}))
        default = _show_default(model.model_fields[name].get_default(call_default_factory=True))
        lines.append(f"| `{name}` | {may_be} | {default} | {meaning} |")
    yield "\n".join(lines)
    for name, field in model.model_fields.items() if inner else ():
        for section in _find_models(field.annotation):
            if section not in told:
                told.add(section)
                yield from _show_model(
                    f"{path.partition(',')[0]}.{name}", section, max(3, level), told=told
                )


def find_meanings(model: type[BaseModel]) -> Mapping[str, str]:
    """Return what is said of the fields of a model, each in a line of a Markdown table.

    Raises:
        KeyError: Nothing is said of one.
    """
    found: dict[str, str] = {}
    for name, field in model.model_fields.items():
        if not field.description:
            raise KeyError(f"field ({name}) of {model.__name__} must be described; got nothing")
        found[name] = re.sub(r"\s+", " ", field.description).strip().replace("|", r"\|")
    return found


def _first_sentence(model: type[BaseModel]) -> str:
    return inspect.cleandoc(model.__doc__ or "").partition("\n")[0]


def _find_models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _find_models(part)]


def _show_default(value: Any) -> str:
    if value is PydanticUndefined:
        return "must be given"
    if isinstance(value, BaseModel):
        return "see below"
    if value is None or value in ((), {}, ""):
        return "none"
    return f"`{json.dumps(value)}`"


def _name_type(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """Return what a value may be, in words, from its JSON schema."""
    if "$ref" in schema:
        return _name_type(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    for choices in (schema.get("anyOf"), schema.get("oneOf")):
        if choices:
            named = [
                _name_type(choice, definitions)
                for choice in choices
                if choice.get("type") != "null"
            ]
            return " or ".join(dict.fromkeys(named))
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    kind = schema.get("type")
    if kind == "array":
        return _name_list(schema, definitions)
    if kind == "object":
        return "section" if "properties" in schema else "mapping"
    bounds = [f"{sign} {schema[key]}" for key, sign in BOUNDS.items() if key in schema]
    return " ".join([WORDS.get(str(kind), "anything"), ", ".join(bounds)]).strip()


def _name_list(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    items = schema.get("prefixItems")
    if items:
        return f"list of {len(items)}: {_name_type(items[0], definitions)}"
    item = schema.get("items")
    return f"list of {_name_type(item, definitions)}" if item else "list"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Writes every setting of a recipe.")
    parser.add_argument("page", type=Path, help="The page, as docs/recipe.md.")
    parser.parse_args().page.write_text(write_reference(), encoding="utf-8")
