"""Processes of a fleet get ready, are heard, and are gone afterwards, however it ends."""

import os
import time
from pathlib import Path

import pytest

from deployments.targets.fleet.children import Child, ChildFailed, Children

ACTORS = "tests.deployments.targets.fleet.actors"


def _is_there(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rsplit(")", 1)[1].split()[0] != "Z"


def _wait_until_gone(pid: int, timeout_s: float = 15) -> None:
    deadline = time.monotonic() + timeout_s
    while _is_there(pid):
        assert time.monotonic() < deadline, f"{pid} is still there"
        time.sleep(0.05)


def _list_group(pid: int) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and _is_there(int(folder.name)):
            try:
                if os.getpgid(int(folder.name)) == pid:
                    found.append(int(folder.name))
            except ProcessLookupError:
                continue
    return found


def test_leaving_the_block_ends_all_even_those_that_refuse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployments.targets.fleet.children.GRACE_S", 0.3)
    started: list[Child] = []
    with pytest.raises(KeyboardInterrupt):
        _interrupt(tmp_path / "with space", started)
    assert _list_group(started[0].process.pid) == []


def _interrupt(folder: Path, started: list[Child]) -> None:
    with Children(f"{ACTORS}:refuse_to_end", folder) as children:
        started.append(children.start("stubborn"))
        assert started[0].wait_ready(20) == "http://127.0.0.1:4711"
        assert len(_list_group(started[0].process.pid)) == 2
        raise KeyboardInterrupt


def test_a_process_ends_when_its_starter_was_killed(tmp_path: Path) -> None:
    with Children(f"{ACTORS}:hold_another", tmp_path) as children:
        holder = children.start("holder", str(tmp_path / "inner"))
        held = int(holder.wait_ready(40).rpartition("/")[2])
        assert _is_there(held)
        holder.kill()
        _wait_until_gone(held)


def test_an_answer_is_the_last_line_and_a_status_is_held_against_those_expected(
    tmp_path: Path,
) -> None:
    with Children(f"{ACTORS}:answer", tmp_path) as children:
        assert children.start("good", "0", "done").finish(20) == "0 done"
        assert children.start("stopped", "3").finish(20, accepted=(0, 3)) == "3"
        with pytest.raises(ChildFailed, match=r"(?s)process \(bad\) must .*status 1.*said") as info:
            children.start("bad", "1").finish(20)
        assert "secret" not in str(info.value)


def test_what_waits_is_told_and_does_not_wait_for_ever(tmp_path: Path) -> None:
    calls: list[int] = []
    with Children(f"{ACTORS}:get_ready", tmp_path) as children:
        with pytest.raises(ChildFailed, match="still running"):
            children.start("slow").finish(0.3, lambda: calls.append(1))
        assert calls
    with (
        Children(f"{ACTORS}:answer", tmp_path) as children,
        pytest.raises(ChildFailed, match="status 0"),
    ):
        children.start("ends", "0").wait_ready(20)
