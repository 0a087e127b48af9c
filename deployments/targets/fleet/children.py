"""Starts the processes of a fleet, hears that they are ready, and ends every one of them by its id.

However the block ends, a Ctrl-C or a failure included, none is left behind.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from deployments.targets.errors import TargetError
from storage.base.store import redact

POLL_S = 0.05
GRACE_S = 15.0
READY = "ready http://"
LAST_LINES = 5


class ChildFailed(TargetError):
    """A process of the fleet ended, or did not get ready, where it should have gone on."""


class Child:
    """One process: what it was started for, and the files that it writes to.

    Attributes:
        name: What it is in the fleet, such as "d1".
        process: The process, leader of a group of its own.
        log: File of what it says on standard error.
        out: File of its standard output.
    """

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path, out: Path) -> None:
        self.name = name
        self.process = process
        self.log = log
        self.out = out

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self.process.poll() is None

    @property
    def messages(self) -> str:
        """What it has said on standard error so far."""
        return self.log.read_text("utf-8", errors="replace")

    @property
    def last_line(self) -> str:
        """The last line that it said; empty if it said nothing."""
        lines = self.messages.split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    @property
    def answer(self) -> str:
        """The last line of its standard output; empty if there is none."""
        lines = self.out.read_text("utf-8", errors="replace").splitlines()
        return lines[-1] if lines else ""

    def wait_ready(self, timeout_s: float, on_wait: Callable[[], None] = lambda: None) -> str:
        """Waits for its line `ready http://HOST:PORT`.

        Args:
            timeout_s: The longest wait, in seconds.
            on_wait: Called again and again meanwhile; what it raises ends the wait.

        Returns:
            The address, without a trailing slash.

        Raises:
            ChildFailed: It ended first, or did not say so in time.
        """
        deadline_s = time.monotonic() + timeout_s
        while (line := self._find_ready()) is None:
            if not self.is_running or time.monotonic() > deadline_s:
                raise ChildFailed(
                    f"process ({self.name}) must say {READY}HOST:PORT within {timeout_s:g} s; got "
                    f"{self.explain()}"
                )
            on_wait()
            time.sleep(POLL_S)
        return line.split()[1].rstrip("/")

    def _find_ready(self) -> str | None:
        whole = self.messages.split("\n")[:-1]
        return next((line.strip() for line in whole if line.strip().startswith(READY)), None)

    def finish(
        self,
        timeout_s: float,
        on_wait: Callable[[], None] = lambda: None,
        accepted: Sequence[int] = (0,),
    ) -> str:
        """Waits for its own end.

        Args:
            timeout_s: The longest wait, in seconds.
            on_wait: Called again and again meanwhile; what it raises ends the wait.
            accepted: The exit statuses that are no failure.

        Returns:
            The last line of its standard output.

        Raises:
            ChildFailed: It ended with another status, or not in time.
        """
        deadline_s = time.monotonic() + timeout_s
        while self.is_running:
            if time.monotonic() > deadline_s:
                raise ChildFailed(
                    f"process ({self.name}) must end within {timeout_s:g} s; got {self.explain()}"
                )
            on_wait()
            time.sleep(POLL_S)
        if self.process.returncode not in accepted:
            expected = " or ".join(map(str, accepted))
            raise ChildFailed(
                f"process ({self.name}) must end with status {expected}; got {self.explain()}"
            )
        return self.answer

    def explain(self) -> str:
        """Say how it stands, and what it said last."""
        status = self.process.poll()
        state = "it is still running" if status is None else f"status {status}"
        said = "\n".join(self.messages.splitlines()[-LAST_LINES:])
        return f"{state}; it said last:\n{redact(said)}" if said else state

    def ask_to_end(self) -> None:
        """Sends SIGTERM, upon which it should finish what it took; does nothing if it has ended."""
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kills it at once, and waits until it is gone."""
        with suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        self._close()

    def end(self, grace_s: float = GRACE_S) -> int:
        """Ends it in order, then by force, with whatever it started.

        Args:
            grace_s: How long it may take after SIGTERM, in seconds.

        Returns:
            Its exit status, negative for a signal.
        """
        self.ask_to_end()
        try:
            self.process.wait(timeout=grace_s)
        except subprocess.TimeoutExpired:
            pass
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self._close()
        return int(self.process.returncode)

    def _close(self) -> None:
        if self.process.stdin is not None:
            with suppress(BrokenPipeError):
                self.process.stdin.close()


class Children:
    """The processes of a fleet; leaving the block ends those that still run.

    Args:
        entry: `module:function` of the command that they run.
        folder: Where their logs and outputs are written.
        env: Variables added to this process's environment, for all of them.
    """

    def __init__(self, entry: str, folder: Path, env: Mapping[str, str] | None = None) -> None:
        self._entry = entry
        self._folder = folder
        self._env = dict(env or {})
        self._started: list[Child] = []

    def __enter__(self) -> "Children":
        self._folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end_all()

    def __iter__(self) -> Iterator[Child]:
        return iter(self._started)

    def start(self, name: str, *arguments: str, env: Mapping[str, str] | None = None) -> Child:
        """Starts the command with some arguments, as the leader of a process group of its own.

        Args:
            name: What it is in the fleet; names its files.
            *arguments: Of the command.
            env: Variables added to this process's environment.
        """
        stem = self._folder / f"{len(self._started):03d}-{name}"
        log, out = stem.with_suffix(".log"), stem.with_suffix(".out")
        with log.open("wb") as messages, out.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", f"{__package__}.child", self._entry, *arguments],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=messages,
                env={**os.environ, "PYTHONSAFEPATH": "1", **self._env, **(env or {})},
                start_new_session=True,
            )
        child = Child(name, process, log, out)
        self._started.append(child)
        return child

    def end_all(self) -> None:
        """Ends every process that still runs; all are asked first, so that none waits for others.

        A second Ctrl-C meanwhile only shortens the waiting.
        """
        for child in self._started:
            if child.is_running:
                child.ask_to_end()
        grace_s = GRACE_S
        for child in self._started:
            try:
                child.end(grace_s)
            except KeyboardInterrupt:
                grace_s = 0.0
                child.end(grace_s)
