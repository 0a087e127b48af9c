"""`lepton serve`: an endpoint that answers over HTTP with a channel's champion."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deployments.targets.follow.follower import Follower
from deployments.targets.run.live import Runtime
from deployments.targets.trust.devices import check_device_class, check_device_id
from deployments.targets.trust.rollout import Taker
from lepton_ai.commands.answering import ADD, say_model, say_ready
from lepton_ai.commands.common import say, with_extra
from lepton_ai.commands.serve_options import ApiKeys, Level, OpenToAll, TlsCertificate, TlsKey
from lepton_ai.extras import SERVE
from storage.base.store import Store

if TYPE_CHECKING:
    from deployments.targets.edge.records import EndpointRecords
    from deployments.targets.serve.exposure import Exposure
    from deployments.targets.serve.settings import ServeSettings
    from deployments.targets.serve.workers import Worker

_RECORDS = "Records"
_ACTS = ("config", "check")
"""Options that are no settings."""


@with_extra("serve", SERVE)
def serve(
    context: typer.Context,
    channel: Annotated[
        str | None,
        typer.Option(
            help="Channel in the workspace (edge, cloud), or the address of one. Default: cloud."
        ),
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="0: a free one. Default: 8080.")
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            help="Address to listen on; 0.0.0.0 lets other machines ask. Default: 127.0.0.1."
        ),
    ] = None,
    workspace: Annotated[
        str | None,
        typer.Option(
            "--workspace",
            "-w",
            help="Folder or URL that holds everything a project makes. Default: ./workspace.",
            envvar="LEPTON_WORKSPACE",
        ),
    ] = None,
    id: Annotated[
        str | None, typer.Option("--id", help="The endpoint's id, the first half of answer ids.")
    ] = None,
    device_class: Annotated[
        str | None, typer.Option("--class", help="The class of devices that the endpoint is of.")
    ] = None,
    interval_s: Annotated[
        float | None,
        typer.Option(min=0.05, help="Seconds between two looks at the channel. Default: 30."),
    ] = None,
    api_keys: ApiKeys = None,
    tls_certificate: TlsCertificate = None,
    tls_key: TlsKey = None,
    open_to_all: OpenToAll = None,
    records: Annotated[
        Level | None,
        typer.Option(
            help="The most that is kept of what is asked; a recipe may say less. Default: off.",
            rich_help_panel=_RECORDS,
        ),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(help="Folder of the endpoint's key and spool.", rich_help_panel=_RECORDS),
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(help="all, or sampled:P. Default: all.", rich_help_panel=_RECORDS),
    ] = None,
    spool_bytes: Annotated[
        int | None,
        typer.Option(
            min=2**20,
            help="The most that they take on the disk. Default: 256 MiB.",
            rich_help_panel=_RECORDS,
        ),
    ] = None,
    uplink: Annotated[
        str | None,
        typer.Option(
            help="Where they are sent. Default: the workspace's uplinks.", rich_help_panel=_RECORDS
        ),
    ] = None,
    log: Annotated[
        str | None,
        typer.Option(help="json: lines of JSON on stderr, one a request besides. Default: text."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, max=64, help="Processes that answer behind the port. Default: 1."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="TOML file of the same settings; options come before it.")
    ] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Verify, load and test the model, look at all settings; then end."
        ),
    ] = False,
) -> None:
    """Answer over HTTP with a channel's champion, and follow the channel.

    A newer release is verified and tested before it answers; no request fails meanwhile. SIGTERM
    finishes what was taken, and exits with 0. Beyond this machine it listens only with API keys or
    TLS, or where it is told to be open to all.
    """
    from deployments.targets.serve.settings import load_settings

    given = {name: value for name, value in context.params.items() if name not in _ACTS}
    run_endpoint(load_settings(config, given), check=check)


def run_endpoint(settings: "ServeSettings", *, check: bool = False) -> None:
    """Serve until the process is told to stop, or only look whether it could."""
    from deployments.targets.serve.server import check_address
    from deployments.targets.serve.watch import start_log

    start_log(settings.log)
    exposure = settings.plan_exposure()
    if settings.id is not None:
        last = "" if settings.workers == 1 else f"-{settings.workers - 1}"
        check_device_id(settings.id + last)
    worker = None if check or settings.workers == 1 else _fork(settings, exposure)
    device_class = settings.device_class and check_device_class(settings.device_class)
    taker = Taker(settings.id, device_class)
    runtime = Runtime(settings.channel, settings.workspace, taker=taker)
    if worker is None or worker.number == 0:
        say_model(runtime)
    kept = _open_records(settings)
    try:
        if check:
            check_address(settings.host, settings.port)
        else:
            _answer(settings, exposure, runtime, kept, worker)
    finally:
        if kept is not None:
            kept.close()


def _fork(settings: "ServeSettings", exposure: "Exposure") -> "Worker":
    """Return which of several processes this one is; the first one ends here when they have."""
    from deployments.targets.serve.workers import fork_workers

    worker = fork_workers(
        settings.workers,
        settings.host,
        settings.port,
        lambda port: say_ready(settings.host, port, exposure.scheme),
    )
    if isinstance(worker, int):
        raise typer.Exit(worker)
    return worker


def _answer(
    settings: "ServeSettings",
    exposure: "Exposure",
    runtime: Runtime,
    kept: "EndpointRecords | None",
    worker: "Worker | None",
) -> None:
    """Answer until the process is told to stop."""
    from deployments.targets.serve.app import make_app
    from deployments.targets.serve.connections import Gate
    from deployments.targets.serve.recorder import CountingRecorder
    from deployments.targets.serve.server import serve_app

    workspace = settings.workspace
    store = None if workspace.startswith(("http://", "https://")) else Store(workspace)
    own_id = settings.id if worker is None else worker.name(settings.id)
    recorder = kept.recorder if kept is not None else CountingRecorder(store, own_id)
    follower = Follower(runtime, settings.interval_s)
    gate = Gate()
    app = make_app(
        runtime,
        recorder,
        names=[runtime.current.verified.release.channel],
        health=lambda: describe_endpoint(recorder.node, runtime, kept),
        workspace=store,
        keys=exposure.keys,
        gate=gate,
        threads=None if worker is None else worker.threads,
        processes=settings.workers,
    )
    serve_app(
        app,
        settings.host,
        settings.port if worker is None else worker.port,
        on_ready=_make_begin(follower, exposure.scheme, kept, worker),
        on_stop=lambda: _stop(follower),
        certificate=exposure.certificate,
        gate=gate,
        shared=worker is not None,
    )


def _open_records(settings: "ServeSettings") -> "EndpointRecords | None":
    """Open what keeps records; None where none are kept."""
    from deployments.targets.edge.records import EndpointRecords
    from deployments.targets.edge.state import StateFolder

    if settings.records == "off" or settings.state is None or settings.id is None:
        return None
    folder = StateFolder(settings.state)
    if not folder.is_enrolled:
        code = folder.make_code(settings.id)
        say(f"endpoint {settings.id} is new here: {ADD} {code} --class CLASS", "yellow")
    return EndpointRecords(
        settings.state,
        settings.id,
        settings.uplink_url,
        policy=settings.policy,
        most=settings.records,
        spool_bytes=settings.spool_bytes,
        interval_s=settings.interval_s,
    )


def describe_endpoint(
    node: str, runtime: Runtime, kept: "EndpointRecords | None" = None
) -> dict[str, Any]:
    """Return what `/health` of an endpoint says."""
    live, state = runtime.current, runtime.state
    spool = {} if kept is None else {"spool": kept.describe()}
    return {
        "endpoint": node,
        "model_id": live.model_id,
        "release": live.release,
        "slot": runtime.slot,
        "channel": {
            "status": state.status,
            "reason": state.reason,
            "checked_at": state.checked_at,
        },
        **spool,
    }


def _make_begin(
    follower: Follower, scheme: str, kept: "EndpointRecords | None", worker: "Worker | None"
) -> Callable[[str, int], None]:
    """Return what is called once requests are answered."""

    def begin(host: str, port: int) -> None:
        follower.start()
        if kept is not None:
            kept.start()
        if worker is None:
            say_ready(host, port, scheme)
        else:
            worker.tell_ready()

    return begin


def _stop(follower: Follower) -> None:
    """Ends the follower; one that is still loading something ends with the process."""
    follower.stop(timeout_s=5.0)
