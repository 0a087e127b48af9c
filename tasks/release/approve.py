"""Approve: the flow waits for a person, where a target asks for one; no answer in time means no."""

import contextvars
import logging
import math
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

from prefect.context import FlowRunContext
from prefect.exceptions import FlowPauseTimeout, NotPausedError
from prefect.flow_runs import pause_flow_run, resume_flow_run
from prefect.input import RunInput
from pydantic import Field

from deployments.targets.specs import TargetSpec
from deployments.targets.trust.decision import to_line
from deployments.targets.trust.keys import KeyRing
from storage.base.store import Store
from storage.records.receipts import Receipt
from tasks.release.approval import (
    ApprovalRequest,
    make_request,
    read_answer,
    write_answer,
    write_request,
)
from tasks.rendering.markdown import render_question_markdown
from tasks.runtime.approval_outcome import Approval, Approved
from tasks.runtime.errors import StageStopped
from tasks.runtime.progress import current_progress
from tasks.runtime.stage import stage

log = logging.getLogger(__name__)
POLL_S = 2
TELL_AFTER_S, TELL_EVERY_S = 6.0, 600.0
NOBODY = "time limit"


class Release(RunInput):
    """The form in Prefect's UI."""

    approved: bool = Field(default=False, description="Publish the release.")
    author: str = Field(default="", description="Who decides.")
    reason: str = Field(default="", description="Why.")


def list_asking(targets: Mapping[str, TargetSpec]) -> tuple[str, ...]:
    """Return the channels whose releases a person must approve."""
    return tuple(sorted(name for name, target in targets.items() if target.approval != "none"))


@stage
def approve(
    workspace: str, receipt: Receipt, targets: Mapping[str, TargetSpec], page: str
) -> Approved:
    """Waits for a person's answer: by `lepton approve`, or by the form of the paused flow run.

    It is one question for all channels that ask.

    Args:
        workspace: Folder or URL of the workspace.
        receipt: What the run has earned so far; not signed yet.
        targets: The recipe's targets.
        page: Address of the run's page so far, without secrets.

    Raises:
        StageStopped: The answer is no, or nobody gave one in time.
    """
    store, ring = Store(workspace), KeyRing()
    asking = tuple(name for name in list_asking(targets) if name in receipt.channels)
    limit_h = min((targets[name].approval_timeout_h for name in asking), default=0.0)
    limit = timedelta(hours=limit_h)
    request = make_request(receipt, asking, datetime.now(UTC) + limit)
    if not asking:
        reason = "no channel that asks gets a release"
        return Approved(answer=_answer(request, True, "nobody", reason))
    answer = read_answer(store, request, ring)
    if answer is None:
        write_request(store, request, ring)
        champions = {name: receipt.champions.get(name, ()) for name in asking}
        text = render_question_markdown(request.question, page, request.held_out, champions)
        given = _wait(store, request, ring, limit.total_seconds(), text)
        answer = write_answer(store, given, ring)
    if not answer.approved:
        raise StageStopped(
            "approve",
            (f"release on {', '.join(asking)} must be approved; got {answer.describe()}",),
        )
    return Approved(answer=answer)


def _wait(
    store: Store, request: ApprovalRequest, ring: KeyRing, limit_s: float, text: str
) -> Approval:
    """Pauses the flow run, whose form shows a text, until somebody answers, here or there."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return _poll(store, request, ring, limit_s)
    form = Release.with_initial_data(description=text)
    try:
        with _watching(store, request, ring, context.flow_run.id):
            given = pause_flow_run(
                wait_for_input=form,
                timeout=math.ceil(limit_s),
                poll_interval=POLL_S,
                key=f"approve-{request.run}-{secrets.token_hex(4)}",
            )
    except FlowPauseTimeout:
        return read_answer(store, request, ring) or _answer(request, False, NOBODY, "")
    return read_answer(store, request, ring) or _answer(
        request, given.approved, to_line(given.author) or "Prefect's form", to_line(given.reason)
    )


def _poll(store: Store, request: ApprovalRequest, ring: KeyRing, limit_s: float) -> Approval:
    """Waits without a flow run to pause."""
    deadline = time.monotonic() + limit_s
    while (answer := read_answer(store, request, ring)) is None:
        if time.monotonic() >= deadline:
            return _answer(request, False, NOBODY, "")
        time.sleep(POLL_S)
    return answer


@contextmanager
def _watching(
    store: Store, request: ApprovalRequest, ring: KeyRing, flow_run: UUID
) -> Iterator[None]:
    """Lets a paused flow run go on once an answer lies in the workspace."""
    over = threading.Event()
    # Which server the run reports to is known by the context of this thread.
    context = contextvars.copy_context()

    def watch() -> None:
        told_at = time.monotonic() + TELL_AFTER_S - TELL_EVERY_S
        while not over.wait(POLL_S):
            if time.monotonic() - told_at >= TELL_EVERY_S:
                told_at = time.monotonic()
                current_progress().advance("approve", 0, None, _invite(store, request))
            try:
                answer = read_answer(store, request, ring)
                if answer is not None:
                    resume_flow_run(flow_run, run_input=_fill(answer))
                    return
            except NotPausedError:
                continue  # Not paused yet: asked again.
            except Exception:
                # The answer must not be lost with this thread, and the next try may work.
                log.exception("The answer could not be handed on; trying again")

    thread = threading.Thread(target=context.run, args=(watch,), name="lepton-approve", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _fill(answer: Approval) -> dict[str, bool | str]:
    return {"approved": answer.approved, "author": answer.author, "reason": answer.reason}


def _invite(store: Store, request: ApprovalRequest) -> str:
    return (
        f"waits for: lepton approve {request.run} --workspace {store.display}; no answer by "
        f"{request.until.isoformat(timespec='seconds')} is a no"
    )


def _answer(request: ApprovalRequest, approved: bool, author: str, reason: str) -> Approval:
    return Approval(
        run=request.run,
        request=request.digest,
        approved=approved,
        author=author,
        reason=reason,
        at=datetime.now(UTC),
    )
