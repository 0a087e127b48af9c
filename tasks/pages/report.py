"""The run's report: one offline page, the gates' pages and reports, and the curve as JSON."""

import json

from storage.base.store import Store
from storage.records.receipt_files import SignedReceipt
from storage.records.receipts import Receipt
from tasks.pages.gate_report import write_gate_pages
from tasks.pages.run_page import fill_page
from tasks.rendering.render import render_run_page
from tasks.runtime.model_outcomes import Trained
from tasks.runtime.run_record import RunRecord


def report_path(run: str) -> str:
    """Return the path of a run's page in its workspace."""
    return f"reports/{run}/report.html"


def curve_path(run: str) -> str:
    """Return the path of a run's curve in its workspace: JSON, points as `CurvePoint` has them."""
    return f"reports/{run}/curve.json"


def write_report(
    workspace: Store, record: RunRecord, receipt: Receipt, signed: SignedReceipt | None
) -> str:
    """Writes all files of the report.

    Args:
        workspace: Where the run wrote.
        record: What its stages handed on.
        receipt: What it has earned.
        signed: The same, signed; None: a person is still asked.

    Returns:
        The page's address.
    """
    for report in record.reports:
        workspace.write(
            f"reports/{record.run}/gate-{report.stage}.json",
            report.model_dump_json(indent=2).encode(),
        )
    write_gate_pages(workspace, record)
    if trained := record.find(Trained):
        points = [point.model_dump(mode="json") for point in trained.curve]
        workspace.write(curve_path(record.run), json.dumps(points, indent=2).encode())
    path = report_path(record.run)
    workspace.write(path, render_run_page(fill_page(workspace, record, receipt, signed)).encode())
    return workspace.address(path)
