"""`lepton quarantine`: rows that a gate has set aside."""

import json
import sys
from typing import Annotated, Any

import typer

from lepton_ai.commands.common import (
    DEFAULT_WORKSPACE,
    EXIT_USAGE,
    AsJson,
    Workspace,
    fail,
    require_platform,
    say,
    translate_errors,
)
from storage.base.store import Store

app = typer.Typer(no_args_is_help=True)
Raw = Annotated[str, typer.Argument(help="Name of a recipe, or of its raw data set.")]


@app.command("list")
@translate_errors
def list_(
    name: Annotated[
        str | None,
        typer.Argument(help="Name of a recipe, or of its raw data set; all without one."),
    ] = None,
    workspace: Workspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """List the rows in quarantine: id, reason, source; without a name the quarantines of the workspace."""
    if name is None:
        _list_all(workspace, as_json=as_json)
        return
    describe, read = _load_reader()
    for row in describe(read(Store(workspace), _name_raw(name))):
        text = f"{row['row_id']}  {row['source']}  {row['reason']}"
        sys.stdout.write((json.dumps(row) if as_json else text) + "\n")


@app.command()
@translate_errors
def show(
    name: Raw,
    row_id: Annotated[str, typer.Argument(help="Id of the row, decimal or 0x hexadecimal.")],
    workspace: Workspace = DEFAULT_WORKSPACE,
) -> None:
    """Show all fields of one row in quarantine, as JSON."""
    _, read = _load_reader()
    rows = read(Store(workspace), _name_raw(name))
    wanted = _parse_ids([row_id])[0]
    places = [place for place, found in enumerate(rows["row_id"].tolist()) if found == wanted]
    if not places:
        raise fail(
            f"row {row_id} must be in the quarantine of {name}; it is not; `lepton quarantine list "
            f"{name}`"
        )
    fields = {
        field: values[places[0]].tolist()
        for field, values in rows.items()
        if hasattr(values[0], "tolist")
    }
    fields |= {
        field: str(values[places[0]]) for field, values in rows.items() if field not in fields
    }
    sys.stdout.write(json.dumps(fields) + "\n")


@app.command()
@translate_errors
def release(
    name: Raw,
    row_id: Annotated[list[str], typer.Argument(help="Ids of rows, decimal or 0x hexadecimal.")],
    workspace: Workspace = DEFAULT_WORKSPACE,
) -> None:
    """Take rows out of quarantine: the next run that collects them keeps them."""
    try:
        from storage.upkeep.quarantine import release_rows
    except ImportError as error:
        raise require_platform(error, "quarantine") from error
    count = release_rows(Store(workspace), _name_raw(name), _parse_ids(row_id))
    say(f"released {count} rows of {_name_raw(name)}; the next run keeps them")


def _list_all(workspace: str, *, as_json: bool) -> None:
    """One line a quarantine: its data set, and how many rows it holds."""
    try:
        from storage.upkeep.quarantine import list_quarantines
    except ImportError as error:
        raise require_platform(error, "quarantine") from error
    found = list_quarantines(Store(workspace))
    for name, rows in found.items():
        sys.stdout.write(
            (json.dumps({"dataset": name, "rows": rows}) if as_json else f"{name}  {rows} rows")
            + "\n"
        )
    if not found:
        say(f"no rows were ever set aside in {Store(workspace).display}")


def _load_reader() -> tuple[Any, Any]:
    try:
        from storage.upkeep.quarantine import describe_rows, read_quarantine
    except ImportError as error:
        raise require_platform(error, "quarantine") from error
    return describe_rows, read_quarantine


def _name_raw(name: str) -> str:
    return name if name.endswith("-raw") else f"{name.removesuffix('-quarantine')}-raw"


def _parse_ids(texts: list[str]) -> list[int]:
    try:
        return [int(text, 0) for text in texts]
    except ValueError as error:
        raise fail(
            f"a row id must be a whole number, decimal or 0x hexadecimal; got {texts}", EXIT_USAGE
        ) from error
