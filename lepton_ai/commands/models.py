"""`lepton models`: the models of a workspace, what they reach, and where they are or were live."""

from typing import TYPE_CHECKING, Annotated

import typer

from lepton_ai.commands.common import (
    DEFAULT_WORKSPACE,
    AsJson,
    Workspace,
    answer,
    fail,
    on_platform,
    say,
)
from lepton_ai.commands.deciding import Author, name_author, parse_time, parse_words
from storage.base.store import Store

if TYPE_CHECKING:
    from tasks.release.shelf import Shelf

app = typer.Typer(no_args_is_help=True)
Model = Annotated[
    str, typer.Argument(metavar="MODEL", help="A tag, a model id, or 8 digits of it.")
]


@app.command("list")
@on_platform("models")
def list_(
    at: Annotated[
        str | None,
        typer.Option("--at", help="Only what served then: a time by ISO 8601, else UTC."),
    ] = None,
    workspace: Workspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """List the models, newest first: figure, tags, and where they are live, or were at a time."""
    from tasks.release.tables import describe_model, tell_model

    shelf = _read(workspace)
    moment = parse_time(at, "--at")
    shown = 0
    for model in shelf.models:
        if moment is not None:
            stays = tuple(stay for stay in model.stays if stay.was_live(moment))
            model = model.model_copy(update={"stays": stays})
            if not stays:
                continue
        shown += 1
        answer(describe_model(model), tell_model(model, moment), as_json)
    if not shown:
        what = "no model has a receipt" if moment is None else f"nothing was live at {moment}"
        say(f"{what} in {workspace}; or give --workspace")


@app.command()
@on_platform("models")
def show(model: Model, workspace: Workspace = DEFAULT_WORKSPACE, as_json: AsJson = False) -> None:
    """Show a model: figures, data versions, artifacts, where it is and was live, its tags."""
    from tasks.release.tables import describe_model, show_model

    found = _read(workspace).find(model)
    answer(describe_model(found), show_model(found), as_json)


@app.command()
@on_platform("models")
def compare(
    models: Annotated[list[str], typer.Argument(metavar="MODEL MODEL...", help="Tags or ids.")],
    workspace: Workspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Show figures side by side, with their intervals, and what each model learned from."""
    from tasks.release.tables import compare_models, show_comparison

    shelf = _read(workspace)
    found = compare_models([shelf.find(each) for each in models])
    answer(found.model_dump(mode="json"), show_comparison(found), as_json)


@app.command()
@on_platform("models")
def tag(
    model: Model,
    name: Annotated[str, typer.Argument(help="The tag.")],
    move: Annotated[bool, typer.Option("--move", help="Take it from another model.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Take it from this model.")] = False,
    author: Author = None,
    workspace: Workspace = DEFAULT_WORKSPACE,
) -> None:
    """Let a model go by a name; as long as it does, no clean-up removes it."""
    from tasks.release.shelf import tag_model, untag_model

    found, store = _read(workspace).find(model), Store(workspace)
    if remove:
        untag_model(store, found, name)
        say(f"model {found.id[:12]} is no longer {name}")
        return
    tag_model(store, found, name, author=name_author(author), move=move)
    say(f"model {found.id[:12]} is now {name}")


@app.command()
@on_platform("models")
def retire(
    model: Model,
    reason: Annotated[
        str, typer.Option("--reason", prompt=True, callback=parse_words, help="Why; it is kept.")
    ],
    author: Author = None,
    workspace: Workspace = DEFAULT_WORKSPACE,
) -> None:
    """Say that a model is over: the next `lepton gc` removes its files; receipts stay."""
    from tasks.release.shelf import retire_model

    shelf = _read(workspace)
    found = shelf.find(model)
    if shelf.faults:
        raise fail(f"model ({found.id[:12]}) must be known to be live nowhere; mend that first")
    retire_model(Store(workspace), found, author=name_author(author), reason=reason)
    say(f"model {found.id[:12]} is retired")


def _read(workspace: str) -> "Shelf":
    """Read the shelf; whatever could not be read is said, since a model may be live there."""
    from tasks.release.shelf import read_shelf

    shelf = read_shelf(Store(workspace))
    for fault in shelf.faults:
        say(f"warning: {fault}", "yellow")
    return shelf
