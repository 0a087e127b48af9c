"""Looks at data that nobody has described, and drafts a recipe for it."""

from collections.abc import Mapping
from dataclasses import replace

from pydantic import JsonValue

from storage.base.path_patterns import list_names
from storage.base.redaction import redact
from tasks.drafting.anomalies import draft_anomalies
from tasks.drafting.arrays import draft_arrays
from tasks.drafting.columns import profile_column
from tasks.drafting.composed import list_candidates
from tasks.drafting.draft import Draft
from tasks.drafting.finding import Material, find_material, name_recipe
from tasks.drafting.guesses import LIKELY, SURE, DraftError, Notes
from tasks.drafting.idx import draft_idx
from tasks.drafting.inputs import Roles
from tasks.drafting.lives import find_lives
from tasks.drafting.pictures import draft_pictures
from tasks.drafting.raw_limits import find_missing_texts
from tasks.drafting.roles import find_roles
from tasks.drafting.series import draft_series
from tasks.drafting.tables import Looked, look_at_table
from tasks.drafting.tabular import draft_tabular, tell_left_out
from tasks.drafting.window_tasks import draft_windows, prefer_series

DRAFTS = {
    "tabular-classification": draft_tabular,
    "tabular-regression": draft_tabular,
    "anomaly-detection": draft_anomalies,
    "forecasting": draft_series,
    "series-classification": draft_windows,
    "series-regression": draft_windows,
}
"""What drafts a recipe for columns, by its kind."""
PICTURES = {"images": draft_pictures, "idx": draft_idx, "arrays": draft_arrays}
"""What drafts one for pictures and arrays, by the type of their source."""


def look_and_draft(
    url: str,
    target: str | None = None,
    kind: str | None = None,
    name: str | None = None,
    options: Mapping[str, JsonValue] | None = None,
    weights: str | None = None,
) -> Draft:
    """Look at data, and draft a recipe for them.

    Args:
        url: A file, a folder or a glob, at any URL.
        target: Column that is asked for; None to guess it.
        kind: Kind of the recipe; None to guess it.
        name: Name of the recipe; None for one after the URL.
        options: Options of the URL's file system, as `{"anon": True}`.
        weights: Address of weights that a network of pictures starts from.

    Raises:
        DraftError: Nothing can be drafted; the message names the remedy.
    """
    notes = Notes()
    material = replace(find_material(url, notes, options), weights=weights)
    if weights is not None and material.type != "images":
        raise DraftError(
            f"--start-from ({redact(weights)}) must be left out where no files of pictures are "
            f"learned from; got a source of type {material.type}; write train.start_from by hand"
        )
    called = name or name_recipe(material.url)
    if name is None:
        notes.add("name", called, LIKELY, "after the file or folder; else give --name")
    if kind is not None:
        notes.add("kind", kind, SURE, "given")
    draw = PICTURES.get(material.type, _draft_columns)
    draft = draw(material, target, kind, called, notes)
    if not (kept := material.name_options(notes)):
        return draft
    source = {**draft.document["source"], "options": kept}
    return replace(draft, document={**draft.document, "source": source})


def _draft_columns(
    material: Material, target: str | None, kind: str | None, name: str, notes: Notes
) -> Draft:
    looked, roles, missing = guess_roles(material, target, kind, notes)
    draft = DRAFTS.get(roles.kind)
    if draft is None:
        known = ", ".join(DRAFTS)
        raise DraftError(
            f"--kind ({roles.kind}) must be one that can be drafted for columns; choose one of "
            f"{known}, or write the recipe by hand, as in docs/recipe.md"
        )
    tell_left_out(roles, notes)
    return draft(looked, roles, missing, name, notes)


def guess_roles(
    material: Material, target: str | None, kind: str | None, notes: Notes
) -> tuple[Looked, Roles, list[str]]:
    """Read the first rows of a table, and guess what each column is for.

    Returns:
        The rows, the roles, and texts beyond the usual ones that stand for a missing value.
    """
    looked = look_at_table(material, notes)
    columns = [
        profile_column(column, looked.table.column(column)) for column in looked.table.column_names
    ]
    for column in columns:
        column.of_path = column.name in list_names(looked.path_columns)
    missing = find_missing_texts(columns, notes)
    files = len(looked.rows_by_file)
    told = any(candidate.is_plain for candidate in list_candidates(columns, files))
    # The hours of a day count up, too, and are no life.
    roles = None if told else find_lives(columns, target, kind, notes)
    if roles is None:
        found = find_roles(columns, target, kind, files, notes)
        roles = prefer_series(found, columns, kind, notes)
    return looked.use_path(roles.names), roles, missing
