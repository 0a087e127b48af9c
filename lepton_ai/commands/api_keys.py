"""`lepton keys api`: who may ask an endpoint."""

import sys
from pathlib import Path
from typing import Annotated, cast

import typer

from deployments.targets.trust.api_keys import (
    ACCESSES,
    Access,
    ApiKey,
    add_api_key,
    drop_api_key,
    list_api_keys,
)
from lepton_ai.commands.common import EXIT_USAGE, AsJson, answer, fail, say, translate_errors

app = typer.Typer(no_args_is_help=True)
Folder = Annotated[
    Path | None, typer.Option("--into", help="Folder of keys; that of the config directory.")
]


@app.command("add")
@translate_errors
def add(
    name: Annotated[str, typer.Argument(help="Who is to have it.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(help=f"{', '.join(ACCESSES)}; again for more. Default: predict, feedback."),
    ] = None,
    rate: Annotated[
        float | None, typer.Option(help="Requests a second that it may make on average.")
    ] = None,
    days: Annotated[float | None, typer.Option(help="Days until it ends.")] = None,
    into: Folder = None,
) -> None:
    """Make a key and print it; it is kept nowhere, an endpoint knows its digest alone."""
    wanted = scope or ["predict", "feedback"]
    if unknown := [word for word in wanted if word not in ACCESSES]:
        raise fail(
            f"scope must be one of {', '.join(ACCESSES)}; got {unknown[0][:40]!r}", EXIT_USAGE
        )
    scopes = cast("tuple[Access, ...]", tuple(wanted))
    record, key = add_api_key(name, scopes, rate_per_s=rate, days=days, folder=into)
    say(f"API key {record.id} of {name}, for {', '.join(record.scopes)}; it is shown this once:")
    sys.stdout.write(key + "\n")


@app.command("list")
@translate_errors
def list_(into: Folder = None, as_json: AsJson = False) -> None:
    """List the keys that endpoints with these settings accept."""
    for record in list_api_keys(into).values():
        answer(record.model_dump(mode="json", exclude={"sha256"}), _tell(record), as_json)


@app.command("drop")
@translate_errors
def drop(
    id: Annotated[str, typer.Argument(help="The key's id, as `list` shows it.")],
    into: Folder = None,
) -> None:
    """Drop a key for good; running endpoints refuse it within a second."""
    record = drop_api_key(id, into)
    say(f"dropped API key {record.id} of {record.name}")


def _tell(record: ApiKey) -> str:
    rate = "any rate" if record.rate_per_s is None else f"{record.rate_per_s:g}/s"
    end = "no end" if record.ends_at is None else f"until {record.ends_at:%Y-%m-%d %H:%M} UTC"
    return f"{record.id}  {record.name}  {', '.join(record.scopes)}  {rate}  {end}"
