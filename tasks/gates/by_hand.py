"""Judges a version, or drafts a suite from one, outside of any run; nothing is set aside."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gates.engine.custom import ROWS, build_own_suite
from gates.engine.judge import run_suite
from gates.engine.report import GateReport, join_reports
from gates.specs.sections import GatesSpec
from storage.base.errors import NotFound
from storage.base.store import Store
from storage.datasets.version import Version
from storage.forms.base import RowsSpec
from storage.records.receipts import Receipt
from tasks.gates.accepted import find_accepted, find_last_good, list_receipts, parse_data
from tasks.gates.own_suites import draft_suite, gather_expectations
from tasks.gates.raw import judge_version
from tasks.gates.row_table import open_rows


@dataclass(frozen=True)
class Rules:
    """Holds what a recipe says of a data set: its rows, and the limits of the gates."""

    data: RowsSpec
    limits: GatesSpec


def find_rules(store: Store, dataset: str) -> Rules:
    """Find the rules of the newest run that made a data set, from its receipt.

    Raises:
        NotFound: No receipt names the data set.
    """
    receipts = sorted(list_receipts(store), key=lambda receipt: receipt.created_at, reverse=True)
    for receipt in receipts:
        if any(record.name == dataset for record in receipt.datasets.values()):
            return _read_rules(receipt)
    raise NotFound(
        f"dataset {dataset} must have been made by a run to be judged by its recipe; no receipt in "
        f"{store.display} names it; name a recipe with --recipe"
    )


def _read_rules(receipt: Receipt) -> Rules:
    document: Any = receipt.recipe.get("document") or {}
    spec = parse_data(document.get("data") or {})
    sections = {**(document.get("gates") or {})}
    sections.pop("model", None)  # judges a model, and no version by hand
    return Rules(spec, GatesSpec.model_validate(sections))


def judge_by_hand(
    store: Store, version: Version, rules: Rules, suites: Sequence[str] = ()
) -> GateReport:
    """Judge a raw version by the recipe's gates; any version by more suites.

    Args:
        store: The workspace.
        version: Of any data set of the recipe.
        rules: The recipe's.
        suites: Further suites, by path or import path.
    """
    reports = []
    if version.entry.kind in (
        "raw",
        "delete-rows",
        "replace-rows",
        "append",
    ) and version.name.endswith("-raw"):
        accepted = find_accepted(store, version, rules.data)
        reports.append(judge_version(version, rules.data, rules.limits, accepted))
    if suites:
        suite = build_own_suite(gather_expectations((), suites), "own suites")
        reports.append(run_suite(suite, {ROWS: open_rows(version, rules.data)}))
    if not reports:
        raise NotFound(
            f"dataset {version.ref} must be raw to have default expectations; it is of kind "
            f"{version.entry.kind}; name a suite with --suite"
        )
    return join_reports("by hand", reports)


def draft_by_hand(store: Store, name: str, data: RowsSpec) -> dict[str, Any]:
    """Draft a suite that the last accepted raw version passes; the latest if none was."""
    return draft_suite(find_last_good(store, f"{name}-raw"), data)
