"""Finds channels of a recipe that carry another task's models, before anything is collected."""

from collections.abc import Mapping
from typing import Any

from deployments.targets.errors import TargetError
from deployments.targets.publish.channel import open_channel, read_champion
from flows.errors import RecipeFault
from flows.recipe.model import Recipe
from storage.base.errors import StorageError
from storage.base.store import Store
from storage.records.receipt_files import read_receipt


def find_clashes(recipe: Recipe, workspace: str) -> list[RecipeFault]:
    """Return the channels whose model takes other samples: a new one cannot be compared with it.

    What cannot be read here is left to the run, which says so.

    Args:
        recipe: What is to be carried out.
        workspace: Folder or URL of the workspace.
    """
    found = []
    for channel in recipe.targets:
        theirs = _read_promoted(workspace, channel)
        differ = [] if theirs is None else _compare(recipe.document, theirs)
        if theirs is not None and differ:
            got = f"recipe {theirs.get('name')}, of which differ: {', '.join(differ)}"
            rule = "carry models for the same samples, which can be compared"
            remedy = "name another channel in targets, or use another workspace"
            found.append(RecipeFault(f"targets.{channel}", got, rule, remedy))
    return found


def _read_promoted(workspace: str, channel: str) -> Mapping[str, Any] | None:
    """Return the recipe of a channel's model; None where there is none that can be read."""
    try:
        store = Store(workspace)
        release = read_champion(open_channel(store, channel))
        if release is None:
            return None
        document = read_receipt(store, release.receipt).receipt.recipe.get("document")
    except (StorageError, TargetError):
        return None
    return document if isinstance(document, dict) else None


def _compare(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """Return what differs, by its path: of one task what a sample holds, of two also its names."""
    shapes = _describe_shapes(ours), _describe_shapes(theirs)
    differ = [path for path, value in shapes[0].items() if value != shapes[1][path]]
    if ours.get("name") == theirs.get("name") or differ:
        return differ
    names = _describe_names(ours), _describe_names(theirs)
    return [path for path, value in names[0].items() if value != names[1][path]]


def _describe_names(document: Mapping[str, Any]) -> dict[str, Any]:
    data = document.get("data") or {}
    return {f"data.{name}": data.get(name) for name in ("numbers", "texts", "labels", "target")}


def _describe_shapes(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what makes two models' samples and answers of one shape or of two."""
    data, model = document.get("data") or {}, document.get("model") or {}
    window, image = model.get("window") or {}, data.get("image") or {}
    counts = {f"data.{n}": len(data.get(n) or ()) for n in ("numbers", "texts", "labels")}
    steps = {f"model.window.{name}": window.get(name) for name in ("lookback", "horizon")}
    # Models made before these keys were have neither.
    lead, known = window.get("lead") or 0, window.get("known") or ()
    return {
        "kind": document.get("kind"),
        "model.window.lead": lead,
        "model.window.known": len(known),
        "data.image.shape": list(image.get("shape") or ()),
        **counts,
        **steps,
        "model.window.targets": len(window.get("targets") or ()),
    }
