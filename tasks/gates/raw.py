"""Judges collected rows: against the recipe, and against the last accepted version."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from gates.engine.custom import ROWS, build_own_suite
from gates.engine.judge import run_suite
from gates.engine.on_fail import apply_on_fail
from gates.engine.report import GateReport, join_reports
from gates.raw.forms import judge_raw
from gates.specs.raw import RawGate
from gates.specs.sections import GatesSpec
from storage.base.parallel import TaskClient
from storage.base.store import Store
from storage.datasets.version import Version
from storage.forms.base import RowsSpec
from storage.shards.row_ids import VALID_SUFFIX
from tasks.data.open_versions import open_version
from tasks.forms.registry import find_task_form
from tasks.gates.accepted import Accepted, find_accepted
from tasks.gates.bad_rows import count_bad_rows
from tasks.gates.drift import gate_drift
from tasks.gates.own_suites import gather_expectations
from tasks.gates.row_table import open_rows
from tasks.gates.set_aside import quarantine_rows
from tasks.runtime.outcomes import Collected
from tasks.runtime.stage import gate


@gate
def gate_raw(
    workspace: str,
    collected: Collected,
    data: RowsSpec,
    limits: GatesSpec | RawGate,
    scheduler: str | None = None,
) -> GateReport:
    """Judge the raw rows against the recipe, and against the last version that was accepted.

    Args:
        workspace: Folder or URL of the workspace.
        collected: The raw rows.
        data: What the recipe says of its rows.
        limits: The recipe's gates; those on the raw rows alone leave the comparison out.
        scheduler: Address of a Dask scheduler for the work on rows; None does it in this process.
    """
    store = Store(workspace)
    version = open_version(store, collected.dataset)
    with _open_client(scheduler) as client:
        if isinstance(limits, RawGate):
            return judge_version(version, data, GatesSpec(raw=limits), None, client)
        report = judge_version(version, data, limits, find_accepted(store, version, data), client)
        if report.passed:
            quarantine_rows(version, data, limits.raw, report, client)
        return report


def judge_version(
    version: Version,
    data: RowsSpec,
    limits: GatesSpec,
    accepted: Accepted | None = None,
    client: TaskClient | None = None,
) -> GateReport:
    """Judge a raw version, alone and against an accepted one; None leaves the comparison out."""
    find_rows = partial(
        count_bad_rows, version=version, data=data, limits=limits.raw, client=client
    )
    facts = find_task_form(data).describe_raw(version, data, client)
    reports = [
        apply_on_fail(judge_raw(data.kind, limits.raw, facts), limits.raw.on_fail, find_rows)
    ]
    suite = build_own_suite(gather_expectations(limits.raw.expectations, limits.raw.suites), "raw")
    if suite.expectations:
        reports.append(run_suite(suite, {ROWS: open_rows(version, data, client)}))
    if accepted is not None and _can_compare(version, accepted):
        drift = gate_drift(version, accepted, data, limits.drift, client)
        reports.append(apply_on_fail(drift, limits.drift.on_fail))
    return join_reports("raw", reports)


def _can_compare(version: Version, accepted: Accepted) -> bool:
    """Return whether both have the same fields; if not, the raw gate has said so."""
    if accepted.version is None:
        return True
    return _list_fields(version) == _list_fields(accepted.version)


def _list_fields(version: Version) -> set[tuple[str, str, tuple[int, ...]]]:
    return {
        (field.name, field.dtype, field.shape)
        for field in version.fields
        if not field.name.endswith(VALID_SUFFIX)
    }


@contextmanager
def _open_client(scheduler: str | None) -> Iterator[TaskClient | None]:
    if scheduler is None:
        yield None
        return
    from distributed import Client

    with Client(scheduler) as client:
        yield client
