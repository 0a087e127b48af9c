"""Folders of runs: what was killed before its first stage leaves none, and nobody else's goes."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flows.recipe.load import load_recipe
from flows.run.flow import Flow
from flows.run.folders import make_run, sweep_runs
from flows.run.journal import begin_journal
from flows.run.journal_page import JOURNAL
from storage.base.store import Store
from tasks.runtime.child import end_child, start_child

RUN = "20260101-000000-abcdef"
FLOW = Flow(name="lifecycle", stages=(), required_gates=())


def test_a_folder_appears_with_its_lock_taken_and_for_its_owner_alone(tmp_path: Path) -> None:
    directory, lock = make_run(tmp_path / "runs", RUN)
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [RUN]
    assert directory.stat().st_mode & 0o077 == 0
    sweep_runs(tmp_path / "runs")
    assert directory.is_dir()
    os.close(lock)
    sweep_runs(tmp_path / "runs")
    assert not directory.exists()


def test_the_next_run_clears_up_after_one_that_was_killed(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    code = (
        "import os, sys; from pathlib import Path; from flows.run.folders import make_run\n"
        "directory, _ = make_run(Path(sys.argv[1]), sys.argv[2])\n"
        "(directory / 'worker.log').touch()\n"
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(runs), RUN], check=False)
    assert (runs / RUN / "worker.log").is_file()
    with_journal = runs / RUN.replace("a", "b")
    with_journal.mkdir()
    (with_journal / JOURNAL).touch()
    old, young = (runs / f"{RUN[:-1]}{digit}.making" for digit in "01")
    for making in (old, young):
        making.mkdir()
    os.utime(old, (time.time() - 4000,) * 2)
    (runs / "notes").mkdir()
    journal = begin_journal(Store(tmp_path), load_recipe("digits"), FLOW)
    left = {path.name for path in runs.iterdir()}
    assert left == {with_journal.name, young.name, "notes", journal.directory.name}
    journal.remove()


@pytest.mark.parametrize("worth", [None, JOURNAL])
@pytest.mark.parametrize("stays", [False, True])
def test_a_training_process_takes_the_folder_along_that_nobody_goes_on_from(
    tmp_path: Path, worth: str | None, stays: bool
) -> None:
    directory = tmp_path / RUN
    directory.mkdir()
    if stays:
        (directory / JOURNAL).touch()
    arguments = ["--stand-by", str(directory), *filter(None, [worth])]
    # Its input is closed as if its parent had been killed.
    end_child(start_child("tasks.training.worker", arguments), grace_s=300)
    assert directory.exists() == (stays or worth is None)
