"""Ctrl-C during a run."""

import os
import signal
import threading
from contextlib import suppress

import pytest
from rich.console import Console

from lepton_ai.commands.interrupts import Interrupts
from lepton_ai.console import ConsoleProgress


def swallow() -> None:
    """Ctrl-C where it is lost, as in a finaliser."""
    with suppress(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("SIGINT must have been raised")


@pytest.mark.parametrize("step", ["begin", "advance"])
def test_ctrl_c_that_was_swallowed_is_raised_at_the_next_step(step: str) -> None:
    before = signal.getsignal(signal.SIGINT)
    interrupts = Interrupts()
    progress = ConsoleProgress(Console(quiet=True), interrupts.check)
    calls = {
        "begin": lambda: progress.begin("train"),
        "advance": lambda: progress.advance("train", 1, 2, ""),
    }
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with interrupts:
            calls[step]()
            swallow()
            elsewhere = threading.Thread(target=calls[step])  # which is not the one to end
            elsewhere.start()
            elsewhere.join()
            with pytest.raises(KeyboardInterrupt):
                calls[step]()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_ignored_ctrl_c_stays_ignored() -> None:
    before = signal.getsignal(signal.SIGINT)
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with Interrupts() as interrupts:
            os.kill(os.getpid(), signal.SIGINT)
            interrupts.check()
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
