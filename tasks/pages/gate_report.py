"""Fills gate pages: what they show beside checks, such as distributions and earlier verdicts."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from gates.drift.divergence import Histogram
from gates.drift.drift_gate import Distribution as Found
from gates.engine.report import GateReport
from storage.base.errors import StorageError
from storage.base.store import Store
from storage.datasets.version import Version
from storage.forms.base import RowsSpec
from storage.records.receipts import Receipt
from tasks.data.open_versions import open_version
from tasks.gates.accepted import find_accepted, list_receipts, parse_data
from tasks.gates.drift_statistics import compare_statistics
from tasks.pages.offenders import pick_offenders, pick_pairs
from tasks.rendering.gate_page import (
    MAX_BARS,
    Distribution,
    GatePage,
    PastVerdict,
    render_gate_page,
)
from tasks.rendering.text import format_number
from tasks.runtime.outcomes import Collected, Prepared
from tasks.runtime.run_record import RunRecord

MAX_DISTRIBUTIONS, MAX_HISTORY = 24, 30


def write_gate_pages(workspace: Store, record: RunRecord) -> list[str]:
    """Write one offline page a gate beside the run's page; return their paths."""
    paths = []
    receipts = list_receipts(workspace)
    for report in record.reports:
        path = f"reports/{record.run}/gate-{report.stage}.html"
        workspace.write(
            path, render_gate_page(fill_gate_page(workspace, record, report, receipts)).encode()
        )
        paths.append(path)
    return paths


def fill_gate_page(
    workspace: Store, record: RunRecord, report: GateReport, receipts: list[Receipt]
) -> GatePage:
    """Fill the page of one gate; rows are drawn on those of the gates on data."""
    page = GatePage(
        run=record.run,
        recipe=str(record.recipe["name"]),
        gate=report,
        history=tuple(_list_history(record, report.stage, receipts)),
    )
    collected = record.find(Collected)
    if collected is None or report.stage not in ("raw", "prepared"):
        return page
    document: Any = record.recipe["document"]
    try:
        data = parse_data(document["data"])
        if report.stage == "prepared":
            return page.model_copy(
                update=_show_prepared(workspace, record, collected, data, report)
            )
        version = open_version(workspace, collected.dataset)
        accepted = find_accepted(workspace, version, data, before=record.run).version
        update = {
            "judged": version.ref,
            "accepted": accepted.ref if accepted is not None else "",
            "distributions": _draw_distributions(accepted, version, data, report)
            if accepted is not None
            else (),
            "samples": tuple(pick_offenders(version, data, report)),
        }
    except StorageError:
        return page  # The run may have stopped because the rows cannot be read: the checks say so.
    return page.model_copy(update=update)


def _show_prepared(
    workspace: Store, record: RunRecord, collected: Collected, data: RowsSpec, report: GateReport
) -> dict[str, Any]:
    prepared = record.find(Prepared)
    if prepared is None:
        return {}
    version, raw = (open_version(workspace, made.dataset) for made in (prepared, collected))
    return {"judged": version.ref, "samples": tuple(pick_pairs(version, raw, data, report))}


def _list_history(record: RunRecord, stage: str, receipts: list[Receipt]) -> Iterator[PastVerdict]:
    past = [receipt for receipt in receipts if receipt.recipe.get("name") == record.recipe["name"]]
    for receipt in sorted(past, key=lambda receipt: receipt.created_at, reverse=True)[:MAX_HISTORY]:
        for gate in receipt.gates:
            if gate.get("stage") != stage or receipt.run == record.run:
                continue
            passed = gate.get("passed") is True
            yield PastVerdict(
                run=receipt.run,
                created_at=receipt.created_at,
                passed=passed,
                reason=_find_reason(gate.get("checks")),
            )


def _find_reason(checks: Any) -> str:
    """Find the message of the first failed check of a receipt, whatever Lepton wrote it."""
    for check in checks if isinstance(checks, list) else ():
        if isinstance(check, dict) and check.get("passed") is False:
            return str(check.get("message", ""))
    return ""


def _draw_distributions(
    accepted: Version, current: Version, data: RowsSpec, report: GateReport
) -> tuple[Distribution, ...]:
    """Draw both distributions of each field; those of failed checks come first."""
    pairs = compare_statistics(accepted.statistics(), current.statistics(), data, whole=True)
    failed = [check.about for check in report.checks if not check.passed]
    names = sorted(
        pairs, key=lambda name: (not any(about.startswith(name) for about in failed), name)
    )
    return tuple(_make_distribution(name, *pairs[name]) for name in names[:MAX_DISTRIBUTIONS])


def _make_distribution(name: str, accepted: Found, current: Found) -> Distribution:
    if isinstance(accepted, Histogram) and isinstance(current, Histogram):
        low, high = accepted.edges[0], accepted.edges[-1]
        ends = np.linspace(low, high, min(MAX_BARS, max(2, len(accepted.counts))) + 1)
        shares = [
            np.diff(histogram.find_shares(ends.tolist())) for histogram in (accepted, current)
        ]
        edges = tuple(format_number(float(end)) for end in (ends[0], ends[-1]))
        return Distribution(
            name=name,
            edges=edges,
            accepted=tuple(shares[0].tolist()),
            current=tuple(shares[1].tolist()),
        )
    counts = [found if isinstance(found, dict) else {} for found in (accepted, current)]
    values = sorted(set(counts[0]) | set(counts[1]))[:MAX_BARS]
    totals = [max(1, sum(found.values())) for found in counts]
    both = [
        tuple(found.get(value, 0) / total for value in values)
        for found, total in zip(counts, totals, strict=True)
    ]
    return Distribution(name=name, edges=tuple(values), accepted=both[0], current=both[1])
