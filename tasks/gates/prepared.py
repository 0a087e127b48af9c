"""Judges splits, before a model learns from one and is judged on another."""

from dataclasses import replace

from gates.engine.on_fail import apply_on_fail
from gates.engine.report import GateReport
from gates.engine.tables import Table
from gates.prepared.facts import PreparedFacts
from gates.prepared.prepared_gate import judge_prepared
from gates.specs.prepared import PreparedGate
from lightning_modules.specs.objectives import OBJECTIVES
from lightning_modules.specs.window import WindowSpec
from storage.base.store import Store
from storage.datasets.version import Version
from storage.forms.base import RowsSpec
from storage.records.receipts import StartRecord
from storage.shards.row_ids import ROW_ID
from storage.upkeep.duplicates import iter_alike, iter_shared
from storage.upkeep.quarantine import find_cleaned
from tasks.data.open_versions import open_version
from tasks.data.row_names import name_rows
from tasks.forms.columns import Column
from tasks.forms.field_facts import tabulate_fields
from tasks.forms.label_rows import count_labels, open_labels
from tasks.forms.registry import find_task_form
from tasks.gates.answers import tabulate_answers
from tasks.gates.row_leakage import tabulate_learned
from tasks.gates.row_looks import tabulate_near_duplicates
from tasks.gates.time_leakage import tabulate_time_leakage
from tasks.runtime.outcomes import Collected, Prepared
from tasks.runtime.stage import gate

NORMAL_SPLITS = ("train", "validation")
"""Where a model that learns what is normal needs no row that is not."""


@gate
def gate_prepared(
    workspace: str,
    collected: Collected,
    prepared: Prepared,
    data: RowsSpec,
    limits: PreparedGate,
    start: StartRecord | None = None,
    objective: str | None = None,
    window: WindowSpec | None = None,
) -> GateReport:
    """Judge the splits before a model learns from one and is judged on another.

    Args:
        workspace: Folder or URL of the workspace.
        collected: The raw rows.
        prepared: The splits.
        data: What the recipe says of its rows.
        limits: The recipe's.
        start: What the model is to start from, which may have learned from the rows that it would
            be judged on.
        objective: What is asked of the rows, as `classes`; None where nobody says.
        window: What a sample of a series is; None where nobody says.
    """
    version = open_version(Store(workspace), prepared.dataset)
    facts = describe_prepared(version, collected, prepared, data, start)
    if objective is not None and OBJECTIVES.find(objective).asks is None:
        facts = replace(facts, normal_splits=NORMAL_SPLITS)
    facts = replace(facts, answers=tabulate_answers(version, data, window))
    return apply_on_fail(judge_prepared(limits, facts), limits.on_fail)


def describe_prepared(
    version: Version,
    collected: Collected,
    prepared: Prepared,
    data: RowsSpec,
    start: StartRecord | None = None,
) -> PreparedFacts:
    """Gather the facts that the prepared gate judges."""
    fitted, form = prepared.fitted, find_task_form(data)
    fields = form.declare_fields(data)
    raw = open_version(version.dataset.workspace, collected.dataset)
    learned = None
    if start is not None and start.model:
        learned = tabulate_learned(version, collected.source.digest, start, form)
    return PreparedFacts(
        shards=tabulate_fields(version, fields),
        rows=open_labels(version),
        splits=version.splits,
        alike=name_rows(version, iter_alike(version, (ROW_ID,))),
        shared=name_rows(version, (found[:2] for found in iter_shared(version))),
        fields=fields,
        labels=data.labels,
        label_counts={split: count_labels(version, split) for split in version.splits},
        fitted={name: (fitted.mean, fitted.std) for name in fields if name == form.fitted_field},
        rows_collected=find_cleaned(raw).rows,
        rows_dropped=fitted.dropped,
        columns=_tabulate_training(version, form.list_columns(data)),
        leakage=tabulate_time_leakage(version) if form.ordered else None,
        near_duplicates=tabulate_near_duplicates(version, form) if form.looks else None,
        contrary=fitted.label_conflicts,
        learned=learned,
    )


def _tabulate_training(version: Version, columns: tuple[Column, ...]) -> Table | None:
    """Tabulate one row a column of the training split: its name, missing and infinite share."""
    import pandas as pd

    learned = [column for column in columns if column.role in ("number", "text")]
    if not learned:
        return None
    statistics = version.statistics("train" if "train" in version.splits else None)
    records = []
    for column in learned:
        figures = statistics.get(column.key)
        if figures is None:
            continue
        rows = max(1, figures.count)
        missing = (figures.null + figures.nan) / rows
        records.append({"column": column.name, "missing": missing, "infinite": figures.inf / rows})
    return Table(pd.DataFrame.from_records(records), identity=("column",))
