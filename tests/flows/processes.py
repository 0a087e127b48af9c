"""Runs of the real command in processes of their own, and a count of what they leave behind."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from tests.warm import MARK, Fork, start_fork

STRANGERS = ("deployments", "flows", "gates", "lightning_modules", "storage", "tasks")
LEPTON = Path(sys.executable).with_name("lepton")


class Command:
    """`lepton ARGUMENTS` in a process of its own; everything that it starts carries its mark.

    It stands in a stranger's folder, whose packages are called as ours and must not be imported.

    Args:
        arguments: What follows `lepton`.
        cwd: The folder, to which the packages are added.
        env: Variables added to this process's environment.
        is_warm: Starts a fork of a process that made its imports in another folder: for tests that
            claim nothing of the command's start.
    """

    def __init__(
        self,
        *arguments: str,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        is_warm: bool = False,
    ) -> None:
        self.mark = uuid.uuid4().hex
        self.log = cwd / f"{self.mark}.log"
        self.out = cwd / f"{self.mark}.out"
        plant_strangers(cwd)
        whole = {**os.environ, **(env or {}), MARK: self.mark}
        start = start_warm if is_warm else start_cold
        with self.log.open("wb") as log, self.out.open("wb") as out:
            self.process = start(arguments, cwd, whole, out, log)

    @property
    def messages(self) -> str:
        """What it has said so far."""
        return self.log.read_text(errors="replace")

    def wait_for(self, word: str, timeout_s: float = 240) -> None:
        """Waits until it has said a word."""
        deadline = time.monotonic() + timeout_s
        while word not in self.messages:
            assert self.process.poll() is None, f"ended before it said {word!r}:\n{self.messages}"
            assert time.monotonic() < deadline, f"did not say {word!r}:\n{self.messages}"
            time.sleep(0.02)

    def end(self, sign: signal.Signals = signal.SIGKILL) -> int:
        """Sends the process alone, not its children, a signal, and reaps it."""
        self.process.send_signal(sign)
        return self.process.wait(timeout=60)

    def finish(self, timeout_s: float = 300) -> int:
        """Waits for its own end."""
        return self.process.wait(timeout=timeout_s)

    def find_left(self) -> dict[int, str]:
        """Command lines, by pid, of processes that carry the mark and still run."""
        found = {}
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            try:
                words = (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes()
                if self.mark.encode() not in words:
                    continue
                if (folder / "stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                    continue
                line = (
                    (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                )
                found[int(folder.name)] = line
            except OSError:
                continue
        return found

    def expect_nothing_left(self, timeout_s: float = 15) -> None:
        """Fails if something that it started is still there after a while."""
        deadline = time.monotonic() + timeout_s
        while left := self.find_left():
            assert time.monotonic() < deadline, f"left behind: {left}"
            time.sleep(0.1)


def start_warm(
    arguments: Sequence[str], cwd: Path, env: Mapping[str, str], out: IO[bytes], log: IO[bytes]
) -> Fork:
    """Starts the command as a fork of a process that made its imports."""
    with Path(os.devnull).open("rb") as nothing:
        files = [file.fileno() for file in (nothing, out, log)]
        return start_fork("lepton_ai.cli", arguments, env, cwd, files)


def start_cold(
    arguments: Sequence[str], cwd: Path, env: Mapping[str, str], out: IO[bytes], log: IO[bytes]
) -> subprocess.Popen[bytes]:
    """Starts the command as a shell does."""
    return subprocess.Popen(
        [str(LEPTON), *arguments],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=log,
        env=env,
        start_new_session=True,
        # A shell that runs us in the background has SIGINT ignored, and a child would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def plant_strangers(folder: Path) -> None:
    """Puts packages into a folder that end whoever imports them."""
    for name in STRANGERS:
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "__init__.py").write_text(
            "raise SystemExit('the stranger was imported')\n"
        )


def find_torn(workspace: Path) -> list[str]:
    """Files in the making that were left in the parts of a workspace that others read."""
    parts = ("datasets", "models", "receipts", "channels")
    names = [path for part in parts for path in (workspace / part).rglob("*") if path.is_file()]
    return [
        str(path) for path in names if path.name.startswith(".") or path.suffix in {".tmp", ".part"}
    ]


def fast_settings(overrides: Mapping[str, Any]) -> list[str]:
    """Settings as `--set` takes them."""
    import json

    return [f"--set={key}={json.dumps(value)}" for key, value in overrides.items()]
