"""What is sent to a node to keep: truths of answers, and batches of devices."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError

from deployments.targets.errors import BadInput, TargetError, UplinkRefused
from deployments.targets.run.device_figures import accept_figures, is_sealed
from deployments.targets.run.forms.records import split_csv
from deployments.targets.serve.bodies import (
    MAX_TEXT_BYTES,
    Body,
    check_csv,
    check_rows,
    parse_json,
    read_headers,
    tell_kind,
)
from deployments.targets.serve.recorder import Recorder, Truth
from deployments.targets.serve.replies import Receive, Refusal, Reply, Scope, refuse_busy
from deployments.targets.trust.tensors import MAX_FILE_BYTES
from deployments.targets.trust.uplink import accept_batch
from storage.base.errors import InvalidInput, StorageError
from storage.base.store import Store, sha256_bytes

logger = logging.getLogger(__name__)
COLUMNS = ["answer_id", "truth"]
MAX_TRUTH_BYTES = 4096
_TRUTHS = TypeAdapter(list[Truth])


@dataclass(frozen=True)
class Inbox:
    """Keeps truths and batches.

    Attributes:
        recorder: Keeps truths.
        workspace: Where batches are written; None: no batches are taken.
    """

    recorder: Recorder
    workspace: Store | None

    async def add_truth(self, scope: Scope, receive: Receive, body: Body) -> Reply:
        """Keep truths: `{"answer_id", "truth"}`, a list of them, or CSV with these columns.

        Raises:
            Refusal: They are none, or cannot be kept now.
            Gone: The client left.
        """
        headers = read_headers(scope)
        _refuse_other_origins(headers)
        data = await body.read(headers, receive, MAX_TEXT_BYTES)
        truths = await asyncio.to_thread(_read_truths, data, tell_kind(data, headers))
        try:
            accepted = await self.recorder.add_truth(truths)
        except InvalidInput as error:
            raise Refusal(422, str(error)) from error
        except (StorageError, TargetError) as error:
            logger.exception("Truths could not be kept")
            raise refuse_busy("truth must be kept durably; got a fault of this node") from error
        return Reply(orjson.dumps({"accepted": accepted}))

    async def accept(self, scope: Scope, receive: Receive, body: Body) -> Reply:
        """Take a device's signed batch, or the figures that it measured, into the workspace.

        Raises:
            Refusal: 403, it cannot be trusted; 404, no batches are taken here.
            Gone: The client left.
        """
        headers = read_headers(scope)
        _refuse_other_origins(headers)
        if self.workspace is None:
            raise Refusal(
                404,
                "uplink must be an endpoint that writes into a workspace; got a node that takes "
                "none; send to another",
            )
        data = await body.read(headers, receive, MAX_FILE_BYTES)
        try:
            taken = await asyncio.to_thread(_take, self.workspace, data)
        except UplinkRefused as error:
            raise Refusal(403, str(error)) from error
        except (StorageError, TargetError) as error:
            logger.exception("A batch could not be kept")
            raise refuse_busy("uplink must be kept durably; got a fault of this node") from error
        return Reply(orjson.dumps({"accepted": taken}))


def _take(workspace: Store, data: bytes) -> list[int] | str:
    """Take a batch, and return its range; or figures, and return their digest."""
    if not is_sealed(data):
        return list(accept_batch(workspace, data))
    accept_figures(workspace, data)
    return sha256_bytes(data)


def _refuse_other_origins(headers: dict[bytes, bytes]) -> None:
    """Refuses what a page of another site sends through its reader's browser."""
    origin = headers.get(b"origin")
    if origin is not None and origin.partition(b"://")[2] != headers.get(b"host"):
        raise Refusal(
            403, "request must come from this node's own page or a program; got another site's page"
        )


def _read_truths(data: bytes, kind: str) -> list[Truth]:
    value = parse_json(data) if kind == "json" else _read_csv(data)
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list) or not value:
        raise Refusal(
            422,
            "truth must be an object of answer_id and truth, or a list of them; got neither; give "
            "one at least",
        )
    check_rows(len(value))
    try:
        truths = _TRUTHS.validate_python(value)
    except (ValidationError, RecursionError) as error:
        raise Refusal(422, _explain(error)) from error
    for number, truth in enumerate(truths):
        if truth.truth is None or len(orjson.dumps(truth.truth)) > MAX_TRUTH_BYTES:
            raise Refusal(
                422,
                f"truth (number {number}) must be a value of at most {MAX_TRUTH_BYTES} bytes; got "
                "none, or a longer one; give the label or the value",
            )
    return truths


def _explain(error: Exception) -> str:
    """Say what is wrong with truths without repeating them."""
    if not isinstance(error, ValidationError):
        return "truth must be a value; got one that is nested too deep; give the label or the value"
    fault = error.errors(include_input=False, include_url=False)[0]
    number, *place = fault["loc"]
    where = ".".join(map(str, place))[:80] or "it"
    return (
        f"truth (number {number}) must be an answer_id, as NODE:NUMBER, and a truth; got {where}: "
        f"{fault['msg']}; give both"
    )


def _read_csv(data: bytes) -> list[dict[str, Any]]:
    check_csv(data)
    try:
        records = split_csv(data, "feedback")
    except BadInput as error:
        raise Refusal(422, str(error)) from error
    if not set(COLUMNS) <= set(records.header):
        raise Refusal(
            422, "feedback must have the columns answer_id and truth; got others; name them so"
        )
    places = [records.header.index(name) for name in COLUMNS]
    return [
        {
            name: (row[place] or "").strip() or None
            for name, place in zip(COLUMNS, places, strict=True)
        }
        for row in records.rows
    ]
