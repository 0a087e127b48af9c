"""The process that forks: it has made the slow imports, and does nothing but fork.

`python -P -m tests.warm.server PADDING` listens on the socket that is its standard input, until it
is told nothing more: a request is one message, a module, its arguments, environment and folder, and
three files that become the fork's own. The answers are the fork's pid and, later, its status.
"""

import atexit
import ctypes
import json
import os
import selectors
import signal
import socket
import sys
import threading
import traceback
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from tests import warm

MESSAGE_BYTES = 1 << 20
COMMAND = "lepton_ai.cli"
IMPORTED = {
    "tasks.training.worker": "tests.warm.imports",
    "tests.warm.telling": "tests.warm.imports",
    COMMAND: "tests.warm.command_imports",
}


class Server:
    """Forks for whoever asks, and tells each of its end.

    Args:
        listener: Where requests arrive. The one who started this holds an open connection.
    """

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)
        self._forks: dict[int, tuple[int, socket.socket]] = {}

    def serve(self) -> None:
        """Serves until the process that started this one has gone."""
        parent = os.getppid()
        while os.getppid() == parent:
            for key, _ in self._selector.select(timeout=1):
                if key.fileobj is self._listener:
                    self._begin(self._listener.accept()[0])
                else:
                    self._tell_end(int(key.fd))

    def _begin(self, caller: socket.socket) -> None:
        content, files, _, _ = socket.recv_fds(caller, MESSAGE_BYTES, 3)
        if not content:
            caller.close()
            return
        asked = json.loads(content)
        import_module(IMPORTED[asked["module"]])
        pid = os.fork()
        if pid == 0:
            self._forget(caller)
            become(files, **asked)
        for file in files:
            os.close(file)
        caller.sendall(str(pid).encode())
        end = os.pidfd_open(pid)
        self._forks[end] = pid, caller
        self._selector.register(end, selectors.EVENT_READ)

    def _tell_end(self, end: int) -> None:
        pid, caller = self._forks.pop(end)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        self._selector.unregister(end)
        os.close(end)
        with suppress(OSError):  # Who asked may be gone.
            caller.sendall(str(status).encode())
        caller.close()

    def _forget(self, caller: socket.socket) -> None:
        """Closes, in a fork, what is the server's."""
        for end, (_, other) in self._forks.items():
            os.close(end)
            other.close()
        self._selector.close()
        self._listener.close()
        caller.close()


def become(
    files: list[int], module: str, arguments: list[str], env: dict[str, str], cwd: str
) -> NoReturn:
    """Becomes `python -m module arguments...`, and never returns."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for place, file in enumerate(files):
        os.dup2(file, place)
        os.close(file)
    os.environ.clear()
    os.environ.update(env)
    sys.path[:0] = env.get("PYTHONPATH", "").split(os.pathsep)
    os.chdir(cwd)
    mark = [env[warm.MARK]] if warm.MARK in env else []
    name_process(module, *arguments, *mark)
    status = 1
    try:
        if (threads := warm.read_threads(env)) is not None:
            take_threads(threads)
        status = run_command(arguments) if module == COMMAND else run_module(module, arguments)
    except KeyboardInterrupt:
        status = 130
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def take_threads(number: int) -> None:
    """Has the libraries, which read the environment when they were imported, take so many."""
    import torch
    from numcodecs import blosc
    from threadpoolctl import threadpool_limits

    threadpool_limits(number)
    blosc.set_nthreads(number)
    torch.set_num_threads(number)


def run_module(module: str, arguments: list[str]) -> int:
    """Does what a child process of ours does."""
    return int(import_module(module).main(arguments))


def run_command(arguments: list[str]) -> int:
    """Does what `lepton ARGUMENTS` does, to what it has registered for its end; its training
    processes are forks, too.
    """
    from prefect.context import refresh_global_settings_context

    refresh_global_settings_context()
    import_module("tasks.training.launch").start_child = warm.WarmStart()
    sys.argv = ["lepton", *arguments]
    try:
        import_module(COMMAND).main()
        status: Any = 0
    except SystemExit as end:
        status = end.code
    finally:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    return status if isinstance(status, int) else int(status is not None)


def name_process(*words: str) -> None:
    """Writes a command line over that of the process that this one is a fork of."""
    # The fields 48 and 49 of proc_pid_stat(5); the first behind the name, which may hold blanks, is
    # the third.
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[45]), int(fields[46])
    content = b"\0".join(word.encode() for word in words)[: end - start - 1]
    ctypes.memmove(start, content.ljust(end - start, b"\0"), end - start)


if __name__ == "__main__":
    listener = socket.socket(fileno=os.dup(0))
    warm.remember(listener.getsockname().decode())
    Server(listener).serve()
