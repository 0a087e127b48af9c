"""`lepton devices`: which devices may send to a workspace."""

from pathlib import Path
from typing import Annotated

import typer

from deployments.targets.errors import DeviceRefused
from deployments.targets.run.device_figures import accept_figures
from deployments.targets.trust.devices import (
    DeviceRecord,
    add_device,
    list_device_ids,
    read_device,
    revoke_device,
)
from lepton_ai.commands.common import (
    DEFAULT_WORKSPACE,
    EXIT_FAILED,
    AsJson,
    Workspace,
    answer,
    say,
    translate_errors,
)
from storage.base.shown import list_names
from storage.base.store import Store

app = typer.Typer(no_args_is_help=True)


@app.command("add")
@translate_errors
def add(
    code: Annotated[str, typer.Argument(help="What `lepton edge enroll` printed on the device.")],
    device_class: Annotated[str, typer.Option("--class", help="The class that it belongs to.")],
    group: Annotated[
        str | None, typer.Option("--group", help="The group that it belongs to.")
    ] = None,
    entity: Annotated[
        list[str] | None,
        typer.Option(
            "--entity",
            help="An entity of whose series it may tell, beside the one that it is named after.",
        ),
    ] = None,
    workspace: Workspace = DEFAULT_WORKSPACE,
) -> None:
    """Let a device send to the workspace; again with the same code to change what it may."""
    record = add_device(
        Store(workspace), code, device_class=device_class, group=group, entities=entity or ()
    )
    say(f"device {record.id} (key {record.public[:12]}) may send; {_describe(record)}")


@app.command("list")
@translate_errors
def list_(workspace: Workspace = DEFAULT_WORKSPACE, as_json: AsJson = False) -> None:
    """List all devices, the revoked ones too.

    A record that cannot be trusted is named, and then the exit status is 1.
    """
    store = Store(workspace)
    records, failed = [], False
    for device in list_device_ids(store):
        try:
            records.append(read_device(store, device))
        except DeviceRefused as error:
            failed = True
            say(f"error: {error}", "red")
    if as_json:
        answer({"devices": [record.model_dump(mode="json") for record in records]}, "", as_json)
    else:
        for record in records:
            answer({}, f"{record.id}  {_describe(record)}", as_json)
    if failed:
        raise typer.Exit(EXIT_FAILED)


@app.command("revoke")
@translate_errors
def revoke(
    device: Annotated[str, typer.Argument(help="The device's id.")],
    workspace: Workspace = DEFAULT_WORKSPACE,
) -> None:
    """Take nothing more from a device, for good; what it sent and nobody read yet is refused."""
    record = revoke_device(Store(workspace), device)
    say(f"device {record.id}: {_describe(record)}")


@app.command("figures")
@translate_errors
def figures(
    file: Annotated[
        Path,
        typer.Argument(
            exists=True, dir_okay=False, help="What `lepton measure --to` wrote on the device."
        ),
    ],
    workspace: Workspace = DEFAULT_WORKSPACE,
) -> None:
    """Take in what a device measured: its class's next release goes by that."""
    found = accept_figures(Store(workspace), file.read_bytes())
    say(f"took figures of {len(found.artifacts)} artifacts from device {found.device}")


def _describe(record: DeviceRecord) -> str:
    group = "" if record.group is None else f", group {record.group}"
    told = f", tells of {list_names(record.entities)}" if record.entities else ""
    revoked = "" if record.revoked_at is None else f", REVOKED {record.revoked_at:%Y-%m-%d %H:%M}"
    return (
        f"class {record.device_class}{group}{told}, enrolled {record.enrolled_at:%Y-%m-%d %H:%M} "
        f"by {record.enrolled_by[:12]}{revoked}"
    )
