"""Drafts a recipe for data that nobody has described, and makes sure that it can be carried out."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from flows.errors import FlowError, RecipeError
from flows.kinds import KINDS
from flows.recipe.document import read_document
from flows.recipe.load import load_recipe
from storage.base.shown import show_value
from tasks.drafting.draft import Draft
from tasks.drafting.guesses import DraftError
from tasks.drafting.looking import look_and_draft
from tasks.drafting.writing import write_recipe

INTRO = (
    "Drafted by looking at the data. Above each key stands what was guessed, how sure that is "
    "(sure, likely, unsure, or unknown where only you can know), and why. Mend what is wrong, "
    "then: lepton check FILE, lepton run FILE."
)


class NoDraft(FlowError):
    """No recipe can be drafted; the message says why, and what to do."""


@dataclass(frozen=True)
class Drafted:
    """A recipe that was drafted, and its text.

    Attributes:
        draft: What was guessed.
        text: The YAML file's content.
    """

    draft: Draft
    text: str


def draft_recipe(
    url: str,
    target: str | None = None,
    kind: str | None = None,
    name: str | None = None,
    options: Mapping[str, JsonValue] | None = None,
    weights: str | None = None,
) -> Drafted:
    """Look at data, and draft a recipe that loads.

    Args:
        url: A file, a folder or a glob, at any URL.
        target: Column that is asked for; None to guess it.
        kind: Kind of the recipe; None to guess it.
        name: Name of the recipe; None for one after the URL.
        options: Options of the URL's file system, as `{"anon": True}`.
        weights: Address of weights that a network of pictures starts from; None draws them.

    Raises:
        NoDraft: Nothing can be drafted; the message names the remedy.
    """
    if kind is not None and kind not in KINDS:
        known = ", ".join(KINDS)
        raise NoDraft(
            f"--kind ({show_value(kind)}) must be a kind of recipe; choose one of {known}"
        )
    try:
        draft = look_and_draft(url, target, kind, name, options, weights)
    except DraftError as error:
        raise NoDraft(str(error)) from error
    text = write_recipe(draft.document, draft.guesses, INTRO)
    try:
        load_recipe(read_document(text).value)
    except RecipeError as error:
        raise NoDraft(
            f"what was drafted cannot be a recipe: {error}\n  write the recipe by hand, as in "
            "docs/recipe.md, or give --target and --kind"
        ) from error
    return Drafted(draft, text)
