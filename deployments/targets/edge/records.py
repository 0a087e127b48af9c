"""What an endpoint keeps of its answers: a spool, sent as signed batches, as an agent has it."""

import contextlib
from pathlib import Path

from deployments.targets.edge.policy import parse_policy
from deployments.targets.edge.recorder import SpoolRecorder
from deployments.targets.edge.sender import Sender
from deployments.targets.edge.spool import Spool
from deployments.targets.edge.state import StateFolder
from deployments.targets.edge.uplinks import open_uplink
from deployments.targets.specs import Records

STOP_TIMEOUT_S = 10.0


class EndpointRecords:
    """An endpoint's spool, open, and what sends from it.

    Args:
        state: Folder of its key and its spool, in which it works alone.
        endpoint: Its id, under which the workspace knows it as a device.
        uplink: URL of a workspace's `uplinks` folder, or of an endpoint's `/uplink`.
        policy: Which answers are kept: "all" or "sampled:P".
        most: The most that is kept of one; the recipe may say less.
        spool_bytes: The most that they take on the disk.
        interval_s: Seconds between two sendings.

    Raises:
        SpoolError: Another works in the folder, or the spool or the policy cannot be used.
        TargetError: The id or the key cannot be used.
        StorageError: The uplink's URL cannot be one.
    """

    def __init__(
        self,
        state: Path,
        endpoint: str,
        uplink: str,
        *,
        policy: str,
        most: Records,
        spool_bytes: int,
        interval_s: float,
    ) -> None:
        kept, opened, folder = parse_policy(policy), open_uplink(uplink), StateFolder(state)
        signer = folder.enrol(endpoint)
        with contextlib.ExitStack() as stack:
            stack.enter_context(folder.locked())
            spool = Spool(folder.spool, spool_bytes)
            stack.callback(spool.close)
            self._spool = spool
            self.recorder = SpoolRecorder(endpoint, spool, kept, most=most)
            self._sender = Sender(spool, opened, endpoint, signer, interval_s=interval_s)
            self._stack = stack.pop_all()

    def start(self) -> None:
        """Starts sending."""
        self._sender.start()

    def close(self) -> None:
        """Sends what is kept, as far as that goes now, and closes the spool."""
        with self._stack:
            self._sender.stop(timeout_s=STOP_TIMEOUT_S)

    def describe(self) -> dict[str, int]:
        """Return what `/health` says of it."""
        marks = self._spool.marks
        return {"records": marks.records, "bytes": marks.bytes, "dropped": self._spool.dropped}
