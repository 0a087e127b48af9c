"""Gates on data: from a version's manifest and its small columns to the facts that the raw and prepared gates judge."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np

from gates.engine.custom import ROWS, build_own_suite
from gates.engine.judge import find_quarantined, run_suite
from gates.engine.on_fail import Quarantine, apply_on_fail
from gates.engine.report import GateReport, join_reports
from gates.engine.tables import FieldFacts, FieldRule, ShardFacts, Table, tabulate_shards
from gates.prepared.prepared_gate import PreparedFacts, judge_prepared
from gates.raw.column_checks import ColumnsFacts
from gates.raw.raw_gate import RawFacts, judge_raw
from gates.specs import GatesSpec, PreparedGate, RawGate
from storage.base.parallel import TaskClient
from storage.base.store import Store
from storage.datasets.version import Version
from storage.forms.base import RowsSpec
from storage.forms.columns import NUMBERS
from storage.forms.image import ImageSpec
from storage.forms.series import SeriesSpec
from storage.forms.table import TableSpec
from storage.records.receipts import StartRecord
from storage.shards.row_ids import ROW_ID, VALID_SUFFIX
from storage.shards.shard import ShardEntry
from storage.upkeep.duplicates import iter_alike, iter_duplicates, iter_shared
from storage.upkeep.quarantine import find_cleaned, find_released, set_aside
from tasks.data.open_versions import open_version
from tasks.gates.accepted import Accepted, find_accepted
from tasks.gates.bad_rows import count_bad_rows, explain_bad_rows, name_rows
from tasks.gates.drift import gate_drift
from tasks.gates.gate_rows import count_labels, open_labels
from tasks.gates.row_leakage import tabulate_learned, tabulate_twins
from tasks.gates.row_table import gather_expectations, open_rows
from tasks.gates.survey import list_columns, name_unread, survey_columns
from tasks.gates.time_leakage import tabulate_crossings
from tasks.runtime.outcomes import Collected, Prepared
from tasks.runtime.stage import gate


@gate
def gate_raw(
    workspace: str,
    collected: Collected,
    data: RowsSpec,
    limits: GatesSpec | RawGate,
    scheduler: str | None = None,
) -> GateReport:
    """Judges the raw rows against what the recipe declares, and against the last version that was accepted.

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


def quarantine_rows(
    version: Version,
    data: RowsSpec,
    limits: RawGate,
    report: GateReport,
    client: TaskClient | None = None,
) -> int:
    """Sets aside the rows that the checks of a green report and the recipe's own expectations want set aside.

    Args:
        version: The raw version.
        data: What the recipe says of its rows.
        limits: The recipe's, on the raw rows.
        report: Of the raw gate on this version.
        client: Where the work on rows is done; None for here.

    Returns:
        How many there were.
    """
    named = [name for name, wanted in limits.on_fail.items() if isinstance(wanted, Quarantine)]
    checks = [check for check in report.checks if check.contained and check.about in named]
    reasons = explain_bad_rows(checks, version, data, limits, client)
    for row, why in _explain_own(version, data, limits, client).items():
        reasons[row] = f"{reasons[row]}; {why}" if row in reasons else why
    released = find_released(version, list(reasons))
    reasons = {row: why for row, why in reasons.items() if row not in released}
    if reasons:
        set_aside(version, reasons)
    return len(reasons)


def _explain_own(
    version: Version, data: RowsSpec, limits: RawGate, client: TaskClient | None
) -> dict[int, str]:
    """What the recipe's own expectations find wrong with rows that are to be set aside, by row id."""
    own = gather_expectations(limits.expectations, limits.suites)
    wanted = [item for item in own if isinstance(item.on_fail, Quarantine)]
    if not wanted:
        return {}
    found = find_quarantined(
        build_own_suite(wanted, "raw"), {ROWS: open_rows(version, data, client)}
    ).get(ROWS, {})
    ids = version.read(fields=["row_id"])["row_id"] if found else np.zeros(0, np.uint64)
    return {int(ids[position]): "; ".join(why) for position, why in found.items()}


def judge_version(
    version: Version,
    data: RowsSpec,
    limits: GatesSpec,
    accepted: Accepted | None = None,
    client: TaskClient | None = None,
) -> GateReport:
    """Judges a raw version, alone and against an accepted one; None leaves the comparison out."""
    find_rows = partial(
        count_bad_rows, version=version, data=data, limits=limits.raw, client=client
    )
    raw = judge_raw(limits.raw, describe_raw(version, data, client))
    reports = [apply_on_fail(raw, limits.raw.on_fail, find_rows)]
    suite = build_own_suite(gather_expectations(limits.raw.expectations, limits.raw.suites), "raw")
    if suite.expectations:
        reports.append(run_suite(suite, {ROWS: open_rows(version, data, client)}))
    if accepted is not None and _can_compare(version, accepted):
        drift = gate_drift(version, accepted, data, limits.drift, client)
        reports.append(apply_on_fail(drift, limits.drift.on_fail))
    return join_reports("raw", reports)


def describe_raw(
    version: Version, data: RowsSpec, client: TaskClient | None = None
) -> RawFacts | ColumnsFacts:
    """The facts that the raw gate judges, by the kind of data."""
    if isinstance(data, TableSpec):
        return survey_columns(version, data, client)
    images = _require_images(data)
    return RawFacts(
        shards=tabulate_shards(_describe_shard(entry, images) for entry in version.shards),
        rows=open_labels(version),
        duplicates=name_rows(version, iter_duplicates(version)),
        fields=_declare_fields(images),
        labels=images.labels,
        label_counts=count_labels(version),
        unread=name_unread(version),
        undeclared=tuple(version.info.get("undeclared", ())),
    )


def _require_images(data: RowsSpec) -> ImageSpec:
    if isinstance(data, ImageSpec):
        return data
    raise TypeError(
        f"data ({type(data).__name__}) must be of images, a table or series; got another; mend the "
        "recipe"
    )


def _can_compare(version: Version, accepted: Accepted) -> bool:
    """Whether both have the same fields; where they do not, the raw gate has said so, or the recipe has changed."""
    if accepted.version is None:
        return True
    fields = [
        {
            (field.name, field.dtype, field.shape)
            for field in found.fields
            if not field.name.endswith(VALID_SUFFIX)
        }
        for found in (version, accepted.version)
    ]
    return fields[0] == fields[1]


@contextmanager
def _open_client(scheduler: str | None) -> Iterator[TaskClient | None]:
    if scheduler is None:
        yield None
        return
    from distributed import Client

    with Client(scheduler) as client:
        yield client


@gate
def gate_prepared(
    workspace: str,
    collected: Collected,
    prepared: Prepared,
    data: RowsSpec,
    limits: PreparedGate,
    start: StartRecord | None = None,
) -> GateReport:
    """Judges the splits before a model learns from one and is judged on another.

    Args:
        workspace: Folder or URL of the workspace.
        collected: The raw rows.
        prepared: The splits.
        data: What the recipe says of its rows.
        limits: The recipe's.
        start: What the model is to start from, which may have learned from the rows that it would
            be judged on.
    """
    version = open_version(Store(workspace), prepared.dataset)
    facts = describe_prepared(version, collected, prepared, data, start)
    return apply_on_fail(judge_prepared(limits, facts), limits.on_fail)


def describe_prepared(
    version: Version,
    collected: Collected,
    prepared: Prepared,
    data: RowsSpec,
    start: StartRecord | None = None,
) -> PreparedFacts:
    """The facts that the prepared gate judges, by the kind of data."""
    fitted = prepared.fitted
    images = data if isinstance(data, ImageSpec) else None
    return PreparedFacts(
        shards=tabulate_shards(_describe_shard(entry, images) for entry in version.shards),
        rows=open_labels(version),
        splits=version.splits,
        alike=name_rows(version, iter_alike(version, (ROW_ID,))),
        shared=name_rows(version, (found[:2] for found in iter_shared(version))),
        fields=_declare_fields(images) if images is not None else {},
        labels=data.labels if isinstance(data, ImageSpec | TableSpec) else (),
        label_counts={split: count_labels(version, split) for split in version.splits},
        fitted={"image" if images is not None else NUMBERS: (fitted.mean, fitted.std)},
        rows_collected=find_cleaned(
            open_version(version.dataset.workspace, collected.dataset)
        ).rows,
        rows_dropped=fitted.dropped,
        columns=_tabulate_training(version, data) if isinstance(data, TableSpec) else None,
        crossings=tabulate_crossings(version) if isinstance(data, SeriesSpec) else None,
        twins=tabulate_twins(version) if images is not None else None,
        learned=tabulate_learned(version, collected.source.digest, start)
        if start is not None and start.model
        else None,
    )


def _declare_fields(data: ImageSpec) -> dict[str, FieldRule]:
    image = data.image
    return {"image": FieldRule(dtype=image.dtype, shape=image.shape, value_range=image.value_range)}


def _describe_shard(entry: ShardEntry, data: ImageSpec | None) -> ShardFacts:
    """A shard's figures, as its manifest states them."""
    fields = {}
    for name in ("image",) if data is not None else ():
        statistics, field = entry.statistics[name], entry.find_field(name)
        fields[name] = FieldFacts(
            dtype=field.dtype,
            shape=field.shape,
            min=statistics.min,
            max=statistics.max,
            nan=statistics.nan,
            null=statistics.null,
            inf=statistics.inf,
        )
    return ShardFacts(
        shard=entry.digest[:12],
        rows=entry.rows,
        split=entry.split,
        source=", ".join(sorted({span.name for span in entry.source})),
        fields=fields,
    )


def _tabulate_training(version: Version, data: TableSpec) -> Table:
    """One row a column of the training split: column, missing and infinite share."""
    import pandas as pd

    statistics = version.statistics("train" if "train" in version.splits else None)
    records = []
    for name, key, role in list_columns(data):
        figures = statistics.get(key)
        if figures is None or role not in ("number", "text"):
            continue
        rows = max(1, figures.count)
        missing = (figures.null + figures.nan) / rows
        records.append({"column": name, "missing": missing, "infinite": figures.inf / rows})
    return Table(pd.DataFrame.from_records(records), identity=("column",))
