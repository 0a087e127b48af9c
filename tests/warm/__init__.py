"""One warmed process a session: trainings and commands of its tests are forks of it.

A training process imports torch, Lightning and the exporter for twenty seconds of processor time
before its first step, a command the half of that. Most tests start one and claim nothing of its
start: they get a fork of one that has these imports behind it. Tests of a training's start itself
ask for the fixture `cold_start`; a command is a fork where a test says so, `is_warm`.
"""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from tasks.runtime.child import start_child
from tasks.training.devices import THREADS, WAITING

WORKER = "tasks.training.worker"
PASSIVE = "PASSIVE"
MARK = "LEPTON_TEST_MARK"
"""The variable by which all that a command of the tests starts is known; forks show it in their
command lines."""
PADDING = "-" * 4096
"""Room for the command lines of forks."""


class Fork:
    """What `subprocess.Popen` says of a process, for a fork.

    Args:
        server: The connection over which its pid and then its status are told.
        stdin: The other end of its standard input, if there is one.
    """

    stdout = None

    def __init__(self, server: socket.socket, stdin: IO[bytes] | None) -> None:
        self._server = server
        self._status: int | None = None
        self.stdin = stdin
        self.pid = int(server.recv(64))

    @property
    def returncode(self) -> int | None:
        # Of one at its end the server is just about to tell its status.
        return self._hear(None if has_ended(self.pid) else 0.0)

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        status = self._hear(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
        return status

    def send_signal(self, sign: signal.Signals) -> None:
        os.kill(self.pid, sign)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _hear(self, timeout_s: float | None) -> int | None:
        """Returns its status, for which it is waited; None if it is not told in time."""
        if self._status is None:
            self._server.settimeout(timeout_s)
            try:
                self._status = int(self._server.recv(64))
            except (BlockingIOError, TimeoutError):
                return None
            self._server.close()
        return self._status


class WarmStart:
    """Takes the place of `start_child` for training processes of one device."""

    def __call__(
        self,
        module: str,
        args: Sequence[str] = (),
        *,
        env: Mapping[str, str] | None = None,
        stdout: IO[bytes],
        stderr: IO[bytes],
    ) -> Any:
        """Starts a fork; a process of its own for groups, and where a fork would differ."""
        whole = {**os.environ, "PYTHONSAFEPATH": "1", **(env or {})}
        if module != WORKER or read_threads(whole) is None:
            return start_child(module, args, env=env, stdout=stdout, stderr=stderr)
        ours, theirs = os.pipe()
        try:
            files = [ours, stdout.fileno(), stderr.fileno()]
            return start_fork(module, args, whole, Path.cwd(), files, os.fdopen(theirs, "wb"))
        finally:
            os.close(ours)


def start_fork(
    module: str,
    args: Sequence[str],
    env: Mapping[str, str],
    cwd: Path,
    files: Sequence[int],
    stdin: IO[bytes] | None = None,
) -> Fork:
    """Starts `python -m module args...` as a fork.

    Args:
        module: One of those that the server has imports for.
        args: Its arguments.
        env: The whole of its environment.
        cwd: Its folder.
        files: Descriptors of its standard input, output and messages.
        stdin: The other end of its standard input, for who writes to it.
    """
    server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server.connect(find_server())
    asked = {"module": module, "arguments": list(args), "env": dict(env), "cwd": str(cwd)}
    socket.send_fds(server, [json.dumps(asked).encode()], list(files))
    return Fork(server, stdin)


def read_threads(env: Mapping[str, str]) -> int | None:
    """Returns the threads that an environment gives to each library, which a fork can take too;
    None if it gives them different numbers, or lets them wait otherwise.
    """
    numbers = {env.get(name, "") for name in THREADS}
    (number, *others) = numbers
    if others or not number.isdecimal() or env.get(WAITING) != PASSIVE:
        return None
    return int(number)


def find_server() -> str:
    """Returns the address of this process's server, which is started at the first call."""
    return _known[0] if _known else _start_server()


def remember(address: str) -> str:
    """Has this process and its forks use a server that there is."""
    _known[:] = [address]
    return address


_known: list[str] = []


def _start_server() -> str:
    """Starts the server; it ends when this process does."""
    # A name that begins with a zero byte is in no folder.
    address = f"\0lepton-warm-{uuid.uuid4().hex}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(address)
        listener.listen()
        server = subprocess.Popen(
            [sys.executable, "-P", "-m", "tests.warm.server", PADDING],
            stdin=listener.fileno(),
            env={**os.environ, **dict.fromkeys(THREADS, "1"), WAITING: PASSIVE},
            start_new_session=True,
        )
    atexit.register(_end_server, server)
    return remember(address)


def _end_server(server: subprocess.Popen[bytes]) -> None:
    """Ends the server; its forks go on until their own end."""
    server.kill()
    server.wait()


def has_ended(pid: int) -> bool:
    """Tells whether a process is at its end: it has given its memory back, or is gone."""
    try:
        return not Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return True
