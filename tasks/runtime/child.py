"""Child processes that cannot outlive their parent.

Every process that Lepton starts (the embedded server, the Dask cluster, training) holds the read
end of a pipe of which only its parent holds the write end. However the parent ends, SIGKILL
included, the kernel closes that pipe and the child ends too. No pid file, no polling, nothing
specific to one operating system.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import IO


def start_child(
    module: str,
    args: Sequence[str] = (),
    *,
    env: Mapping[str, str] | None = None,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
) -> subprocess.Popen[bytes]:
    """Starts `python -P -m module args...` as the leader of a process group of its own.

    `-P` keeps the current directory off the child's path, so that a stranger's `tasks/` there is
    never imported. The group of its own lets Ctrl-C reach the parent alone, which then ends the
    child in order.

    Args:
        module: Module to run; it must call `end_with_parent` before anything else.
        args: Command line arguments.
        env: Variables added to this process's environment.
        stdout: As for `subprocess.Popen`; by default shared with this process.
        stderr: As for `subprocess.Popen`; by default shared with this process.
    """
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module, *args],
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=stderr,
        env={**os.environ, "PYTHONSAFEPATH": "1", **(env or {})},
        start_new_session=True,
    )


def find_absent_packages(names: Collection[str]) -> set[str]:
    """Find those of some top-level packages that a child of this process would not find.

    Args:
        names: The packages; with none, no process is started.
    """
    if not names:
        return set()
    code = (
        "import sys, importlib.util as u; print(*(n for n in sys.argv[1:] if u.find_spec(n) is "
        "None))"
    )
    command = [sys.executable, "-P", "-c", code, *sorted(names)]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def read_announcement(child: subprocess.Popen[bytes], *, timeout_s: float) -> dict[str, str] | None:
    """Reads the one JSON line that a child prints on its standard output once it is up.

    Returns:
        Its fields; None if the child ended first, or said nothing in time and was killed.
    """
    killer = threading.Timer(timeout_s, child.kill)
    killer.start()
    try:
        line = child.stdout.readline() if child.stdout is not None else b""
    finally:
        killer.cancel()
    return dict(json.loads(line)) if line else None


def announce(**fields: str) -> None:
    """Prints the line that `read_announcement` waits for."""
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def end_with_parent(
    finish: Callable[[], None] | None = None, on_line: Callable[[str], None] | None = None
) -> None:
    """Kills this process and its group as soon as the parent closes our standard input, or dies.

    Args:
        finish: Called first, to take away what would stay behind; it should be quick.
        on_line: Called, in a thread of its own, with each line that the parent writes to our
            standard input.
    """

    def watch() -> None:
        # A raw read: the interpreter's own stdin object must not be locked by a daemon thread at
        # shutdown.
        rest = b""
        while data := os.read(0, 4096):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                if on_line is not None:
                    on_line(line.decode())
        if finish is not None:
            finish()
        kill_own_group()

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()


def kill_own_group() -> None:
    """Kills this process and, if it leads its own group, everything that it started."""
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)


def end_child(child: subprocess.Popen[bytes], *, grace_s: float = 5.0) -> int:
    """Ends a child in order, then by force, and reaps it.

    Closes its standard input, waits `grace_s` seconds, then kills its process group.

    Returns:
        The exit status of the child, negative for a signal.
    """
    if child.stdin is not None:
        with suppress(BrokenPipeError):
            child.stdin.close()
    try:
        child.wait(timeout=grace_s)
    except subprocess.TimeoutExpired:
        pass
    finally:
        # Even after an orderly end: a grandchild that ignored it must not stay behind.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        if child.stdout is not None:
            child.stdout.close()
    return int(child.returncode)
