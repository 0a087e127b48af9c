"""The benchmark of drafts: its data are there, and its table tells what became of them."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from benchmarks import drafts
from benchmarks.draft_cases import CASES, SHARED, Case
from benchmarks.drafts import HEADER, list_figures, main, show_line, tell_outcome

SUMMARY = {
    "status": "promoted",
    "stopped_at": None,
    "reasons": [],
    "metrics": {
        "mae": 1.25,
        "rmse": 2.0,
        "validation_mae": 1.0,
        "linear_mae": 1.5,
        "persistence_mae": 4.0,
        "champion_mae_edge": 0.1,
        "epochs": 3,
    },
}


def test_there_are_ten_data_sets_of_five_sorts_and_each_is_named_once() -> None:
    assert len(CASES) >= 10
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_case_has_its_data(case: Case, tmp_path: Path) -> None:
    found = case.find(tmp_path)
    if found.is_relative_to(SHARED):
        assert not list(tmp_path.iterdir())
        return
    assert found.exists()
    assert found.is_relative_to(tmp_path)


def test_windows_of_both_classes_come_from_every_machine(tmp_path: Path) -> None:
    (case,) = (case for case in CASES if case.name == "bearings")
    with np.load(case.find(tmp_path)) as arrays:
        x, y, groups = arrays["x"], arrays["y"], arrays["groups"]
    assert x.shape == (600, 256, 2)
    for machine in np.unique(groups):
        assert 0 < y[groups == machine].mean() < 1


def test_a_row_tells_the_figure_beside_the_best_baseline_on_the_same_rows() -> None:
    assert list_figures(SUMMARY) == ("mae 1.25", "1.5 linear")
    assert list_figures({"metrics": {"epochs": 3}}) == ("", "")
    assert list_figures({"metrics": {"accuracy": 0.5}}) == ("accuracy 0.5", "")


def test_a_stop_has_its_reason_in_one_cell() -> None:
    assert tell_outcome(SUMMARY) == "promoted"
    stopped = {"status": "stopped", "stopped_at": "gate model", "reasons": ["a | b" + "c" * 200]}
    told = tell_outcome(stopped)
    assert told.startswith("stopped at gate model: a / b")
    assert show_line((told,)).count("|") == 2
    assert len(told) < 130
    assert show_line(HEADER).count("|") == len(HEADER) + 1


def test_a_name_that_no_case_has_is_refused_before_any_case_runs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafts, "run_case", lambda *_, **__: pytest.fail("a case ran"))
    with pytest.raises(SystemExit, match=r"irises.*choose among.*iris, wine"):
        main(["wine", "irises"])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("slow", ["new", "run"])
def test_a_case_that_takes_too_long_is_a_row_and_the_next_one_runs(
    slow: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    called = []

    def call(home: Path, command: str, *_: str) -> subprocess.CompletedProcess[str]:
        called.append(command)
        if command == slow and called.count(slow) == 1:
            raise subprocess.TimeoutExpired([*drafts.LEPTON, command], 1)
        return subprocess.CompletedProcess([], command == "run", "", "nothing to see")

    monkeypatch.setattr(drafts, "call", call)
    monkeypatch.setattr(drafts, "load_kind", lambda _: "tabular-classification")
    main(["iris", "wine"])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")][2:]
    assert len(lines) == 2
    assert f"lepton {slow} took more than" in lines[0]
    assert "nothing to see" in lines[1]


def test_a_case_whose_data_cannot_be_found_is_a_row_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Path) -> Path:
        raise OSError("disk is full")

    monkeypatch.setattr(drafts, "CASES", (Case("broken", fail), Case("other", fail)))
    main([])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")][2:]
    assert [line.count("disk is full") for line in lines] == [1, 1]
