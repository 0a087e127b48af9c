"""One warmed training process a session: the trainings of its tests are forks of it.

A training process imports torch, Lightning and the exporter for ten seconds of processor time
before its first step. Most tests start one and claim nothing of its start: they get a fork of one
that has these imports behind it. Tests of the start itself ask for the fixture `cold_start`.
"""

import ctypes
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerProcess
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import IO, Any

import pytest

from tasks.runtime.child import start_child
from tasks.training.devices import THREADS, WAITING
from tasks.training.worker import main

WORKER = "tasks.training.worker"
READ_AT_START = (*THREADS, WAITING)
"""Variables that imports read: a fork must find them as the process that it is a fork of did."""


class Fork:
    """What `subprocess.Popen` says of a process, for a fork."""

    stdout = None

    def __init__(self, process: ForkServerProcess, stdin: IO[bytes]) -> None:
        self._process = process
        self.stdin = stdin
        self.pid = process.pid

    @property
    def returncode(self) -> int | None:
        if self._process.exitcode is None and has_ended(self.pid):
            self._process.join()  # The server of forks is just about to tell its status.
        return self._process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(WORKER, timeout or 0.0)
        return self.returncode


class WarmStart:
    """Takes the place of `start_child` for training processes of one device."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tests.warm.imports"])
        self._begun_with: dict[str, str | None] | None = None

    def __call__(
        self,
        module: str,
        args: Sequence[str] = (),
        *,
        env: Mapping[str, str] | None = None,
        stdout: IO[bytes],
        stderr: IO[bytes],
    ) -> Any:
        """Starts a fork; a process of its own for groups, and where another start differs."""
        whole = {**os.environ, "PYTHONSAFEPATH": "1", **(env or {})}
        read = {name: whole.get(name) for name in READ_AT_START}
        self._begun_with = self._begun_with or read
        if module != WORKER or read != self._begun_with:
            return start_child(module, args, env=env, stdout=stdout, stderr=stderr)
        ours, theirs = os.pipe()
        files = [DupFd(file) for file in (ours, stdout.fileno(), stderr.fileno())]
        arguments = (module, list(args), whole, str(Path.cwd()), files)
        process = self._context.Process(target=work, args=arguments, daemon=True)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in whole.items():
                patch.setenv(name, value)
            process.start()
        os.close(ours)
        return Fork(process, os.fdopen(theirs, "wb"))


def work(
    module: str, arguments: list[str], env: dict[str, str], cwd: str, files: list[Any]
) -> None:
    """Becomes `python -m module arguments...`, and never returns."""
    os.setsid()
    for place, file in enumerate(files):
        descriptor = file.detach()
        os.dup2(descriptor, place)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(env)
    sys.path[:0] = env.get("PYTHONPATH", "").split(os.pathsep)
    os.chdir(cwd)
    name_process(module, *arguments)
    status = main(arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def has_ended(pid: int) -> bool:
    """Tells whether a process is at its end: it has given its memory back, or is gone."""
    try:
        return not Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return True


def name_process(*words: str) -> None:
    """Writes a command line over that of the process that this one is a fork of."""
    # The fields 48 and 49 of proc_pid_stat(5); the first behind the name, which may hold blanks, is
    # the third.
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[45]), int(fields[46])
    content = b"\0".join(word.encode() for word in words)[: end - start - 1]
    ctypes.memmove(start, content.ljust(end - start, b"\0"), end - start)
