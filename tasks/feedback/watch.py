"""Watches what came back: does it fit, is it new, and is it like what the model learned from?"""

from datetime import UTC, datetime
from typing import Literal

from gates.engine.on_fail import apply_on_fail
from gates.engine.report import GateReport
from gates.live import LiveFacts, judge_live
from gates.specs.drift import DriftGate
from gates.specs.sections import GatesSpec
from storage.base.errors import StorageError
from storage.base.store import Store
from storage.forms.base import RowsSpec
from storage.records.receipts import DatasetRecord
from tasks.data.collect import describe_version
from tasks.data.open_versions import open_version
from tasks.feedback.champion import Champion, find_champion
from tasks.feedback.collect import Gathered
from tasks.feedback.evidence import Finding, list_findings
from tasks.feedback.fresh import Fresh, FreshRows
from tasks.forms.registry import find_task_form
from tasks.gates.accepted import Accepted
from tasks.gates.drift import gate_drift
from tasks.runtime.errors import TaskError
from tasks.runtime.outcome_base import Result
from tasks.runtime.stage import stage

Verdict = Literal["green", "red", "not computed", "not asked"]


class Watched(Result):
    """What the live gate and the drift gate say of what came back.

    Attributes:
        champion: The promoted model; None without one.
        fresh: The fresh rows that fit; None where there are none, or too few to look at.
        rows: How many are fresh, unfit ones among them; all of them without a champion.
        labelled: How many of them have their truth.
        live: Whether they fit and are new.
        drift: Whether they are like what the model learned from.
        findings: Why.
    """

    champion: str | None = None
    fresh: DatasetRecord | None = None
    rows: int = 0
    labelled: int = 0
    live: Verdict = "not asked"
    drift: Verdict = "not asked"
    findings: tuple[Finding, ...] = ()

    @property
    def facts(self) -> tuple[str, ...]:
        """How much is fresh, and what the gates say."""
        return (f"{self.rows:,} fresh rows", f"live gate {self.live}", f"drift gate {self.drift}")


@stage
def gate_live(
    workspace: str,
    name: str,
    gathered: Gathered,
    data: RowsSpec,
    limits: GatesSpec,
    channels: tuple[str, ...],
) -> Watched:
    """Judge the rows that the promoted model has not learned from; a red verdict asks a person.

    Args:
        workspace: Folder or URL of the workspace.
        name: Name of the recipe.
        gathered: What came back so far.
        data: What the recipe says of its rows.
        limits: The recipe's gates.
        channels: The recipe's channels.
    """
    store = Store(workspace)
    champion = find_champion(store, channels)
    if champion is None:
        text = f"no model was promoted to {', '.join(channels)}; run the recipe first"
        missing = Finding(name="champion", outcome="not computed", detail=text)
        taken = sum(gathered.dataset.rows.values()) if gathered.dataset is not None else 0
        return Watched(rows=taken + gathered.misfits, findings=(missing,))
    if gathered.dataset is None:
        return watch_rows(champion, Fresh(None), gathered, data, limits)
    fresh = FreshRows(open_version(store, gathered.dataset), champion.model, data)
    count = fresh.count()
    if count + gathered.misfits < limits.live.min_rows:
        return watch_rows(champion, Fresh(None, count), gathered, data, limits)
    return watch_rows(champion, fresh.write(f"{name}-fresh"), gathered, data, limits)


def watch_rows(
    champion: Champion, fresh: Fresh, gathered: Gathered, data: RowsSpec, limits: GatesSpec
) -> Watched:
    """Judge fresh rows, as far as there are enough of them."""
    total, least = fresh.rows + gathered.misfits, limits.live.min_rows
    counted = Finding(
        name="fresh rows",
        outcome="noted",
        detail=f"{total} that the promoted model has not learned from, {fresh.labelled} of them "
        f"with a truth; decided from {least} on",
    )
    watched = Watched(champion=champion.model.id, rows=total, findings=(counted,))
    if total < least:
        return watched
    report = judge_live(limits.live, describe_live(fresh, gathered.misfits, datetime.now(UTC)))
    findings = [counted, *list_findings("live gate", report)]
    drift: Verdict = "not asked"
    if fresh.version is not None:
        drift, told = compare_rows(champion, fresh, data, limits)
        findings += told
    return watched.model_copy(
        update={
            "fresh": describe_version(fresh.version) if fresh.version is not None else None,
            "labelled": fresh.labelled,
            "live": "green" if report.passed else "red",
            "drift": drift,
            "findings": tuple(findings),
        }
    )


def describe_live(fresh: Fresh, misfits: int, now: datetime) -> LiveFacts:
    """Gather what the live gate judges."""
    age = None if fresh.newest is None else (now - fresh.newest).total_seconds() / 3600
    return LiveFacts(
        rows=fresh.rows + misfits,
        unfit=fresh.unfit + misfits,
        age_hours=None if age is None else max(0.0, age),
        ahead_hours=None if age is None else max(0.0, -age),
    )


def compare_rows(
    champion: Champion, fresh: Fresh, data: RowsSpec, limits: GatesSpec
) -> tuple[Verdict, list[Finding]]:
    """Compare fresh rows with those that the model learned from, by the drift gate."""
    if fresh.version is None:
        return "not asked", []
    reason = None if limits.drift.enabled else "the recipe leaves gates.drift out"
    if champion.model.data.model_dump(exclude={"split"}) != data.model_dump(exclude={"split"}):
        reason = "the recipe's data section has changed since the model was promoted"
    chosen = fit_limits(limits.drift, data, limits.live.min_rows)
    if fresh.version.rows < chosen.min_rows:
        reason = f"only {fresh.version.rows} of {chosen.min_rows} rows fit the data section"
    if reason is None:
        try:
            accepted = Accepted(champion.model.raw)
            report = gate_drift(fresh.version, accepted, data, chosen, labelled=False)
        except (StorageError, TaskError) as error:
            reason = str(error)
    if reason is not None:
        return "not computed", [Finding(name="drift", outcome="not computed", detail=reason)]
    return _read_report(apply_on_fail(report, limits.drift.on_fail))


def _read_report(report: GateReport) -> tuple[Verdict, list[Finding]]:
    findings = list_findings("drift", report)
    return ("green" if report.passed else "red"), findings


def fit_limits(limits: DriftGate, data: RowsSpec, min_rows: int) -> DriftGate:
    """Return the limits of drift that suit rows of which some have no truth yet, and only a few.

    How many there are, another gate judges; labels and targets are judged by the figure that the
    model has on them.

    Args:
        limits: The recipe's.
        data: What it says of its rows.
        min_rows: Fewest rows by that other gate.
    """
    answers = [
        column.name
        for column in find_task_form(data).list_columns(data)
        if column.role in ("label", "target")
    ]
    return limits.model_copy(
        update={
            "min_rows": min(limits.min_rows, min_rows),
            "min_rows_ratio": 0.0,
            "ignore": (*limits.ignore, *answers),
        }
    )
