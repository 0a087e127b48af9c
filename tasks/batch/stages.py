"""The stages of a batch: its rows, how far they are from training, answers, their gate, files."""

from collections.abc import Iterator, Sequence
from functools import partial

from distributed import Client

from gates.batch import BatchFacts, judge_batch
from gates.engine.on_fail import apply_on_fail
from gates.engine.report import GateReport
from gates.specs.batch import BatchGate
from gates.specs.drift import DriftGate
from lightning_modules.specs.samples import Sample
from storage.base.errors import NotFound
from storage.base.parallel import TaskClient, map_in_order
from storage.base.store import Store
from storage.datasets.version import Version
from storage.pipeline.publishing import publish_version
from storage.records.receipts import DatasetRecord, FileRecord
from storage.shards.entry import ShardEntry
from tasks.batch.answering import TOLD, AnsweredShard, Asker, answer_shard
from tasks.batch.model import AskedModel, find_asked_model
from tasks.batch.outcomes import Answered, Asked, Format, Published
from tasks.batch.record import BESIDE, BatchRecord, make_key
from tasks.batch.rows import PREPARED, open_asked
from tasks.batch.writing import Writer, write_part
from tasks.data.collect import describe_version
from tasks.data.open_versions import open_version
from tasks.feedback.models import KnownModel, ModelBook
from tasks.feedback.watch import fit_limits
from tasks.gates.accepted import Accepted
from tasks.gates.drift import gate_drift
from tasks.runtime.errors import BatchError, StageStopped
from tasks.runtime.progress import report_steps
from tasks.runtime.stage import gate, stage

BEGUN = "_batch.json"


@stage
def find_rows(
    workspace: str,
    dataset: str,
    out: str,
    format: Format,
    channel: str | None,
    model: str | None,
    scheduler: str,
) -> Asked:
    """Find the model and the rows; files are collected as those of the model's recipe are.

    Raises:
        BatchError: There is no such model, or the rows are none that it takes.
    """
    asked = find_asked_model(Store(workspace), channel, model)
    with Client(scheduler) as client:
        return ask_rows(asked, dataset, out, format, client)


def ask_rows(
    asked: AskedModel,
    dataset: str,
    out: str,
    format: Format,
    client: TaskClient | None = None,
) -> Asked:
    """Find the rows that a model is asked for; without a cluster's client, in this process."""
    version = open_asked(asked.known, dataset, client, report_steps("find rows"))
    record = describe_version(version)
    return Asked(
        workspace=asked.known.store.url,
        out=out,
        format=format,
        card=asked.card,
        channel=asked.channel,
        release=asked.release,
        dataset=record,
        unread=int(version.info.get("fault_count", 0)),
        key=make_key(asked.card.artifact.sha256, record, Store(out), format),
    )


@gate
def gate_asked(asked: Asked, limits: DriftGate, batch: BatchGate, scheduler: str) -> GateReport:
    """Compare the rows with those that the model learned from, by the limits of drift.

    Raises:
        StageStopped: They, or those that the model learned from, are too few to be compared.
    """
    with Client(scheduler) as client:
        return compare_asked(asked, limits, batch, client)


def compare_asked(
    asked: Asked, limits: DriftGate, batch: BatchGate, client: TaskClient | None = None
) -> GateReport:
    """Compare the rows; without a cluster's client, in this process."""
    store = Store(asked.workspace)
    model = _open_model(store, asked)
    chosen = fit_limits(limits, model.data, batch.min_rows)
    version = open_version(store, asked.dataset)
    learned = model.prepared if version.entry.kind == PREPARED else model.raw
    if limits.enabled:
        _require_enough((version, learned), batch.min_rows)
    accepted = Accepted(learned)
    if learned.digest == version.digest:
        accepted = Accepted(None, f"the model learned from {version.ref} itself")
    report = gate_drift(version, accepted, model.data, chosen, client, labelled=False)
    return apply_on_fail(report, limits.on_fail)


def _require_enough(versions: Sequence[Version], least: int) -> None:
    """Stop a batch whose rows, or those that the model learned from, are too few to compare."""
    for version in versions:
        if version.rows < least:
            reason = (
                f"rows ({version.ref}) must be {least} or more to be compared "
                "(gates.batch.min_rows), both those that are asked for and those that the model "
                f"learned from; got {version.rows}; ask by `lepton predict CHANNEL FILE`"
            )
            raise StageStopped("gate asked", (reason,))


@stage
def answer_rows(asked: Asked, scheduler: str) -> Answered:
    """Answer each shard of rows once, on the cluster; what an earlier call has done stays.

    Raises:
        BadArtifact: The model fails.
    """
    with Client(scheduler) as client:
        return answer_all(asked, client)


def answer_all(asked: Asked, client: TaskClient | None = None) -> Answered:
    """Answer each shard of rows; without a cluster's client, in this process."""
    store = Store(asked.workspace)
    shards, tell = open_version(store, asked.dataset).shards, report_steps("answer rows")
    work = partial(answer_shard, asker=_make_asker(store, asked))
    done: list[AnsweredShard] = []
    for shard in map_in_order(work, enumerate(shards), client):
        done.append(shard.model_copy(update={"entry": None}))
        tell(len(done), len(shards))
    return Answered(
        shards=len(done),
        rows=sum(shard.rows for shard in done) + asked.unread,
        answered=sum(shard.answered for shard in done),
        noted=sum(shard.noted for shard in done),
        told=tuple(text for shard in done for text in shard.told)[:TOLD],
    )


@gate
def gate_answers(answered: Answered, limits: BatchGate) -> GateReport:
    """Judge how many rows have no answer, and how many answers a note."""
    facts = BatchFacts(
        rows=answered.rows, answered=answered.answered, noted=answered.noted, hints=answered.told
    )
    return judge_batch(limits, facts)


@stage
def publish_answers(asked: Asked, answered: Answered, scheduler: str) -> Published:
    """Publish the answers, as a version of a data set and, unless that is asked for, as files.

    Raises:
        BatchError: Something else lies where the files would go.
    """
    with Client(scheduler) as client:
        return publish_all(asked, answered, client)


def publish_all(asked: Asked, answered: Answered, client: TaskClient | None = None) -> Published:
    """Publish the answers; without a cluster's client, in this process."""
    store, dataset = Store(asked.workspace), asked.answers
    entries = [shard.entry for shard in _recall_all(store, asked, answered) if shard.entry]
    info = {
        "asked": asked.dataset.digest,
        "artifact": asked.card.artifact.sha256,
        "model": asked.card.model_id,
    }
    files = _write_files(asked, entries, client) if asked.has_files else {}
    version = publish_version(dataset, entries, kind="predictions", info=info)
    if not asked.has_files:
        dataset.tag(asked.tag, version.number, move=True)
    return Published(version=describe_version(version), files=files)


def _write_files(
    asked: Asked, entries: Sequence[ShardEntry], client: TaskClient | None
) -> dict[str, FileRecord]:
    out, card = Store(asked.out), asked.card
    _take_place(out, asked)
    writer = Writer(asked.answers.shards, out, asked.format, card.outputs, card.model_id)
    tell, files = report_steps("publish answers"), {}
    for name, record in map_in_order(
        partial(write_part, writer=writer), enumerate(entries), client
    ):
        files[name] = record
        tell(len(files), len(entries))
    return files


def is_there(asked: Asked, record: BatchRecord) -> bool:
    """Tell whether the answers of a batch that was published still are where they went."""
    if asked.has_files:
        out = Store(asked.out)
        whole = (_has_size(out, name, file.size_bytes) for name, file in record.files.items())
        return all(whole) and out.exists(BESIDE)
    return record.answers is not None and _opens(asked, record.answers)


def _has_size(out: Store, name: str, size_bytes: int) -> bool:
    try:
        return out.size(name) == size_bytes
    except NotFound:
        return False


def _opens(asked: Asked, answers: DatasetRecord) -> bool:
    try:
        return asked.answers.open(answers.number).digest == answers.digest
    except NotFound:
        return False


def drop_marks(asked: Asked) -> None:
    """Drop what was written down for a call that goes on: it is over."""
    for path in asked.marks.list():
        asked.marks.delete(path)


def _open_model(store: Store, asked: Asked) -> KnownModel:
    return ModelBook(store).require(asked.card.model_id)


def _make_asker(store: Store, asked: Asked) -> Asker:
    model = _open_model(store, asked)
    sample: Sample = model.sample
    return Asker(
        workspace=store,
        card=asked.card,
        sample=sample,
        data=model.data,
        asked=open_version(store, asked.dataset),
        answers=asked.answers.shards,
        marks=asked.marks,
    )


def _recall_all(store: Store, asked: Asked, answered: Answered) -> Iterator[AnsweredShard]:
    asker = _make_asker(store, asked)
    for number in range(answered.shards):
        shard = asker.recall(number)
        if shard is None:
            raise BatchError(
                f"answers to shard {number} of {asked.dataset.ref} must still be there; got none; "
                "they were collected as garbage meanwhile: ask again"
            )
        yield shard


def _take_place(out: Store, asked: Asked) -> None:
    """Mark a folder as this batch's, which must be empty or be marked so already."""
    mark = asked.key.encode()
    if not out.exists(BEGUN) and out.listdir():
        raise BatchError(
            f"out ({out.display}) must be an empty folder, or that of this batch; got one with "
            "other files; give another folder"
        )
    if not out.put_if_absent(BEGUN, mark) and out.read(BEGUN) != mark:
        raise BatchError(
            f"out ({out.display}) must be an empty folder, or that of this batch; got that of "
            "other rows or another model; give another folder"
        )
