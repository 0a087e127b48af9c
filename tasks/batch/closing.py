"""Closes a batch: its record is signed, kept in the workspace, and laid beside the answers."""

from datetime import UTC, datetime

from gates.engine.report import GateReport
from storage.base.store import Store
from tasks.batch.outcomes import Answered, Asked, Published
from tasks.batch.record import BESIDE, BatchRecord, write_record
from tasks.runtime.errors import StageStopped
from tasks.runtime.provenance import describe_code


def close_batch(
    store: Store,
    asked: Asked,
    answered: Answered | None,
    published: Published | None,
    reports: tuple[GateReport, ...],
    stopped: StageStopped | None,
) -> BatchRecord:
    """Sign the record of a batch, and write it: beside files of answers as the last of them.

    Args:
        store: The workspace.
        asked: What was asked.
        answered: What became of the rows, as far as it got.
        published: Where the answers are, as far as it got.
        reports: The gates' reports.
        stopped: What stopped it; None where it was published.
    """
    record = BatchRecord(
        key=asked.key,
        status="stopped" if stopped else "published",
        stopped_at=stopped.stage if stopped else None,
        reasons=stopped.reasons if stopped else (),
        created_at=datetime.now(UTC),
        recipe=asked.card.name,
        model_id=asked.card.model_id,
        artifact=asked.card.artifact.sha256,
        receipt=asked.card.receipt,
        channel=asked.channel,
        release=asked.release,
        asked=asked.dataset,
        answers=published.version if published else None,
        out=Store(asked.out).display,
        format=asked.format,
        files=published.files if published else {},
        rows=answered.rows if answered else None,
        answered=answered.answered if answered else None,
        noted=answered.noted if answered else None,
        gates=tuple(report.model_dump(mode="json") for report in reports),
        lepton=describe_code(),
    )
    content = write_record(store, record)
    if published is not None and asked.has_files:
        Store(asked.out).write(BESIDE, content)
    return record
