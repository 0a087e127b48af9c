"""Gates by hand: a suite is drafted, and judges."""

import json

from gates.specs.sections import GatesSpec
from storage.base.store import Store
from tasks.gates.by_hand import Rules, draft_by_hand, find_rules, judge_by_hand
from tests.tasks.gates.mills import (
    TABLE,
    collect,
    make_table,
    write_run,
)


def test_a_drafted_suite_passes_what_it_was_drafted_from_and_stops_what_differs(tmp_path):
    store, raw = Store(tmp_path), collect(tmp_path / "t", make_table(), TABLE)
    write_run(store, raw, {})
    suite = tmp_path / "suite.json"
    suite.write_text(json.dumps(draft_by_hand(store, "mills", TABLE)))
    rules = find_rules(store, "mills-raw")
    assert rules == Rules(TABLE, GatesSpec())
    assert judge_by_hand(store, raw, rules, [str(suite)]).passed
    hot = make_table(3)
    hot["heat"][7] = "500"
    report = judge_by_hand(store, collect(tmp_path / "h", hot, TABLE), rules, [str(suite)])
    assert "source rows.csv:7" in " ".join(report.reasons)
