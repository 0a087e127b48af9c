"""An agent: one device's process, which answers on its own machine and sends back what it keeps."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployments.targets.edge.policy import parse_policy
from deployments.targets.edge.recorder import SpoolRecorder
from deployments.targets.edge.sender import Sender
from deployments.targets.edge.spool import Spool
from deployments.targets.edge.state import StateFolder
from deployments.targets.edge.uplinks import open_uplink
from deployments.targets.follow.follower import Follower
from deployments.targets.run.live import Runtime
from deployments.targets.serve.app import make_app
from deployments.targets.serve.connections import Gate
from deployments.targets.serve.exposure import Exposure
from deployments.targets.serve.server import serve_app
from deployments.targets.specs import Records
from deployments.targets.trust.rollout import Taker

STOP_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class AgentSettings:
    """What an agent is told.

    Attributes:
        channel: The address of the channel that it follows.
        workspace: Where a channel lies of which only the name is given.
        device: Its id.
        device_class: The class that it belongs to: a release may be for some only.
        state: Folder of its state.
        uplink: URL of a workspace's `uplinks` folder, or of an endpoint's `/uplink`.
        policy: Which answers it keeps: "all" or "sampled:P".
        port: Its port; 0: a free one.
        interval_s: Seconds between two looks at the channel, and between two sendings.
        spool_bytes: The most that its spool takes on the disk.
        records: The most that it keeps of what it is asked.
        exposure: The address that it listens on, and what protects it.
    """

    channel: str
    workspace: str
    device: str
    device_class: str
    state: Path
    uplink: str
    policy: str
    port: int
    interval_s: float
    spool_bytes: int
    records: Records
    exposure: Exposure


def run_agent(
    settings: AgentSettings,
    *,
    on_loaded: Callable[[Runtime], None],
    on_ready: Callable[[str, int], None],
) -> None:
    """Answers until SIGTERM or SIGINT; then finishes what it took, and sends what it kept.

    Args:
        settings: What it is told.
        on_loaded: Called once a verified model is loaded.
        on_ready: Called with host and port once requests are answered.

    Raises:
        ChannelError: The channel gives no model that can be trusted, and none was verified before.
        SpoolError: Another agent works in the state folder, or the spool cannot be used.
        ServeError: The address cannot be listened on.
        TargetError: A setting or a key cannot be used.
        StorageError: The uplink's URL cannot be one.
    """
    policy = parse_policy(settings.policy)
    uplink = open_uplink(settings.uplink)
    state = StateFolder(settings.state)
    signer = state.enrol(settings.device)
    with state.locked():
        taker = Taker(settings.device, settings.device_class)
        runtime = Runtime(settings.channel, settings.workspace, cache=state.cache, taker=taker)
        on_loaded(runtime)
        spool = Spool(state.spool, settings.spool_bytes)
        follower = Follower(runtime, settings.interval_s)
        sender = Sender(spool, uplink, settings.device, signer, interval_s=settings.interval_s)

        def begin(host: str, port: int) -> None:
            follower.start()
            sender.start()
            on_ready(host, port)

        gate = Gate()
        try:
            app = make_app(
                runtime,
                SpoolRecorder(settings.device, spool, policy, most=settings.records),
                names=[runtime.current.verified.release.channel],
                health=lambda: describe_agent(settings.device, runtime, spool),
                keys=settings.exposure.keys,
                gate=gate,
            )
            serve_app(
                app,
                settings.exposure.host,
                settings.port,
                on_ready=begin,
                on_stop=lambda: None,
                certificate=settings.exposure.certificate,
                gate=gate,
            )
        finally:
            follower.stop(timeout_s=STOP_TIMEOUT_S / 2)
            sender.stop(timeout_s=STOP_TIMEOUT_S)
            spool.close()


def describe_agent(device: str, runtime: Runtime, spool: Spool) -> dict[str, Any]:
    """Return what `/health` of an agent says."""
    live, channel, marks = runtime.current, runtime.state, spool.marks
    return {
        "device": device,
        "model_id": live.model_id,
        "release": live.release,
        "slot": runtime.slot,
        "channel": {"status": channel.status, "checked_at": channel.checked_at},
        "spool": {"records": marks.records, "bytes": marks.bytes, "dropped": spool.dropped},
    }
