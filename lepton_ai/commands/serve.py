"""`lepton serve`: an endpoint that answers over HTTP with a channel's champion."""

import logging
from collections.abc import Callable
from typing import Annotated, Any

import typer

from deployments.targets.follow.follower import Follower
from deployments.targets.run.live import Runtime
from deployments.targets.trust.devices import check_device_class
from deployments.targets.trust.rollout import Taker
from lepton_ai.commands.answering import say_model, say_ready
from lepton_ai.commands.common import DEFAULT_WORKSPACE, Workspace, with_extra
from lepton_ai.extras import SERVE
from storage.base.store import Store

INTERVAL_S = 30.0


@with_extra("serve", SERVE)
def serve(
    channel: Annotated[
        str, typer.Option(help="Channel in the workspace (edge, cloud), or the address of one.")
    ],
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: a free one.")] = 8080,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines ask.")
    ] = "127.0.0.1",
    workspace: Workspace = DEFAULT_WORKSPACE,
    id: Annotated[
        str | None, typer.Option("--id", help="The endpoint's id, the first half of answer ids.")
    ] = None,
    device_class: Annotated[
        str | None, typer.Option("--class", help="The class of devices that the endpoint is of.")
    ] = None,
    interval_s: Annotated[
        float, typer.Option(min=0.05, help="Seconds between two looks at the channel.")
    ] = INTERVAL_S,
) -> None:
    """Answer over HTTP with a channel's champion, and follow the channel.

    A newer release is verified and tested before it answers; no request fails meanwhile. SIGTERM
    finishes what was taken, and exits with 0.
    """
    from deployments.targets.serve.app import make_app
    from deployments.targets.serve.recorder import CountingRecorder
    from deployments.targets.serve.server import serve_app

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    remote = workspace.startswith(("http://", "https://"))
    store = None if remote else Store(workspace)
    recorder = CountingRecorder(store, id)
    taker = Taker(id, device_class and check_device_class(device_class))
    runtime = Runtime(channel, workspace, taker=taker)
    follower = Follower(runtime, interval_s)
    say_model(runtime)
    app = make_app(
        runtime,
        recorder,
        names=[runtime.current.verified.release.channel],
        health=lambda: describe_endpoint(recorder.node, runtime),
        workspace=store,
    )

    serve_app(app, host, port, on_ready=_make_begin(follower), on_stop=lambda: _stop(follower))


def describe_endpoint(node: str, runtime: Runtime) -> dict[str, Any]:
    """Return what `/health` of an endpoint says."""
    live, state = runtime.current, runtime.state
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
    }


def _make_begin(follower: Follower) -> Callable[[str, int], None]:
    """Return what is called once requests are answered."""

    def begin(host: str, port: int) -> None:
        follower.start()
        say_ready(host, port)

    return begin


def _stop(follower: Follower) -> None:
    """Ends the follower; one that is still loading something ends with the process."""
    follower.stop(timeout_s=5.0)
