"""Finds the components that a spec names: built-in ones, or a user's own by import path."""

from collections.abc import Callable, Mapping
from typing import Any, cast

from lightning_modules.errors import SpecError
from lightning_modules.specs.base import is_import_path
from storage.base.parts import import_own


def load_component(
    name: str, *, what: str, known: Mapping[str, Callable[..., Any]]
) -> Callable[..., Any]:
    """Returns the callable that a name stands for.

    Args:
        name: A key of `known`, or "package.module:Name".
        what: The kind of component, for messages ("network", "loss", ...).
        known: Built-in components.

    Raises:
        SpecError: The name is neither, its module cannot be imported, or holds no such callable.
    """
    if name in known:
        return known[name]
    if not is_import_path(name):
        raise SpecError(
            f"{what} ({name!r}) must be one of {', '.join(sorted(known))}, or an import path; got "
            "neither; choose one of them, or write your own as package.module:Name"
        )
    module_name, _, attribute = name.partition(":")
    try:
        component = getattr(import_own(module_name), attribute)
    except Exception as error:
        raise SpecError(
            f"{what} ({name!r}) must be importable; got {type(error).__name__}: {error}; install "
            "its package in the environment of Lepton, and check the spelling"
        ) from error
    if not callable(component):
        raise SpecError(
            f"{what} ({name!r}) must be a class or a function; got {type(component).__name__}; "
            "name a callable"
        )
    return cast(Callable[..., Any], component)


def build_component(
    builder: Callable[..., Any], *args: object, what: str, name: str, **params: object
) -> Any:
    """Calls a builder; what it refuses comes back as one sentence.

    Raises:
        SpecError: The builder refused its parameters, or failed.
    """
    try:
        return builder(*args, **params)
    except SpecError:
        raise
    except Exception as error:
        raise SpecError(
            f"{what} ({name!r}) must accept its parameters {params!r}; got {type(error).__name__}: "
            f"{error}; correct `params` in the recipe"
        ) from error
