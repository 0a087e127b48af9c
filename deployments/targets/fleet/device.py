"""One simulated device: a real agent in a process of its own, asked over HTTP as its user would."""

import http.client
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from pydantic import JsonValue

from deployments.targets.errors import TargetError
from deployments.targets.fleet.children import Child
from deployments.targets.fleet.ledger import Sample, Seen
from storage.base.store import redact

TIMEOUT_S = 60.0
IDLE_S = 1.0
"""A connection that was idle for so long is made anew: the other side may be about to close it."""
MOST_QUOTED = 300


class DeviceFailed(TargetError):
    """A device of the fleet answered what it should not have."""


class NoReply(TargetError):
    """A device gave no reply: whether it took the request, nobody can know."""


@dataclass(frozen=True)
class Reply:
    """What an agent said of one sample."""

    answer_id: str
    model_id: str
    predicted: JsonValue


class HttpNode:
    """What answers at one address: an agent or an endpoint.

    Args:
        name: What it is called in messages.
        address: Such as `http://127.0.0.1:8080`.

    Attributes:
        host: Host and port.
    """

    def __init__(self, name: str, address: str) -> None:
        self.name = name
        self.host = urlsplit(address).netloc
        self._connection: http.client.HTTPConnection | None = None
        self._used_s = 0.0

    def ask(self, model: str, sample: Sample) -> Reply:
        """Asks about one sample.

        Args:
            model: Name or id of the model.
            sample: The sample.

        Raises:
            NoReply: The connection was lost before the reply.
            DeviceFailed: It refused.
        """
        replies = self.ask_all(model, sample)
        if len(replies) != 1:
            raise DeviceFailed(
                f"answer of {self.name} must hold one prediction; got {len(replies)}; ask about "
                "one sample"
            )
        return replies[0]

    def ask_all(self, model: str, samples: Sample) -> list[Reply]:
        """Asks about all samples of one body, such as the rows of a CSV.

        Their answer ids count on from that of the first.

        Raises:
            NoReply: The connection was lost before the reply.
            DeviceFailed: It refused.
        """
        said = self._call("POST", f"/predict/{model}", samples.body, samples.content_type)
        try:
            node, _, first = str(said["answer_id"]).rpartition(":")
            return [
                Reply(f"{node}:{int(first) + place}", str(said["model_id"]), predicted)
                for place, predicted in enumerate(said["predictions"])
            ]
        except (LookupError, TypeError, ValueError) as error:
            raise DeviceFailed(
                f"answer of {self.name} must hold answer_id, model_id and predictions; got "
                f"{str(said)[:MOST_QUOTED]}"
            ) from error

    def tell(self, truths: Sequence[tuple[str, JsonValue]]) -> int:
        """Tells what was true of answers.

        Args:
            truths: Answer ids and truths.

        Returns:
            How many it acknowledged.

        Raises:
            NoReply: The connection was lost before the reply.
            DeviceFailed: It refused.
        """
        body = json.dumps([{"answer_id": name, "truth": truth} for name, truth in truths])
        said = self._call("POST", "/feedback", body.encode(), "application/json")
        return int(said["accepted"])

    def read_health(self) -> Mapping[str, Any]:
        """Reads its health.

        Raises:
            NoReply: It does not answer.
            DeviceFailed: It refused.
        """
        return self._call("GET", "/health")

    def close(self) -> None:
        """Closes the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _call(
        self, method: str, path: str, body: bytes | None = None, content_type: str = ""
    ) -> dict[str, Any]:
        headers = {"Content-Type": content_type} if content_type else {}
        if time.monotonic() - self._used_s > IDLE_S:
            self.close()
        if self._connection is None:
            self._connection = http.client.HTTPConnection(self.host, timeout=TIMEOUT_S)
        self._used_s = time.monotonic()
        try:
            self._connection.request(method, path, body, headers)
            reply = self._connection.getresponse()
            data = reply.read()
            self._used_s = time.monotonic()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise NoReply(
                f"{method} {path} of {self.name} must have a reply; got {error!r}; see whether it "
                "runs"
            ) from error
        try:
            said = json.loads(data)
        except ValueError:
            said = None
        if reply.status != http.HTTPStatus.OK or not isinstance(said, dict):
            text = redact(data[:MOST_QUOTED].decode(errors="replace"))
            raise DeviceFailed(
                f"{method} {path} of {self.name} must be answered with JSON and 200; got "
                f"{reply.status}: {text}"
            )
        return said


@dataclass
class Device:
    """One device of a fleet.

    Attributes:
        name: Its id.
        child: The process of its agent.
        node: What answers at its address.
    """

    name: str
    child: Child
    node: HttpNode

    def look(self) -> tuple[Seen, int, int]:
        """Reads its health.

        Returns:
            The model that it has, the records that wait in its spool, and those that it dropped.

        Raises:
            NoReply: It does not answer.
            DeviceFailed: Its health is not what an agent's must be.
        """
        health = self.node.read_health()
        try:
            seen = Seen(
                device=str(health["device"]),
                model_id=str(health["model_id"]),
                release=int(health["release"]),
                status=str(health["channel"]["status"]),
                at=datetime.now(UTC),
            )
            return seen, int(health["spool"]["records"]), int(health["spool"]["dropped"])
        except (LookupError, TypeError, ValueError) as error:
            raise DeviceFailed(
                f"health of {self.name} must name its device, model, release, channel and spool; "
                f"got {str(health)[:MOST_QUOTED]}"
            ) from error
