"""A lock has one holder, of any threads and processes, and none once that has ended."""

import os
import subprocess
import sys
import threading
from pathlib import Path

from storage.base.locks import take_lock

HOLD = """
import sys
from pathlib import Path
from storage.base.locks import take_lock
assert take_lock(Path(sys.argv[1])) is not None
print("held", flush=True)
sys.stdin.read()
"""


def test_one_holds_it_at_a_time(tmp_path: Path) -> None:
    first = take_lock(tmp_path / "lock")
    assert first is not None
    assert take_lock(tmp_path / "lock") is None
    assert take_lock(tmp_path / "lock", 0.05) is None
    os.close(first)
    assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o600
    second = take_lock(tmp_path / "lock")
    assert second is not None
    os.close(second)


def test_who_waits_gets_it_when_the_holder_gives_it_back(tmp_path: Path) -> None:
    first = take_lock(tmp_path / "lock")
    assert first is not None
    threading.Timer(0.2, os.close, (first,)).start()
    second = take_lock(tmp_path / "lock", 30)
    assert second is not None
    os.close(second)


def test_a_process_that_is_killed_gives_it_back(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert take_lock(tmp_path / "lock") is None
        holder.kill()
        holder.wait()
    lock = take_lock(tmp_path / "lock", 5)
    assert lock is not None
    os.close(lock)


def test_no_descriptor_is_left_behind(tmp_path: Path) -> None:
    first = take_lock(tmp_path / "lock")
    assert first is not None
    before = len(list(Path("/proc/self/fd").iterdir()))
    assert [take_lock(tmp_path / "lock") for _ in range(5)] == [None] * 5
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    os.close(first)
