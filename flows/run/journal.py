"""Writes down what every stage of a run handed on, so that a lost run can go on.

`lepton run --resume RUN` goes on with it.

A journal lies in the run's own folder, which its owner alone can read, and is signed with this
machine's receipt key. It is never taken on trust: what a stage handed on counts only while every
file that it names still has the digest that was written down, and gates judge again. A lock that
the kernel gives back when the process ends, however it ends, tells a run that was lost from one
that is at work.
"""

import fcntl
import json
import os
import secrets
import shlex
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from deployments.targets.trust.key_files import cache_dir
from deployments.targets.trust.keys import KeyRing
from flows.errors import ResumeError
from flows.recipe.model import Recipe
from flows.run.flow import Flow
from storage.base.errors import NotFound
from storage.base.store import Store, canonical_json
from tasks.release.revisit import find_change
from tasks.runtime.errors import WorkerFailed
from tasks.runtime.outcomes import Promoted
from tasks.runtime.provenance import describe_code
from tasks.runtime.run_record import Resumption, RunRecord, StageRecord

JOURNAL, LOCK = "journal.json", "lock"
FOLDER = "runs"


class _Page(BaseModel):
    """Holds what is signed.

    Attributes:
        kind: Tells it from a receipt, which the same key signs.
        code: Digest of Lepton's own files.
        recipe: The whole recipe, secrets included: the run goes on with it.
        record: What the stages handed on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["journal"] = "journal"
    format: Literal[1] = 1
    code: str
    recipe: dict[str, Any]
    record: RunRecord


class Journal:
    """Keeps the journal of one run, held by this process alone.

    Attributes:
        directory: The run's folder: the journal, and files in the making.
        recipe: What is carried out.
        record: Where the run begins: no stage yet, and the times that it went on before.
    """

    def __init__(self, directory: Path, recipe: Recipe, record: RunRecord, lock: int) -> None:
        self.directory = directory
        self.recipe = recipe
        self.record = record
        self._written = record
        self._lock = lock
        self._code = describe_code().digest
        self._kept: dict[str, StageRecord] = {}

    def write(self, record: RunRecord) -> None:
        """Writes down what is known now; durable when it returns."""
        page = _Page(code=self._code, recipe=self.recipe.model_dump(mode="json"), record=record)
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

    def keep(self, workspace: Store, code: str) -> None:
        """Keeps what the lost attempt wrote down, in order; nothing behind a change is kept.

        Args:
            workspace: Where the run wrote.
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
            if (reason := find_change(workspace, references, channels)) is not None:
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
        self._unlock()

    def _unlock(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def begin_journal(workspace: Store, recipe: Recipe, flow: Flow) -> Journal:
    """Begins the journal of a new run, whose id is time and chance: `20261121-053012-9f3a1c`."""
    run = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
    directory = _locate_runs(workspace) / run
    directory.parent.mkdir(parents=True, exist_ok=True)
    directory.mkdir(mode=0o700)
    record = RunRecord(
        run=run,
        flow=flow.name,
        plan=flow.names,
        required_gates=flow.required_gates,
        workspace=workspace.url,
        recipe={"name": recipe.name, "digest": recipe.digest, "document": recipe.document},
        started_at=datetime.now(UTC),
    )
    return Journal(directory, recipe, record, _take_lock(directory))


def reopen_journal(workspace: Store, run: str, flow: Flow) -> Journal:
    """Opens the journal of a lost run again, with what of it still holds.

    Args:
        workspace: Where the run wrote.
        run: Id of the run.
        flow: What goes on with it.

    Raises:
        ResumeError: There is no such run, it is at work, or its journal is not the one that was
            written.
    """
    directory = _find_directory(workspace, run)
    lock = _take_lock(directory)
    try:
        page = _read_page(directory)
        journal = Journal(directory, _load_recipe(page), _hand_over(page.record, flow), lock)
        journal.keep(workspace, page.code)
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


def recall_recipe(workspace: str, run: str) -> Recipe:
    """Return the recipe that a lost run carries out.

    Raises:
        ResumeError: As for `reopen_journal`.
    """
    directory = _find_directory(Store(workspace), run)
    os.close(_take_lock(directory))
    return _load_recipe(_read_page(directory))


def find_lost_run(workspace: str, recipe: Recipe) -> str | None:
    """Return how to go on with the newest lost run of a recipe, or None without one."""
    for record in _list_lost(Store(workspace)):
        if record.recipe["digest"] == recipe.digest:
            return describe_way_on(record)
    return None


def describe_way_on(record: RunRecord) -> str:
    """Return a sentence on a lost run: how far it came, and the command that goes on with it."""
    where = shlex.quote(Store(record.workspace).display)
    command = f"lepton run --resume {record.run} --workspace {where}"
    return (
        f"run {record.run} ended early, after {list_done(record)[-1]}; to go on with it: {command}"
    )


def list_done(record: RunRecord) -> list[str]:
    """Return the names of the stages that handed something on."""
    return [name for name, stage in record.stages.items() if stage.outcome is not None]


def _list_lost(workspace: Store) -> Iterator[RunRecord]:
    """Yield the records of the runs that can go on, newest first."""
    for directory in sorted(_locate_runs(workspace).glob(f"*/{JOURNAL}"), reverse=True):
        try:
            os.close(_take_lock(directory.parent))
            record = _read_page(directory.parent).record
        except (ResumeError, OSError):
            continue
        if record.workspace == workspace.url and list_done(record):
            yield record


def _locate_runs(workspace: Store) -> Path:
    """Return where runs of a workspace have their folders; on this machine if it is remote."""
    local = workspace.local_path(FOLDER)
    return local if local is not None else cache_dir() / FOLDER


def _find_directory(workspace: Store, run: str) -> Path:
    directory = _locate_runs(workspace) / run
    if run and Path(run).name == run and (directory / JOURNAL).is_file():
        return directory
    known = ", ".join(record.run for record in _list_lost(workspace)) or "none"
    raise ResumeError(
        f"run ({run}) must be one that was lost in {workspace.display} and can go on; got no "
        f"journal of it; those that can: {known}; or give --workspace"
    )


def _take_lock(directory: Path) -> int:
    """Takes a run for this process; the kernel gives it back when the process ends.

    Raises:
        ResumeError: Another process is at work on it.
    """
    descriptor = os.open(directory / LOCK, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise ResumeError(
            f"run ({directory.name}) must have ended before it can go on; got a process that is at "
            "work on it; wait for that one"
        ) from error
    return descriptor


def _read_page(directory: Path) -> _Page:
    """Reads a journal if its signature is this machine's, which is checked before all else."""
    try:
        envelope = json.loads(Store(directory).read(JOURNAL))
        # Ed25519 signatures are deterministic (RFC 8032): the same key signs the same bytes alike.
        expected = KeyRing().receipt_signer().sign(envelope["signed"].encode())
        if envelope["signature"] != expected:
            raise ResumeError(
                f"journal ({directory / JOURNAL}) must be signed with this machine's key; got "
                "another signature; it was altered or is another machine's: run the recipe again, "
                "or set LEPTON_CONFIG_DIR to the keys it had"
            )
        return _Page.model_validate_json(envelope["signed"])
    except (ValueError, TypeError, KeyError, AttributeError, NotFound) as error:
        raise ResumeError(
            f"journal ({directory / JOURNAL}) must be one that this Lepton writes; got "
            f"{type(error).__name__}: {str(error).splitlines()[0]}; run the recipe again"
        ) from error


def _load_recipe(page: _Page) -> Recipe:
    """Return the recipe of a run, as it was when the run began."""
    recipe = _validate(page.recipe)
    if recipe is None or recipe.digest != page.record.recipe["digest"]:
        raise ResumeError(
            f"recipe of run ({page.record.run}) must mean what it meant when the run began; got "
            "another digest, for Lepton has changed since; run the recipe again"
        )
    return recipe


def _validate(document: dict[str, Any]) -> Recipe | None:
    try:
        return Recipe.model_validate(document)
    except ValidationError:
        return None
