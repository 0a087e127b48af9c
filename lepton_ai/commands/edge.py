"""`lepton edge`: what runs on a device."""

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from deployments.targets.edge.state import StateFolder
from deployments.targets.trust.devices import check_device_class
from lepton_ai.commands.answering import ADD, say_model, say_ready
from lepton_ai.commands.common import (
    DEFAULT_WORKSPACE,
    Workspace,
    say,
    translate_errors,
    with_extra,
)
from lepton_ai.commands.serve_options import ApiKeys, Level, OpenToAll, TlsCertificate, TlsKey
from lepton_ai.extras import SERVE

app = typer.Typer(no_args_is_help=True)

INTERVAL_S = 30.0
SPOOL_BYTES = 256 * 2**20

State = Annotated[Path, typer.Option("--state", help="Folder of the device's key and spool.")]
Id = Annotated[
    str,
    typer.Option("--id", help="The device's id, unique in the workspace: a-z, 0-9, '.', '_', '-'."),
]

Channel = Annotated[
    str, typer.Option("--channel", help="Address of the channel: a path, a URL, or http(s).")
]
Uplink = Annotated[
    str,
    typer.Option(
        "--uplink", help="A workspace's `uplinks` folder at any URL, or an endpoint's /uplink."
    ),
]
DeviceClass = Annotated[
    str, typer.Option("--class", help="The class that the device was added with.")
]
Policy = Annotated[str, typer.Option("--policy", help="Which answers are kept: all, or sampled:P.")]
Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="0: a free one.")]
Host = Annotated[str, typer.Option("--host", help="Address to listen on.")]
Interval = Annotated[
    float,
    typer.Option(
        "--interval-s", min=0.05, help="Seconds between two looks at the channel, and sendings."
    ),
]
Kept = Annotated[
    Level,
    typer.Option(
        "--records", help="The most that is kept of what is asked; a recipe may say less."
    ),
]
SpoolBytes = Annotated[
    int, typer.Option("--spool-bytes", help="The most that what is kept takes on the disk.")
]


@app.command("enroll")
@translate_errors
def enroll(state: State, id: Id) -> None:
    """Make the device's key, once, and print the code by which a workspace comes to know it."""
    code = StateFolder(state).make_code(id)
    say(f"device {id}: {ADD} CODE --class CLASS")
    sys.stdout.write(code + "\n")


@app.command("run")
@with_extra("edge run", SERVE)
def run(
    channel: Channel,
    id: Id,
    state: State,
    uplink: Uplink,
    device_class: DeviceClass = "default",
    policy: Policy = "all",
    port: Port = 0,
    host: Host = "127.0.0.1",
    interval_s: Interval = INTERVAL_S,
    spool_bytes: SpoolBytes = SPOOL_BYTES,
    workspace: Workspace = DEFAULT_WORKSPACE,
    records: Kept = Level.FULL,
    api_keys: ApiKeys = None,
    tls_certificate: TlsCertificate = None,
    tls_key: TlsKey = None,
    open_to_all: OpenToAll = None,
) -> None:
    """Answer on this machine with a channel's champion, and send back what is kept.

    What was answered is durable before the answer goes out, and stays until it was acknowledged;
    days without a network are no fault. SIGTERM finishes what was taken, and exits with 0.
    """
    from deployments.targets.edge.agent import AgentSettings, run_agent
    from deployments.targets.serve.exposure import plan_exposure

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    check_device_class(device_class)
    folder = StateFolder(state)
    if not folder.is_enrolled:
        code = folder.make_code(id)
        say(f"device {id} is new here: {ADD} {code} --class {device_class}", "yellow")
    settings = AgentSettings(
        channel=channel,
        workspace=workspace,
        device=id,
        device_class=device_class,
        state=state,
        uplink=uplink,
        policy=policy,
        port=port,
        interval_s=interval_s,
        spool_bytes=spool_bytes,
        records=records.value,
        exposure=plan_exposure(
            host,
            api_keys=api_keys,
            tls_certificate=tls_certificate,
            tls_key=tls_key,
            open_to_all=bool(open_to_all),
        ),
    )
    scheme = settings.exposure.scheme
    run_agent(
        settings,
        on_loaded=say_model,
        on_ready=lambda listened, taken: say_ready(listened, taken, scheme),
    )
