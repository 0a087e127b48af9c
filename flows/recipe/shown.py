"""Shows what somebody wrote into a recipe, or called a flow with, without what may be secret.

A value is shown where the name it stands under is known: a field of a recipe, or an option that
holds no secret. Under any other name, misspelt or one level too high, it can be a secret, and its
type is told instead.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel

from flows.kinds import KINDS
from flows.recipe.model import Recipe, narrow_recipe
from lightning_modules.specs.forms import FORMS
from storage.base.redaction import MASK, mask_options, redact, show_name
from storage.base.shown import name_type

OPTIONS = "options"
PARAMETERS = frozenset(
    {"recipe", "workspace", "scheduler", "resume", "truth", "dataset", "out", "channel", "model"}
)


def hide_parameter(name: str, value: Any) -> Any:
    """Return a parameter of a flow as others may see and keep it; it need not be valid.

    Args:
        name: Name of the parameter.
        value: A recipe, or plain data such as `{"source.options.secret": "..."}`.
    """
    if isinstance(value, Recipe):
        return value.document
    return _hide((), value) if isinstance(value, Mapping) else _hide((name,), value)


def _hide(path: tuple[str, ...], value: Any) -> Any:
    if OPTIONS in path:
        return _hide_option(path[path.index(OPTIONS) + 1 :], value)
    if isinstance(value, Mapping):
        return {
            ".".join(map(show_name, str(key).split("."))): _hide(
                (*path, *str(key).split(".")), inner
            )
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_hide(path, item) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if path and path[-1] not in list_known_names():
        return MASK
    return (
        redact(value)
        if isinstance(value, str)
        else value
        if isinstance(value, int | float)
        else name_type(value)
    )


def _hide_option(path: Sequence[str], value: Any) -> Any:
    """Return options, or one of them by its path inside them, as they may be shown."""
    if not path:
        return mask_options(value) if isinstance(value, Mapping) else MASK
    for name in reversed(path):
        value = {name: value}
    shown: Any = mask_options(value)
    for _ in path:
        (shown,) = shown.values()
    return shown


@cache
def list_known_names() -> frozenset[str]:
    """Return the names of all fields of recipes of any kind and form, and of flows' parameters."""
    models: list[type[BaseModel]] = [
        narrow_recipe(kind.name, form) for kind in KINDS.rows for form in kind.forms
    ]
    models += [model for form in FORMS.rows for model in form.families.values()]
    seen: dict[type[BaseModel], None] = {}
    for model in models:
        _add_models(model, seen)
    return frozenset(PARAMETERS.union(*(model.model_fields for model in seen)))


def _add_models(annotation: Any, seen: dict[type[BaseModel], None]) -> None:
    """Adds the models that an annotation names, and those of their fields."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if annotation not in seen:
            seen[annotation] = None
            for field in annotation.model_fields.values():
                _add_models(field.annotation, seen)
        return
    for part in get_args(annotation):
        _add_models(part, seen)
