"""The base of every spec, and the names of components that a spec may hold."""

import re
from collections.abc import Callable, Iterable

from pydantic import BaseModel, ConfigDict

IMPORT_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


class Spec(BaseModel):
    """Base of every spec: immutable, and unknown keys are refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )


def is_import_path(name: str) -> bool:
    """Tells whether a component's name is a user's own, "package.module:Name"."""
    return IMPORT_PATH.fullmatch(name) is not None


def check_name(what: str, list_known: Callable[[], Iterable[str]], name: str) -> str:
    """Returns the name, if it is one of those known or an import path.

    Args:
        what: The kind of component, for messages.
        list_known: Gives the known names; asked late, so that plug-ins have theirs among them.
        name: The name.

    Raises:
        ValueError: It is neither.
    """
    if is_import_path(name) or name in (known := tuple(list_known())):
        return name
    raise ValueError(
        f"{what} ({name!r}) must be one of {', '.join(known)}, or an import path; got neither; "
        "choose one of them, or write your own as package.module:Name"
    )
