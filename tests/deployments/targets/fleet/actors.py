"""Commands for processes of a fleet: each does one thing that the driver must cope with."""

import os
import signal
import sys
import time


def get_ready() -> None:
    """Gets ready and stays."""
    print("ready http://127.0.0.1:4711/", file=sys.stderr, flush=True)
    time.sleep(600)


def refuse_to_end() -> None:
    """Gets ready, has a child of its own, and will not hear SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.fork() == 0:
        time.sleep(600)
    get_ready()


def answer() -> None:
    """Says its arguments, and ends with the status that is the first."""
    print("noise")
    print(" ".join(sys.argv[1:]), flush=True)
    print("said at https://someone:secret@example.org/", file=sys.stderr)
    sys.exit(int(sys.argv[1]))


def hold_another() -> None:
    """Starts a process of a fleet, names its id, and waits to be killed."""
    from pathlib import Path

    from deployments.targets.fleet.children import Children

    with Children("tests.deployments.targets.fleet.actors:get_ready", Path(sys.argv[1])) as held:
        child = held.start("held")
        child.wait_ready(20)
        print(f"ready http://pid/{child.process.pid}", file=sys.stderr, flush=True)
        time.sleep(600)
