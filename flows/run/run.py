"""Keeps a run at work: what each stage handed on, what it took, and the receipt of it all."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar, cast

from prefect import Task
from prefect.client.schemas.objects import State
from prefect.states import Failed

from flows.errors import GateStopped
from flows.recipe.model import Recipe
from flows.run.again import find_begun, name_flow_run
from flows.run.artifacts import leave_artifact
from flows.run.flow import Flow
from flows.run.journal import begin_journal, reopen_journal
from gates.engine.report import GateReport
from storage.base.store import Store
from storage.records.receipt_files import SignedReceipt, read_receipt
from storage.records.receipts import Receipt
from tasks.pages.report import report_path, write_report
from tasks.release.receipt import draft_receipt, issue_receipt
from tasks.runtime.errors import StageStopped
from tasks.runtime.outcome_base import Outcome
from tasks.runtime.outcomes import Promoted
from tasks.runtime.progress import current_progress
from tasks.runtime.run_record import StageRecord
from tasks.runtime.teller import open_teller

P = ParamSpec("P")
R = TypeVar("R", bound=Outcome | GateReport)


class Run:
    """Keeps what is known of a run in progress.

    Attributes:
        id: Time and chance: `20261121-053012-9f3a1c`.
        flow: What it is a run of.
        recipe: What is carried out.
        workspace: Where everything is written.
        directory: A local folder for files in the making.
        journal: What of all this is written down there.
        record: Outcomes and timings so far.
        signed: The receipt, once the run is over.
    """

    def __init__(
        self, flow: Flow, recipe: Recipe, workspace: str, resume: str | None = None
    ) -> None:
        self.flow = flow
        self.recipe = recipe
        self.workspace = Store(workspace)
        self.workspace.probe()
        self.journal = (
            begin_journal(self.workspace, recipe, flow, name_flow_run())
            if resume is None
            else reopen_journal(self.workspace, resume, flow, name_flow_run())
        )
        self.directory = self.journal.directory
        self.record = self.journal.record
        self.id = self.record.run
        self.signed: SignedReceipt | None = None

    def do(self, task: Task[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Carries out one stage, which is timed, shown, recorded, and left as a Prefect artifact.

        Raises:
            StageStopped: A gate found the stage before it wanting, or a channel was lost to another
                run.
        """
        name, progress = task.name, current_progress()
        self.flow.require_next(name, tuple(self.record.stages))
        progress.begin(name)
        if (kept := self.journal.recall(name)) is not None:
            return cast(R, self._keep(name, kept))
        started = time.monotonic()
        handed_on: R | GateReport | None = None
        word = "failed"
        try:
            handed_on = _take(task(*args, **kwargs))
            word = "done"
        except StageStopped as stopped:
            handed_on, word = stopped.report, "red"
            raise
        finally:
            took = time.monotonic() - started
            self.record = self.record.with_stage(name, handed_on, took)
            self._show(name, word, took)
        self.journal.write(self.record)
        return handed_on

    def _keep(self, name: str, stage: StageRecord) -> Outcome | None:
        """Shows and records what a stage handed on before the run was lost; does nothing again."""
        self.record = self.record.model_copy(update={"stages": {**self.record.stages, name: stage}})
        self._show(name, "done", 0.0, "kept")
        return stage.outcome

    def _show(self, name: str, word: str, took_s: float, *notes: str) -> None:
        """Tells whoever watches how a stage ended, and leaves its outcome behind."""
        outcome = self.record.stages[name].outcome
        facts = outcome.facts if outcome is not None else ()
        ended = outcome.word if outcome is not None and word == "done" else word
        current_progress().end(name, ended, ", ".join((*notes, *facts)), took_s)
        if outcome is not None:
            leave_artifact(name, outcome, self.pages)

    @property
    def url(self) -> str:
        """The workspace, as stages take it."""
        return self.workspace.url

    @property
    def pages(self) -> str:
        """Where the run's pages are once it has ended, as a person may see it."""
        return f"{self.workspace.display}/reports/{self.id}"

    def draft(self) -> Receipt:
        """The receipt that the run has earned so far, with every gate green."""
        return draft_receipt(self.record)

    def show_page(self) -> str:
        """Writes the run's page as far as it got, for a person who is asked to let it go on.

        Returns:
            The page's address, without secrets.
        """
        write_report(self.workspace, self.record, self.draft(), None)
        path = report_path(self.id)
        local = self.workspace.local_path(path)
        return local.as_uri() if local is not None else f"{self.workspace.display}/{path}"

    def close(self, stopped: StageStopped | None = None) -> None:
        """Ends the run: signs the receipt of a stopped one, writes the page, tidies up."""
        if stopped is None:
            promoted = self.record.find(Promoted)
            if promoted is None:
                raise RuntimeError(f"run {self.id} must be promoted or stopped before it is closed")
            self.signed = read_receipt(self.workspace, promoted.receipt)
        else:
            self.signed = issue_receipt(self.workspace, draft_receipt(self.record, stopped))
        write_report(self.workspace, self.record, self.signed.receipt, self.signed)
        self.journal.remove()

    def outcome(self) -> Any:
        """Return what the flow returns: the receipt, or a state whose result raises GateStopped.

        That state is Failed, and named Stopped.
        """
        if self.signed is None:
            raise RuntimeError(f"run {self.id} must be closed before it has an outcome")
        receipt = self.signed.receipt
        if receipt.promoted:
            return receipt
        stopped = GateStopped(receipt)
        return Failed(name="Stopped", message=str(stopped), data=stopped)


def _take(returned: R | State[R]) -> R:
    """Return what a task handed on.

    Prefect gives back the state itself where a task has named it, as a red gate does.
    """
    return returned.result() if isinstance(returned, State) else returned


@contextmanager
def open_run(
    flow: Flow, recipe: Recipe, workspace: str, resume: str | None = None
) -> Iterator[Run]:
    """Opens a run for the duration of the block.

    However the block ends but by a crash, there is a receipt. A crash leaves none, for nothing was
    found out: the journal stays, and with it what is
    done: the error says how the run goes on.

    Args:
        flow: What it is a run of.
        recipe: What is carried out.
        workspace: Where everything is written.
        resume: A run that was lost and is to go on; its recipe is the one above. None: the one
            that this flow run of Prefect has begun before, if it has, else a new one.

    Raises:
        ResumeError: That run cannot go on.
    """
    run = Run(flow, recipe, workspace, resume or find_begun(workspace, recipe, name_flow_run()))
    try:
        try:
            yield run
        except StageStopped as stopped:
            run.close(stopped)
        else:
            run.close()
    except BaseException as error:
        run.journal.leave(error)
        raise
    finally:
        open_teller().flush()
