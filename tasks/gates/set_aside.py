"""Sets rows aside after a green raw gate: of contained checks and of own expectations."""

import numpy as np

from gates.engine.custom import ROWS, build_own_suite
from gates.engine.judge import find_quarantined
from gates.engine.on_fail import Quarantine
from gates.engine.report import GateReport
from gates.specs.raw import RawGate
from storage.base.parallel import TaskClient
from storage.datasets.version import Version
from storage.forms.base import RowsSpec
from storage.shards.row_ids import ROW_ID
from storage.upkeep.quarantine import find_released, set_aside
from tasks.gates.bad_rows import explain_bad_rows
from tasks.gates.own_suites import gather_expectations
from tasks.gates.row_table import open_rows


def quarantine_rows(
    version: Version,
    data: RowsSpec,
    limits: RawGate,
    report: GateReport,
    client: TaskClient | None = None,
) -> int:
    """Set aside the rows that a green report's checks and own expectations want set aside.

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
    """Explain, by row id, what the recipe's own expectations find wrong with rows to set aside."""
    own = gather_expectations(limits.expectations, limits.suites)
    wanted = [item for item in own if isinstance(item.on_fail, Quarantine)]
    if not wanted:
        return {}
    rows = open_rows(version, data, client)
    found = find_quarantined(build_own_suite(wanted, "raw"), {ROWS: rows}).get(ROWS, {})
    ids = version.read(fields=[ROW_ID])[ROW_ID] if found else np.zeros(0, np.uint64)
    return {int(ids[position]): "; ".join(why) for position, why in found.items()}
