"""Writes what was decided into the log of each of the recipe's channels."""

from datetime import UTC, datetime

from storage.base.store import Store
from storage.records.receipts import DatasetRecord
from tasks.feedback.decide import Decision
from tasks.feedback.decisions import DatasetRef, DecisionLine, append_decision
from tasks.feedback.evidence import Finding
from tasks.runtime.stage import stage


@stage
def record_decision(
    workspace: str,
    recipe: str,
    channels: tuple[str, ...],
    decision: Decision,
    evidence: tuple[Finding, ...],
    dataset: DatasetRecord | None,
    champion: str | None,
    receipt: str | None,
) -> tuple[str, ...]:
    """Append one signed line to the log of each channel, unless it says so already.

    Args:
        workspace: Folder or URL of the workspace.
        recipe: Name of the recipe.
        channels: Its channels.
        decision: What was decided.
        evidence: Why.
        dataset: What had come back by then; None before the first row.
        champion: The model that was promoted then; None without one.
        receipt: Id of the retraining's receipt; None where there was none.

    Returns:
        The channels whose log has a new line.
    """
    store = Store(workspace)
    about = None
    if dataset is not None:
        about = DatasetRef(name=dataset.name, number=dataset.number, digest=dataset.digest)
    appended = []
    for channel in channels:
        line = DecisionLine(
            at=datetime.now(UTC),
            recipe=recipe,
            channel=channel,
            decision=decision,
            evidence=evidence,
            dataset=about,
            champion=champion,
            receipt=receipt,
        )
        if append_decision(store, line):
            appended.append(channel)
    return tuple(appended)
