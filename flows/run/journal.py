"""Writes down what every stage of a run handed on, so that a lost run can go on.

`lepton run --resume RUN` goes on with it.

A journal lies in the run's own folder, which its owner alone can read, and is signed with this
machine's receipt key. It is never taken on trust: what a stage handed on counts only while every
file that it names still has the digest that was written down, and gates judge again. A lock that
the kernel gives back when the process ends, however it ends, tells a run that was lost from one
that is at work.
"""

import os
import secrets
import shutil
from datetime import UTC, datetime
from pathlib import Path

from deployments.targets.trust.keys import KeyRing
from flows.errors import ResumeError
from flows.recipe.model import Recipe
from flows.run.flow import Flow
from flows.run.folders import locate_runs, make_run, sweep_runs
from flows.run.journal_page import JOURNAL, Page, load_page_recipe, read_page, take_run
from flows.run.lost import describe_way_on, find_directory, list_done
from storage.base.store import Store, canonical_json
from tasks.release.at_work import drop_need, note_need
from tasks.release.revisit import find_change
from tasks.runtime.errors import WorkerFailed
from tasks.runtime.outcomes import Promoted
from tasks.runtime.provenance import describe_code
from tasks.runtime.run_record import Resumption, RunRecord, StageRecord


class Journal:
    """Keeps the journal of one run, held by this process alone.

    Attributes:
        workspace: Where the run writes; clean-ups see there what it needs.
        directory: The run's folder: the journal, and files in the making.
        recipe: What is carried out.
        record: Where the run begins: no stage yet, and the times that it went on before.
    """

    def __init__(
        self, workspace: Store, directory: Path, recipe: Recipe, record: RunRecord, lock: int
    ) -> None:
        self.workspace = workspace
        self.directory = directory
        self.recipe = recipe
        self.record = record
        self._written = record
        self._lock = lock
        self._code = describe_code().digest
        self._kept: dict[str, StageRecord] = {}

    def write(self, record: RunRecord) -> None:
        """Writes down what is known now; durable when it returns."""
        note_need(self.workspace, record)
        page = Page(code=self._code, recipe=self.recipe.document, record=record)
        # As text, which keeps the stages in order; what is signed is exactly what is read.
        body = page.model_dump_json()
        signature = KeyRing().receipt_signer().sign(body.encode())
        Store(self.directory).write(
            JOURNAL, canonical_json({"signature": signature, "signed": body})
        )
        self._written = record

    def recall(self, stage: str) -> StageRecord | None:
        """Return what a stage of the lost attempt handed on, if it still holds.

        A gate's verdict never does.
        """
        return self._kept.get(stage)

    def keep(self, code: str) -> None:
        """Keeps what the lost attempt wrote down, in order; nothing behind a change is kept.

        Args:
            code: Digest of the Lepton that wrote it.
        """
        # What was published already is this run's own champion.
        channels = () if self.record.find(Promoted) else tuple(self.recipe.targets)
        reason = None
        for name, stage in self.record.stages.items():
            if stage.outcome is None:
                break
            if not stage.outcome.is_kept:
                continue
            references = stage.outcome.references
            if (reason := find_change(self.workspace, references, channels)) is not None:
                reason = f"{name} is done again: {reason}"
                break
            self._kept[name] = stage
        resumption = Resumption(
            at=datetime.now(UTC), kept=tuple(self._kept), code=code, reason=reason
        )
        self.record = self.record.model_copy(
            update={"stages": {}, "resumptions": (*self.record.resumptions, resumption)}
        )

    def leave(self, error: BaseException) -> None:
        """Ends a run that was lost: what is done stays, and the error says how to go on.

        Where the recipe itself was at fault it could only be lost again.
        """
        hopeless = isinstance(error, WorkerFailed) and error.is_hopeless
        if list_done(self._written) and not hopeless:
            error.add_note(describe_way_on(self._written))
            self._unlock()
        else:
            self.remove()

    def remove(self) -> None:
        """Deletes the run's folder: nobody goes on from it."""
        shutil.rmtree(self.directory, ignore_errors=True)
        drop_need(self.workspace, self.record.run)
        self._unlock()

    def _unlock(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def begin_journal(
    workspace: Store, recipe: Recipe, flow: Flow, flow_run: str | None = None
) -> Journal:
    """Begins the journal of a new run, whose id is time and chance: `20261121-053012-9f3a1c`.

    Args:
        workspace: Where the run writes.
        recipe: What is carried out.
        flow: What it is a run of.
        flow_run: Prefect's id of the flow run that carries it out.
    """
    run = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
    runs = locate_runs(workspace)
    sweep_runs(runs)
    directory, lock = make_run(runs, run)
    record = RunRecord(
        run=run,
        flow=flow.name,
        plan=flow.names,
        required_gates=flow.required_gates,
        workspace=workspace.display,
        recipe={"name": recipe.name, "digest": recipe.digest, "document": recipe.document},
        flow_run=flow_run,
        started_at=datetime.now(UTC),
    )
    note_need(workspace, record)
    return Journal(workspace, directory, recipe, record, lock)


def reopen_journal(workspace: Store, run: str, flow: Flow, flow_run: str | None = None) -> Journal:
    """Opens the journal of a lost run again, with what of it still holds.

    Args:
        workspace: Where the run wrote.
        run: Id of the run.
        flow: What goes on with it.
        flow_run: Prefect's id of the flow run that does.

    Raises:
        ResumeError: There is no such run, it is at work, or its journal is not the one that was
            written.
    """
    directory = find_directory(workspace, run)
    lock = take_run(directory)
    try:
        page = read_page(directory)
        record = _hand_over(page.record, flow).model_copy(update={"flow_run": flow_run})
        journal = Journal(workspace, directory, load_page_recipe(page), record, lock)
        journal.keep(page.code)
        note_need(workspace, page.record)
    except BaseException:
        os.close(lock)
        raise
    return journal


def _hand_over(record: RunRecord, flow: Flow) -> RunRecord:
    """Return the record of a lost run as its flow goes on with it, by today's required gates."""
    if record.flow != flow.name:
        raise ResumeError(
            f"run ({record.run}) must be one of {flow.name}; got one of {record.flow}; go on with "
            "it by that flow"
        )
    return record.model_copy(update={"plan": flow.names, "required_gates": flow.required_gates})
