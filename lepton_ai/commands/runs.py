"""`lepton runs`: the runs of a workspace, and one page on all of them."""

from typing import TYPE_CHECKING, Annotated

import typer

from lepton_ai.commands.common import (
    DEFAULT_WORKSPACE,
    AsJson,
    Workspace,
    answer,
    on_platform,
    say,
)

if TYPE_CHECKING:
    from tasks.rendering.overview import RunLine

app = typer.Typer(invoke_without_command=True)
Limit = Annotated[int, typer.Option("--limit", min=1, help="How many of the newest are listed.")]


@app.callback()
@on_platform("runs")
def runs(
    context: typer.Context,
    workspace: Workspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
    limit: Limit = 50,
) -> None:
    """List the runs of a workspace, newest first: state, headline figure, time, page."""
    if context.invoked_subcommand is not None:
        context.obj = (workspace, as_json)
        return
    from flows.run.listing import list_runs

    found = list_runs(workspace)
    width = max((len(line.recipe) for line in found), default=0)
    for line in found[:limit]:
        answer(_list_fields(line), _tell(line, width), as_json)
    if not found:
        say(f"no run has ended in {workspace}, and none is at work; or give --workspace")
    elif len(found) > limit:
        say(f"and {len(found) - limit} older ones; --limit lists more")


@app.command()
@on_platform("runs")
def page(
    context: typer.Context, workspace: Workspace = DEFAULT_WORKSPACE, as_json: AsJson = False
) -> None:
    """Write one page on a workspace: runs, models, channels, and how the gates decided."""
    from flows.run.listing import write_page

    named, wants_json = context.obj
    address = write_page(workspace if workspace != DEFAULT_WORKSPACE else named)
    answer({"page": address}, address, as_json or wants_json)


def _list_fields(line: "RunLine") -> dict[str, object]:
    headline = line.headline
    return {
        "run": line.run,
        "recipe": line.recipe,
        "state": line.state,
        "at": line.at.isoformat(),
        "took_s": line.took_s,
        "headline": headline.model_dump() if headline is not None else None,
        "model_id": line.model_id,
        "channels": line.channels,
        "note": line.note,
        "page": line.page or None,
    }


def _tell(line: "RunLine", width: int) -> str:
    from tasks.rendering.text import format_seconds

    took = format_seconds(line.took_s) if line.took_s is not None else ""
    state = f"{line.state} {line.note}" if line.state == "stopped" else line.state
    rest = line.page or line.note
    return (
        f"{line.run}  {line.recipe:<{width}}  {line.at:%Y-%m-%d %H:%M}  {took:>12}  "
        f"{state:<24}  {line.figure:<26}  {rest}"
    ).rstrip()
