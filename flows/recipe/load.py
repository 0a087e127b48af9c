"""A recipe: one use case as data. The sections are frozen models beside their users; this file only collects them."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from deployments.targets.specs import TargetSpec
from flows.errors import RecipeError, RecipeFault
from flows.recipe.checks import SECTIONS, check_recipe, find_form, find_parameter_errors
from gates.specs import GatesSpec, gates_for_kind
from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.training import CompressSpec, TrainSpec
from storage.base.store import canonical_json, redact, sha256_bytes
from storage.forms.image import ImageSpec
from storage.forms.series import SeriesSpec
from storage.forms.table import TableSpec
from storage.records.receipts import StartRecord
from storage.sources import AnySource

FORMAT = 1
Kind = Literal[
    "image-classification",
    "tabular-classification",
    "tabular-regression",
    "forecasting",
    "series-classification",
    "series-regression",
    "anomaly-detection",
]


class Recipe(BaseModel):
    """From a source to its targets: everything that makes one run differ from another.

    Attributes:
        format: Version of this format; newer ones are refused.
        name: Short name; data sets are called `<name>-raw` and `<name>-prepared`.
        description: One sentence for people.
        kind: What is to be learned.
        source: Where the rows come from.
        data: Which rows and fields there are, and how they are split.
        gates: The limits of the four gates.
        model: Head and network.
        train: How it learns.
        compress: Which artifacts are made.
        targets: The channels that the chosen artifacts are promoted to.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1]
    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")
    description: str = ""
    kind: Kind
    source: AnySource
    data: ImageSpec | SeriesSpec | TableSpec
    gates: GatesSpec = GatesSpec()
    model: ModelSpec = ModelSpec()
    train: TrainSpec = TrainSpec()
    compress: CompressSpec = CompressSpec()
    targets: dict[str, TargetSpec] = Field(min_length=1)

    @property
    def digest(self) -> str:
        """sha256 of the canonical recipe: every setting, defaults written out, secrets left out."""
        return sha256_bytes(canonical_json(self.document))

    @property
    def document(self) -> dict[str, Any]:
        """The recipe as plain data, defaults written out, secrets in URLs redacted."""
        document: dict[str, Any] = self.model_dump(mode="json")
        return {**document, **{name: _redact_urls(document[name]) for name in ("source", "train")}}

    def pin_start(self, start: StartRecord | None) -> "Recipe":
        """The recipe with the weights that it starts from named by their digest, or a model by its whole id.

        So the receipt says which they were, and a run that was lost goes on from the same.
        """
        if start is None or self.train.start_from is None:
            return self
        named = (
            {"sha256": start.sha256}
            if self.train.start_from.model is None
            else {"model": start.model}
        )
        pinned = self.train.start_from.model_copy(update=named)
        return self.model_copy(
            update={"train": self.train.model_copy(update={"start_from": pinned})}
        )


@cache
def narrow_recipe(kind: str, form: str) -> type[Recipe]:
    """The recipe of one kind and form of rows: its sections are those that go with them, and no others.

    Args:
        kind: One of `Kind`.
        form: "image", "table" or "series".
    """
    gates = gates_for_kind(kind)
    sections: dict[str, Any] = {"data": (SECTIONS[form], ...), "gates": (gates, gates())}
    narrowed: type[Recipe] = create_model("Recipe", __base__=Recipe, **sections)
    return narrowed


def _redact_urls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _redact_urls(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_redact_urls(inner) for inner in value]
    return redact(value) if isinstance(value, str) and "://" in value else value


def list_recipes() -> dict[str, str]:
    """The recipes that come with Lepton: name to description."""
    folder = resources.files("flows.recipes")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".yaml"))
    documents = {
        name.removesuffix(".yaml"): yaml.safe_load(folder.joinpath(name).read_text("utf-8"))
        for name in names
    }
    return {name: str(document.get("description", "")) for name, document in documents.items()}


def load_recipe(recipe: str | Recipe, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Reads a recipe and checks all of it before anything runs.

    Args:
        recipe: Name of a recipe that comes with Lepton, path to a YAML file, or a recipe.
        overrides: Values by dotted path, `{"train.max_epochs": 3}`, put over the file's.

    Raises:
        RecipeError: With every fault at once, each with its path, its line, the value and the
            remedy.
    """
    if isinstance(recipe, Recipe):
        text = yaml.safe_dump(recipe.model_dump(mode="json"))
        return _parse_recipe(recipe.name, text, overrides or {})
    return _parse_recipe(*_read_text(recipe), overrides or {})


def _parse_recipe(origin: str, text: str, overrides: Mapping[str, Any]) -> Recipe:
    try:
        document = yaml.safe_load(text)
        lines = _find_lines(yaml.compose(text, Loader=yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise RecipeError(origin, [_describe_yaml_error(error)]) from error
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
    kind, form, wrong = find_form(document)
    if wrong is not None:
        raise RecipeError(origin, [*faults, _add_line(wrong, lines)])
    recipe_type = narrow_recipe(kind, form)
    # Here besides, so that a wrong parameter is told of with the faults of all other sections.
    faults += [
        _describe_fault(detail, lines, recipe_type)
        for detail in find_parameter_errors(document, form)
    ]
    try:
        loaded = recipe_type.model_validate(document)
    except ValidationError as error:
        faults += [_describe_fault(dict(detail), lines, recipe_type) for detail in error.errors()]
        raise RecipeError(origin, faults) from None
    faults += [_add_line(fault, lines) for fault in check_recipe(loaded)]
    if faults:
        raise RecipeError(origin, faults)
    return loaded


def _add_line(fault: RecipeFault, lines: Mapping[str, int]) -> RecipeFault:
    """The fault with its line, or that of the nearest section around it."""
    parts = fault.path.split(".")
    known = (lines.get(".".join(parts[:end])) for end in range(len(parts), 0, -1))
    return replace(fault, line=next((line for line in known if line is not None), None))


def _read_text(recipe: str) -> tuple[str, str]:
    path = Path(recipe).expanduser()
    if path.suffix in {".yaml", ".yml"} or "/" in recipe:
        try:
            return str(path), path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8"
            fault = RecipeFault(
                "(file)", str(path), "be a readable YAML file", f"check the path: {reason}"
            )
            raise RecipeError(str(path), [fault]) from error
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


def _describe_yaml_error(error: yaml.YAMLError) -> RecipeFault:
    mark = getattr(error, "problem_mark", None)
    problem = str(getattr(error, "problem", None) or error)
    return RecipeFault(
        "(file)", problem, "be valid YAML", "mend the syntax there", mark.line + 1 if mark else None
    )


def _find_lines(node: yaml.Node | None, path: str = "") -> dict[str, int]:
    """Line of every key, by dotted path."""
    found: dict[str, int] = {}
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = f"{path}.{key.value}" if path else str(key.value)
            found[inner] = key.start_mark.line + 1
            found |= _find_lines(value, inner)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            inner = f"{path}.{index}"
            found[inner] = value.start_mark.line + 1
            found |= _find_lines(value, inner)
    return found


def _check_format(document: Mapping[str, Any], lines: Mapping[str, int]) -> list[RecipeFault]:
    """A format from the future is refused before its keys are misread."""
    got = document.get("format")
    if got == FORMAT:
        return []
    remedy = (
        "add `format: 1` at the top"
        if got is None
        else "use a Lepton that knows it, or write `format: 1`"
    )
    return [RecipeFault("format", _show(got), f"be {FORMAT}", remedy, lines.get("format"))]


def _apply_preset(
    document: dict[str, Any], overrides: Mapping[str, Any]
) -> tuple[dict[str, Any], list[RecipeFault]]:
    """A copy of the document with the settings of the preset that `train.preset` names, and the overrides over them.

    Presets are a file's own, `presets: {best: {train.max_epochs: 20}}`; the recipe holds what they
    come to.
    """
    document = {**document}
    presets = document.pop("presets", {})
    overridden, faults = _apply_overrides(document, overrides)
    train = overridden.get("train")
    name = train.get("preset") if isinstance(train, dict) else None
    if name is None:
        return overridden, faults
    if not isinstance(presets, dict) or not isinstance(presets.get(name), dict):
        known = ", ".join(presets) if isinstance(presets, dict) and presets else "none"
        remedy = (
            f"known here: {known}; or add it, as in presets: {{best: {{train.max_epochs: 20}}}}"
        )
        faults.append(
            RecipeFault("train.preset", _show(name), "be one of the recipe's presets", remedy)
        )
    else:
        overridden, faults = _apply_overrides(document, {**presets[name], **overrides})
    overridden["train"] = {
        key: value for key, value in overridden["train"].items() if key != "preset"
    }
    return overridden, faults


def _apply_overrides(
    document: dict[str, Any], overrides: Mapping[str, Any]
) -> tuple[dict[str, Any], list[RecipeFault]]:
    """A copy of the document with values set by dotted path."""
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
                        _show(value),
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


def _describe_fault(
    error: Mapping[str, Any], lines: Mapping[str, int], recipe_type: type[Recipe]
) -> RecipeFault:
    parts = [str(part) for part in error["loc"]]
    if parts[:1] == ["source"]:
        del parts[
            1:2
        ]  # The source's type, by which pydantic tells one source's keys from another's.
    path = ".".join(parts)
    kind, message, got = str(error["type"]), str(error["msg"]), _show(error["input"])
    line = next(
        (
            lines[".".join(parts[:end])]
            for end in range(len(parts), 0, -1)
            if ".".join(parts[:end]) in lines
        ),
        None,
    )
    if kind == "extra_forbidden":
        return RecipeFault(
            path, _show(error["input"]), "be a known key", _suggest_key(parts, recipe_type), line
        )
    if kind == "missing":
        return RecipeFault(path, "absent", "be given", f"add `{parts[-1]}:` there", line)
    sentence = message.removeprefix("Value error, ")
    rule, _, remedy = sentence.partition("; ")
    told = re.match(r"(\w+) \((.*?)\) must ", sentence)
    if told and isinstance(error["input"], dict) and told[1] in _known_keys(parts, recipe_type):
        # A section's own sentence says which of its keys is wrong.
        path, got = f"{path}.{told[1]}", told[2]
        line = lines.get(path, line)
    # A section's own sentence, "<what> (<value>) must <rule>; got <x>; <remedy>", says again what
    # stands here already.
    rule = re.sub(r"^.*? must |^(Input|Value|String|List|Tuple|Dictionary) should ", "", rule)
    rule = re.sub(r" after validation, not \d+$", "", rule)
    remedy = re.sub(r"^got [^;]*; ", "", remedy)
    return RecipeFault(path or "(recipe)", got, rule, remedy or "mend the value", line)


def _suggest_key(parts: Sequence[str], recipe_type: type[Recipe]) -> str:
    """What could be written instead of an unknown key."""
    known = _known_keys(parts[:-1], recipe_type)
    close = difflib.get_close_matches(parts[-1], known, n=1)
    hint = f"did you mean `{close[0]}`? " if close else ""
    return f"{hint}known here: {', '.join(known)}" if known else "remove it"


def _known_keys(parents: Sequence[str], recipe_type: type[Recipe]) -> list[str]:
    model: type[BaseModel] | None = recipe_type
    for parent in parents:
        field = model.model_fields.get(parent) if model is not None else None
        if field is None:
            return []
        choices = [field.annotation, *get_args(field.annotation)]
        model = next(
            (
                choice
                for choice in choices
                if isinstance(choice, type) and issubclass(choice, BaseModel)
            ),
            None,
        )
    return sorted(model.model_fields) if model is not None else []


def _show(value: Any) -> str:
    """A value as it stood in the file, short, without the secrets of a URL."""
    text = redact(value if isinstance(value, str) and "://" in value else repr(value))
    return text if len(text) <= 80 else text[:77] + "..."
