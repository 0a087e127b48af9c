"""One process of a fleet: runs a command, and ends when whoever started it is gone.

`python -P -m deployments.targets.fleet.child MODULE:FUNCTION ARGUMENTS...` calls the function with
these arguments on its command line. Its standard input is a pipe that the starter holds open:
however the starter ends, SIGKILL included, the kernel closes it, and this process is ended in
order, then by force.
"""

import os
import signal
import sys
import threading
import time
from importlib import import_module

GRACE_S = 10.0


def main() -> None:
    """Runs the command that the arguments name."""
    threading.Thread(target=_end_with_starter, name="end-with-starter", daemon=True).start()
    module, _, function = sys.argv[1].partition(":")
    sys.argv = ["lepton", *sys.argv[2:]]
    # Whoever makes a name of the program out of that of the module names us, not the command.
    sys.modules["__main__"].__package__ = None
    getattr(import_module(module), function)()


def _end_with_starter() -> None:
    # A raw read: the interpreter's own stdin object must not be locked by a daemon thread at exit.
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
