"""Outcomes say what is said of them, and the run's record reads every type of them back."""

from datetime import UTC, datetime
from typing import Literal

import pytest

from gates.engine.report import Check, GateReport
from storage.records.receipts import DatasetRecord, SourceRecord
from tasks.runtime.outcome_base import OUTCOMES, FileReference, Outcome, References
from tasks.runtime.outcomes import Collected, Judged, Promoted, wrap_outcome
from tasks.runtime.run_record import RunRecord

VERSION = DatasetRecord(name="d-raw", number=3, digest="0", manifest="", rows={"": 1200})
COLLECTED = Collected(source=SourceRecord(type="csv", digest="0"), dataset=VERSION)


class Tuned(Outcome):
    """What a stage of a later flow hands on."""

    type: Literal["tuned"] = "tuned"
    trials: int

    @property
    def facts(self) -> tuple[str, ...]:
        return (f"{self.trials} trials",)


def make_report(*, passed: bool) -> GateReport:
    check = Check(rule="r", about="a", observed=1, limit=0, passed=passed, message="too many")
    return GateReport(stage="raw", passed=passed, checks=(check,), suite_digest="0")


def make_record() -> RunRecord:
    return RunRecord(
        run="r",
        flow="f",
        required_gates=(),
        workspace="w",
        recipe={},
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def test_an_outcome_says_its_facts_and_what_it_refers_to() -> None:
    assert COLLECTED.facts == ("1,200 rows from csv", "d-raw@3")
    assert COLLECTED.references == References(datasets=(VERSION,))
    assert "1,200" in COLLECTED.render_markdown("collect", "")
    assert Promoted(receipt="abc", releases={"edge": 2}).references.receipts == ("abc",)
    assert Promoted(receipt="abc", releases={"edge": 2}).facts == ("edge: release 2",)


@pytest.mark.parametrize(
    ("passed", "word", "facts", "summary"),
    [
        (True, "green", ("1 checks passed",), ("1 checks passed",)),
        (False, "red", ("too many",), ("1 check failed",)),
    ],
)
def test_a_gate_s_report_is_wrapped_and_never_kept(
    passed: bool, word: str, facts: tuple[str, ...], summary: tuple[str, ...]
) -> None:
    outcome = wrap_outcome(make_report(passed=passed))
    assert isinstance(outcome, Judged)
    assert (outcome.word, outcome.facts, outcome.summary) == (word, facts, summary)
    assert not outcome.is_kept
    assert "pages/gate-raw" in outcome.render_markdown("gate raw", "pages").replace("\\", "")


def test_an_outcome_of_a_later_flow_needs_only_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OUTCOMES._rows, "tuned", Tuned)
    record = make_record().with_stage("collect", COLLECTED, 1.0)
    record = record.with_stage("gate raw", make_report(passed=True), 0.5)
    record = record.with_stage("tune", Tuned(trials=7), 2.0).with_stage("train", None, 0.1)
    again = RunRecord.model_validate_json(record.model_dump_json())
    assert again == record
    assert again.find(Tuned) == Tuned(trials=7)
    assert again.reports == record.reports
    assert "- 7 trials" in Tuned(trials=7).render_markdown("tune", "")
    assert Tuned(trials=7).references == References()


def test_what_is_no_outcome_is_refused() -> None:
    with pytest.raises(TypeError, match="must hand on an Outcome"):
        make_record().with_stage("tune", 7, 0.1)
    with pytest.raises(ValueError, match="stages"):
        RunRecord.model_validate(
            {
                **make_record().model_dump(),
                "stages": {"x": {"outcome": {"type": "unheard"}, "duration_s": 1}},
            }
        )


def test_a_file_lies_in_the_workspace_unless_it_says_another_folder() -> None:
    assert FileReference(path="a", sha256="0").folder == ""
