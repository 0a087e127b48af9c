"""Where runs at work have their folders: each is locked from before it is seen until it is gone."""

import os
import re
import shutil
import time
from pathlib import Path

from deployments.targets.trust.key_files import cache_dir
from flows.run.journal_page import JOURNAL, LOCK, take_run
from storage.base.locks import take_lock
from storage.base.store import Store

FOLDER = "runs"
RUN = re.compile(r"\d{8}-\d{6}-[0-9a-f]{6}")
MAKING = ".making"
LONG_S = 3600.0


def locate_runs(workspace: Store) -> Path:
    """Return where runs of a workspace have their folders; on this machine if it is remote."""
    local = workspace.local_path(FOLDER)
    return local if local is not None else cache_dir() / FOLDER


def make_run(runs: Path, run: str) -> tuple[Path, int]:
    """Makes the folder of a new run, which its owner alone can read.

    It appears with its lock taken, so that nobody takes it for one that was abandoned.

    Args:
        runs: Where runs have their folders; it is made.
        run: Id of the run.

    Returns:
        The folder, and the descriptor of its lock.
    """
    runs.mkdir(parents=True, exist_ok=True)
    making, directory = runs / f"{run}{MAKING}", runs / run
    making.mkdir(mode=0o700)
    lock = take_run(making)
    making.rename(directory)
    return directory, lock


def sweep_runs(runs: Path) -> None:
    """Deletes folders of runs that were killed before their first stage: nobody goes on from them.

    What is at work is locked, and what can go on has a journal.
    """
    for directory in runs.glob("*"):
        if RUN.fullmatch(directory.name) and not (directory / JOURNAL).exists():
            _remove_abandoned(directory)
        elif directory.name.endswith(MAKING) and RUN.match(directory.name):
            age_s = time.time() - directory.stat().st_mtime
            if age_s > LONG_S:
                shutil.rmtree(directory, ignore_errors=True)


def _remove_abandoned(directory: Path) -> None:
    try:
        lock = take_lock(directory / LOCK)
    except OSError:  # Another one is deleting it.
        return
    if lock is None:
        return
    # A journal that came meanwhile was written by who held the lock.
    if not (directory / JOURNAL).exists():
        shutil.rmtree(directory, ignore_errors=True)
    os.close(lock)
