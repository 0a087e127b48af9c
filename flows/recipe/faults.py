"""Tells what is wrong with a recipe, by path, line, value and remedy."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from flows.errors import RecipeFault
from flows.recipe.model import Recipe
from lightning_modules.specs.forms import FORMS, check_params
from storage.base.redaction import show_name
from storage.base.shown import name_type, show_value
from storage.sources import find_sources

OPTIONS, UNKNOWN_PARAMETER = "options", "unknown_parameter"
QUOTE = "'"
NETWORKS = (("model", "network"), ("compress", "student"))
"""Sections of a recipe that are networks."""
_LISTS_WANTED = ("list_type", "tuple_type")
_WRITTEN_OTHERWISE = (*_LISTS_WANTED, "string_type")
SECTIONS_WANTED = ("dict_type", "mapping_type", "model_type", "model_attributes_type")


def find_parameter_errors(document: Mapping[str, Any], form: str) -> list[dict[str, Any]]:
    """Return the faults of the networks' parameters, whatever else is wrong.

    They are told as pydantic tells them.
    """
    return [error for place in NETWORKS for error in _find_errors(document, form, place)]


def _find_errors(
    document: Mapping[str, Any], form: str, place: tuple[str, ...]
) -> list[dict[str, Any]]:
    section: Any = document
    for name in place:
        section = section.get(name) if isinstance(section, Mapping) else None
    if not isinstance(section, Mapping):
        return []
    family, params = section.get("family", "cnn"), section.get("params", {})
    if not isinstance(family, str) or not isinstance(params, dict):
        return []
    try:
        check_params(form, family, params)
    except ValidationError as error:
        details = error.errors()
        # A list with a wrong item is too short only because that item does not count.
        inner = {detail["loc"][:-1] for detail in details}
        return [
            {**detail, "loc": (*place, "params", *detail["loc"])}
            | _name_known(detail, form, family)
            for detail in details
            if not (detail["type"] == "too_short" and detail["loc"] in inner)
        ]
    return []


def _name_known(detail: Any, form: str, family: str) -> dict[str, Any]:
    """Return what could stand instead of a parameter that the family does not have."""
    if detail["type"] != "extra_forbidden":
        return {}
    known = ", ".join(sorted(FORMS.find(form).families[family].model_fields)) or "none"
    return {
        "type": UNKNOWN_PARAMETER,
        "msg": f"be a parameter of {family}; known here: {known}",
    }


def add_line(fault: RecipeFault, lines: Mapping[str, int]) -> RecipeFault:
    """Return the fault with its line, or with that of the nearest section around it."""
    return replace(fault, line=_find_line(fault.path.split("."), lines))


def _find_line(parts: Sequence[str], lines: Mapping[str, int]) -> int | None:
    known = (lines.get(".".join(parts[:end])) for end in range(len(parts), 0, -1))
    return next((line for line in known if line is not None), None)


def describe_fault(
    error: Mapping[str, Any], lines: Mapping[str, int], recipe_type: type[Recipe]
) -> RecipeFault:
    """Return the fault of one section, made from what pydantic says of it.

    Args:
        error: One entry of `ValidationError.errors()`.
        lines: Line of every key of the file, by dotted path.
        recipe_type: What the recipe is checked by.
    """
    parts = [str(part) for part in error["loc"]]
    source = None
    if parts[:1] == ["source"]:
        # The source's type, by which pydantic tells one source's keys from another's.
        source = find_sources().get("".join(parts[1:2]))
        del parts[1:2]
    line = _find_line(parts, lines)
    path = ".".join(map(show_name, parts) if parts[:1] == ["source"] else parts)
    if error["type"] == "extra_forbidden":
        # A secret one level too high looks like this: of an unknown key no value is told.
        got = name_type(error["input"])
        path = ".".join([*parts[:-1], show_name(parts[-1])])
        return RecipeFault(
            path, got, "be a known key", _suggest_key(parts, recipe_type, source), line
        )
    if error["type"] == "union_tag_invalid":
        return _describe_tag(path, error["ctx"], lines)
    # What stands where a section belongs can be all of it, as one text.
    hidden = OPTIONS in parts or error["type"] in SECTIONS_WANTED
    got = (name_type if hidden else show_value)(error["input"])
    if error["type"] == UNKNOWN_PARAMETER:
        path, got = ".".join([*parts[:-1], show_name(parts[-1])]), name_type(error["input"])
        return RecipeFault(path, got, *_split_sentence(str(error["msg"])), line)
    if error["type"] == "missing":
        return RecipeFault(path, "absent", "be given", f"add `{parts[-1]}:` there", line)
    sentence = str(error["msg"]).removeprefix("Value error, ")
    told = re.match(r"(\w+) \((.*?)\) must ", sentence)
    if told and isinstance(error["input"], dict) and told[1] in _known_keys(parts, recipe_type):
        # A section's own sentence says which of its keys is wrong.
        path, got = f"{path}.{told[1]}", told[2]
        line = lines.get(path, line)
    rule, remedy = _split_sentence(sentence)
    if error["type"] in _WRITTEN_OTHERWISE and not hidden:
        rule, remedy = _explain_type(str(error["type"]), error["input"])
    return RecipeFault(path or "(recipe)", got, rule, remedy or "mend the value", line)


def _describe_tag(section: str, told: Mapping[str, Any], lines: Mapping[str, int]) -> RecipeFault:
    """Return the fault of a section that is of none of the known types."""
    path = f"{section}.{str(told['discriminator']).strip(QUOTE)}"
    rule = f"be one of {str(told['expected_tags']).replace(QUOTE, '')}"
    line = lines.get(path, lines.get(section))
    return RecipeFault(path, show_value(told["tag"]), rule, "choose one of them", line)


def describe_sentence(section: str, sentence: str) -> RecipeFault:
    """Return the fault of a section whose own sentence begins with the key, as a spec's does.

    Args:
        section: Path of the section.
        sentence: "<key> (<value>) must <rule>; <remedy>".
    """
    told = re.match(r"(\w+) \((.*?)\) must ", sentence)
    path, got = (f"{section}.{told[1]}", told[2]) if told else (section, "so")
    rule, remedy = _split_sentence(sentence)
    return RecipeFault(path, got, rule, remedy)


def _split_sentence(sentence: str) -> tuple[str, str]:
    """Return rule and remedy of a sentence, without what path and value say already.

    A section's own sentence is "<what> (<value>) must <rule>; got <x>; <remedy>".
    """
    rule, _, remedy = sentence.partition("; ")
    rule = re.sub(r"^.*? must |^(Input|Value|String|List|Tuple|Dictionary) should ", "", rule)
    rule = re.sub(r" after validation, not \d+$", "", rule)
    return rule, re.sub(r"^got [^;]*; ", "", remedy)


def _explain_type(kind: str, value: Any) -> tuple[str, str]:
    """Return rule and remedy of a value that YAML takes for another than was meant."""
    if kind in _LISTS_WANTED:
        shown = show_value(value)
        return "be a list", f"put it in brackets: [{shown}]" if _is_plain(value) else "write a list"
    if isinstance(value, bool):
        return "be a text; YAML takes Yes, No, On and Off for true and false", "put it in quotes"
    if isinstance(value, list):
        return "be a text; YAML takes brackets for a list", "put it in quotes, brackets and all"
    if value is None:
        return "be a text; YAML takes null, ~ and nothing for none", "write a text, in quotes"
    return "be a text", "put it in quotes" if _is_plain(value) else "write a text"


def _is_plain(value: Any) -> bool:
    """Return whether a value is a single one, and no list or section."""
    return isinstance(value, str | int | float | bool)


def _suggest_key(
    parts: Sequence[str], recipe_type: type[Recipe], source: type[BaseModel] | None
) -> str:
    """Return what could be written instead of an unknown key."""
    direct = source is not None and len(parts) == 2
    known = (
        sorted(source.model_fields)
        if source is not None and direct
        else _known_keys(parts[:-1], recipe_type)
    )
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
