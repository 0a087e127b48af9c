"""Starts the agents of a fleet as a person would: enrol, add to the workspace, run."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from deployments.targets.fleet.children import Child, ChildFailed, Children
from deployments.targets.fleet.device import Device, HttpNode, NoReply
from deployments.targets.fleet.ledger import Seen
from deployments.targets.trust.address import CHANNELS
from deployments.targets.trust.keys import KEYS_VARIABLE, KeyRing
from deployments.targets.trust.uplink import UPLINKS
from storage.base.store import Store

COMMAND_S, READY_S = 120.0, 120.0
POLL_S = 0.1


@dataclass(frozen=True)
class AgentPlan:
    """How the agents of a fleet are started.

    Attributes:
        workspace: Folder or URL of the workspace.
        channel: The channel that they follow.
        device_class: The class that they are of.
        folder: A local folder for their states; each has keys, cache and spool of its own.
        interval_s: How often they ask their channel, in seconds.
        uplink: Where they send to; None: the workspace's folder of uplinks.
    """

    workspace: str
    channel: str
    device_class: str
    folder: Path
    interval_s: float = 1.0
    uplink: str | None = None


Wait = Callable[[int, str], None]
"""Called again and again while something is waited for: how many are done, and what is awaited."""


def start_agents(
    plan: AgentPlan, names: Sequence[str], children: Children, wait: Wait
) -> list[Device]:
    """Enrols devices, adds them to the workspace, and starts their agents.

    Each knows only the public keys of this machine.

    Raises:
        ChildFailed: One of the commands failed.
    """
    bundle = KeyRing().bundle(private=False)
    for name in names:
        KeyRing(_find_home(plan, name) / "config").add_bundle(bundle)
    enrolling = [
        children.start(
            f"enroll-{name}",
            *("edge", "enroll", "--state", str(_find_home(plan, name) / "state"), "--id", name),
            env=_make_env(plan, name),
        )
        for name in names
    ]
    codes = [_finish(child, place, wait) for place, child in enumerate(enrolling)]
    adding = [
        children.start(
            f"add-{name}",
            *("devices", "add", code, "--class", plan.device_class),
            *("--workspace", plan.workspace),
        )
        for name, code in zip(names, codes, strict=True)
    ]
    for place, child in enumerate(adding):
        _finish(child, place, wait)
    running = [start_agent(plan, name, children) for name in names]
    return [
        Device(
            name, child, HttpNode(name, child.wait_ready(READY_S, _say(wait, place, "starting")))
        )
        for place, (name, child) in enumerate(zip(names, running, strict=True))
    ]


def start_agent(plan: AgentPlan, name: str, children: Children) -> Child:
    """Starts the agent of a device that was enrolled."""
    store = Store(plan.workspace)
    return children.start(
        name,
        *("edge", "run", "--id", name, "--class", plan.device_class, "--port", "0"),
        *("--state", str(_find_home(plan, name) / "state")),
        *("--channel", store.child(CHANNELS, plan.channel).url),
        *("--uplink", plan.uplink or store.child(UPLINKS).url),
        *("--interval-s", f"{plan.interval_s:g}"),
        env=_make_env(plan, name),
    )


def _find_home(plan: AgentPlan, name: str) -> Path:
    return plan.folder / name


def _make_env(plan: AgentPlan, name: str) -> dict[str, str]:
    """Make what keeps a device from this machine's keys and cache."""
    home = _find_home(plan, name)
    return {
        "LEPTON_CONFIG_DIR": str(home / "config"),
        "LEPTON_CACHE_DIR": str(home / "cache"),
        KEYS_VARIABLE: "",
    }


def _finish(child: Child, place: int, wait: Wait) -> str:
    return child.finish(COMMAND_S, _say(wait, place, child.name))


def _say(wait: Wait, done: int, what: str) -> Callable[[], None]:
    return lambda: wait(done, what)


@dataclass(frozen=True)
class Look:
    """What the health of all devices says at a moment.

    Attributes:
        seen: The model of each.
        waiting: Records in each one's spool.
        dropped: Records that each one dropped.
    """

    seen: tuple[Seen, ...]
    waiting: dict[str, int]
    dropped: dict[str, int]


def look_at(devices: Sequence[Device]) -> Look:
    """Reads the health of all devices.

    Raises:
        NoReply: One does not answer.
    """
    found = [(device, device.look()) for device in devices]
    return Look(
        seen=tuple(seen for _, (seen, _, _) in found),
        waiting={device.name: records for device, (_, records, _) in found},
        dropped={device.name: dropped for device, (_, _, dropped) in found},
    )


def wait_until(
    devices: Sequence[Device],
    is_done: Callable[[Look, str], bool],
    what: str,
    timeout_s: float,
    on_look: Callable[[Look, int], None],
) -> None:
    """Looks at all devices again and again until something holds of each.

    Args:
        devices: The devices.
        is_done: Whether it holds of a device.
        what: What must hold, for the message.
        timeout_s: The longest wait, in seconds.
        on_look: Called with each look, and of how many devices it holds.

    Raises:
        ChildFailed: It did not hold of one in time, or its agent ended.
    """
    deadline_s = time.monotonic() + timeout_s
    while True:
        try:
            look = look_at(devices)
            missing = [device for device in devices if not is_done(look, device.name)]
            on_look(look, len(devices) - len(missing))
        except NoReply:
            missing = [device for device in devices if not device.child.is_running] or [*devices]
        if not missing:
            return
        gone = next((device for device in missing if not device.child.is_running), None)
        if gone is not None or time.monotonic() > deadline_s:
            device = gone or missing[0]
            raise ChildFailed(
                f"device ({device.name}) must {what} within {timeout_s:g} s; got "
                f"{device.child.explain()}"
            )
        time.sleep(POLL_S)
