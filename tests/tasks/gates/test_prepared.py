"""The prepared gate on tables and series."""

from gates.prepared.prepared_gate import judge_prepared
from gates.specs.prepared import PreparedGate
from storage.forms.rules import SplitSpec
from tests.tasks.gates.mills import (
    SERIES,
    TABLE,
    collect,
    find_red,
    make_series,
    make_table,
    prepare,
)


def test_prepared_tables_and_series_pass_and_a_window_that_crosses_time_does_not(tmp_path):
    limits = PreparedGate()
    assert not find_red(
        judge_prepared(limits, prepare(collect(tmp_path / "t", make_table(), TABLE), TABLE))
    )
    raw = collect(tmp_path / "s", make_series(), SERIES)
    assert not find_red(judge_prepared(limits, prepare(raw, SERIES)))
    torn = SERIES.model_copy(update={"split": SplitSpec(by="hash", held_out=0.2)})
    report = judge_prepared(limits, prepare(raw, torn))
    assert "rows of a series that lie in time among held-out rows of it" in find_red(report)
    assert any("among validation rows" in warning for warning in report.warnings)
