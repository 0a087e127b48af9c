"""What becomes of answers: each is counted, so that truth can be told of it later."""

import asyncio
import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Protocol

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from deployments.targets.run.live import LiveModel
from deployments.targets.run.runtime import Answers, Array
from deployments.targets.trust.devices import check_device_id
from deployments.targets.trust.keys import KeyRing
from deployments.targets.trust.sealed import seal_body
from deployments.targets.trust.uplink import UPLINKS
from storage.base.errors import InvalidInput
from storage.base.store import Store, sha256_bytes

FORMAT = 1


class Truth(BaseModel):
    """What was true of an answer.

    Attributes:
        answer_id: `<device or endpoint>:<sequence>`, as the answer had it.
        truth: The label, the value, or whatever the objective's truth is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    answer_id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}:[1-9][0-9]{0,17}$")]
    truth: JsonValue


class Recorder(Protocol):
    """Numbers answers and keeps what a node keeps of them.

    Attributes:
        node: Id of the device or endpoint, the first half of its answer ids.
    """

    node: str

    async def record(
        self, live: LiveModel, raw: Array, answers: Answers, times: Array | None
    ) -> str:
        """Numbers the answers to N rows, and returns once that is durable.

        Args:
            live: The model that answered.
            raw: (N, *shape) what it was asked.
            answers: What it answered.
            times: (N, L) seconds since 1970 of windows that tell them.

        Returns:
            The answer id of the first row; the others count on.
        """

    async def add_truth(self, truths: Sequence[Truth]) -> int:
        """Keeps truths, and returns how many once they are durable."""


class CountingRecorder:
    """An endpoint's recorder: it numbers answers, and writes truths into a workspace.

    Args:
        workspace: Where truths are written, below `uplinks/<node>`; None: it takes none.
        node: The endpoint's id; None: one that no other endpoint has.
        keys: The machine's keys, of which the receipt key signs truths; None: those of the config
            directory.

    Raises:
        DeviceRefused: The id cannot be one.
    """

    def __init__(
        self, workspace: Store | None, node: str | None = None, keys: KeyRing | None = None
    ) -> None:
        self.node = check_device_id(node or f"serve-{secrets.token_hex(4)}")
        self._workspace = workspace
        self._keys = keys
        # No number is given twice under one id: a name that was used before counts on from the
        # clock, in millionths of a second, which no endpoint answers as fast as.
        self._next = 1 if node is None else time.time_ns() // 1000

    async def record(
        self, live: LiveModel, raw: Array, answers: Answers, times: Array | None
    ) -> str:
        """Numbers the answers to N rows; nothing else is kept of them."""
        first = self._next
        self._next = first + len(raw)
        return f"{self.node}:{first}"

    async def add_truth(self, truths: Sequence[Truth]) -> int:
        """Writes truths as one sealed file.

        Raises:
            InvalidInput: There is no workspace that takes them, or a truth is no JSON value.
            StorageError: It cannot be written.
            KeyStoreError: It cannot be signed.
        """
        if self._workspace is None:
            raise InvalidInput(
                "truth must have a workspace that it can be written to; got an endpoint without "
                "one; start it with --workspace"
            )
        await asyncio.to_thread(self._write_truths, self._workspace, truths)
        return len(truths)

    def _write_truths(self, workspace: Store, truths: Sequence[Truth]) -> None:
        body = {
            "format": FORMAT,
            "node": self.node,
            "at": datetime.now(UTC).isoformat(),
            "truths": [truth.model_dump(mode="json") for truth in truths],
        }
        data = seal_body(body, (self._keys or KeyRing()).receipt_signer())
        workspace.put_if_absent(f"{UPLINKS}/{self.node}/truth-{sha256_bytes(data)}.json", data)
