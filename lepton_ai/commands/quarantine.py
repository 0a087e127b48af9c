"""`lepton quarantine`: rows that a gate has set aside."""

import json
import sys
from typing import Annotated

import typer

from lepton_ai.commands.common import (
    DEFAULT_WORKSPACE,
    AsJson,
    Workspace,
    answer,
    fail,
    on_platform,
    parse_ids,
    say,
)
from storage.base.store import Store

app = typer.Typer(no_args_is_help=True)
ROW_ID = "a row id"
Raw = Annotated[str, typer.Argument(help="Name of a recipe, or of its raw data set.")]


@app.command("list")
@on_platform("quarantine")
def list_(
    name: Annotated[
        str | None,
        typer.Argument(help="Name of a recipe, or of its raw data set; all without one."),
    ] = None,
    workspace: Workspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """List the rows in quarantine by id, reason and source; without a name all quarantines."""
    if name is None:
        _list_all(workspace, as_json=as_json)
        return
    from storage.upkeep.quarantine import describe_rows, read_quarantine

    for row in describe_rows(read_quarantine(Store(workspace), _name_raw(name))):
        answer(row, f"{row['row_id']}  {row['source']}  {row['reason']}", as_json)


@app.command()
@on_platform("quarantine")
def show(
    name: Raw,
    row_id: Annotated[str, typer.Argument(help="Id of the row, decimal or 0x hexadecimal.")],
    workspace: Workspace = DEFAULT_WORKSPACE,
) -> None:
    """Show all fields of one row in quarantine, as JSON."""
    from storage.upkeep.quarantine import read_quarantine

    rows = read_quarantine(Store(workspace), _name_raw(name))
    wanted = parse_ids([row_id], ROW_ID)[0]
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
@on_platform("quarantine")
def release(
    name: Raw,
    row_id: Annotated[list[str], typer.Argument(help="Ids of rows, decimal or 0x hexadecimal.")],
    workspace: Workspace = DEFAULT_WORKSPACE,
) -> None:
    """Take rows out of quarantine: the next run that collects them keeps them."""
    from storage.upkeep.quarantine import release_rows

    count = release_rows(Store(workspace), _name_raw(name), parse_ids(row_id, ROW_ID))
    say(f"released {count} rows of {_name_raw(name)}; the next run keeps them")


def _list_all(workspace: str, *, as_json: bool) -> None:
    """Lists each quarantine in a line: its data set, and how many rows it holds."""
    from storage.upkeep.quarantine import list_quarantines

    found = list_quarantines(Store(workspace))
    for name, rows in found.items():
        answer({"dataset": name, "rows": rows}, f"{name}  {rows} rows", as_json)
    if not found:
        say(f"no rows were ever set aside in {Store(workspace).display}")


def _name_raw(name: str) -> str:
    return name if name.endswith("-raw") else f"{name.removesuffix('-quarantine')}-raw"
