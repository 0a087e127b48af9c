"""A group of training processes as torchrun starts it: one a device, on one or more machines."""

import os
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

JOIN_TIMEOUT_S = 300


class Nodes(BaseModel):
    """Several machines that train together: each runs the same job with its own `rank`.

    Attributes:
        count: Number of machines.
        rank: This machine, from 0; the first holds rank 0 of the processes, whose files are the
            result.
        rendezvous: host:port of machine 0, reachable from all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: int = Field(ge=2)
    rank: int = Field(ge=0)
    rendezvous: str = Field(pattern=r"^[^\s:]+:\d+$")


@dataclass(frozen=True)
class Group:
    """What a launcher knows of the other machines.

    Attributes:
        nodes: This machine's place.
        look: Raises what ends the job when the others no longer go along; called often, so it
            should be quick.
    """

    nodes: Nodes
    look: Callable[[], None]


def describe_group(devices: int, nodes: Nodes | None) -> tuple[list[str], dict[str, str]]:
    """Return arguments and environment of torchrun for a group of processes.

    Args:
        devices: Processes on this machine, one a device.
        nodes: Set where several machines train together. Ranks then follow the nodes' own, which
            the dynamic rendezvous does not promise: it sorts nodes by their host names.
    """
    each = [f"--nproc-per-node={devices}", "--max-restarts=0", "--monitor-interval=0.2"]
    if nodes is None:
        # One machine: talk over the loopback, whatever its name resolves to.
        place = ["--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0", "--local-addr=127.0.0.1"]
        return [*place, *each], {"GLOO_SOCKET_IFNAME": "lo"}
    place = [
        "--rdzv-backend=static",
        f"--rdzv-endpoint={nodes.rendezvous}",
        f"--rdzv-conf=timeout={JOIN_TIMEOUT_S}",
    ]
    return [
        *place,
        f"--nnodes={nodes.count}",
        f"--node-rank={nodes.rank}",
        *each,
    ], choose_interface(nodes.rendezvous)


def choose_interface(rendezvous: str) -> dict[str, str]:
    """Return an environment by which gloo and NCCL talk over the way to the first node.

    What the environment says itself already is left out.

    Args:
        rendezvous: host:port of the first node.
    """
    import psutil
    from distributed.utils import get_ip

    own = get_ip(rendezvous.rpartition(":")[0])
    names = (
        name
        for name, found in psutil.net_if_addrs().items()
        if own in (address.address for address in found)
    )
    interface = next(names, None)
    wanted = (
        {}
        if interface is None
        else dict.fromkeys(("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"), interface)
    )
    return {name: value for name, value in wanted.items() if name not in os.environ}
