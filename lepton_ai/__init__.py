"""The one import surface of Lepton: `lepton_ai.run("digits", workspace="./workspace")`.

Importing it costs nothing: each name is imported when it is first used, so that a device, which
has neither torch nor prefect, imports it as well as a platform does.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lepton_ai.extras import explain_absence

if TYPE_CHECKING:
    from flows.errors import GateStopped
    from flows.lifecycle import lifecycle as run
    from flows.recipe.load import load_recipe
    from flows.recipe.model import Recipe
    from lepton_ai.client.async_client import AsyncClient
    from lepton_ai.client.client import Client
    from storage.records.receipts import Receipt

__all__ = ["AsyncClient", "Client", "GateStopped", "Receipt", "Recipe", "load_recipe", "run"]

_PLACES = {
    "AsyncClient": ("lepton_ai.client.async_client", "AsyncClient"),
    "Client": ("lepton_ai.client.client", "Client"),
    "GateStopped": ("flows.errors", "GateStopped"),
    "Receipt": ("storage.records.receipts", "Receipt"),
    "Recipe": ("flows.recipe.model", "Recipe"),
    "load_recipe": ("flows.recipe.load", "load_recipe"),
    "run": ("flows.lifecycle", "lifecycle"),
}


def __getattr__(name: str) -> Any:
    """Imports a name when it is first used.

    Raises:
        AttributeError: There is no such name.
        ImportError: It needs packages that are not installed; says which extra brings them.
    """
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _PLACES[name]
    try:
        value = getattr(import_module(module), attribute)
    except ImportError as error:
        raise ImportError(
            explain_absence(f"{__name__}.{name}", error), name=error.name, path=error.path
        ) from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
