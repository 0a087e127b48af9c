"""Killing an act (SIGKILL) at each of the steps by which it changes the disk."""

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

every_step = pytest.mark.parametrize("stride", [7, pytest.param(1, marks=pytest.mark.slow)])
STEPS = ("link", "replace", "fsync", "unlink", "mkdir")
"""Calls of the operating system that change what is on disk."""


def kill_at(step: int, act: Callable[[], Any]) -> bool:
    """Forks, and kills the child (SIGKILL) just before or after its n-th change on disk; False if
    it got through.
    """
    child = os.fork()
    if child == 0:
        _count_steps(step)
        try:
            act()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def _count_steps(fatal: int) -> None:
    count = 0

    def wrap(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            nonlocal count
            for after in (False, True):
                if count == fatal:
                    os.kill(os.getpid(), signal.SIGKILL)
                count += 1
                if not after:
                    result = real(*args, **options)
            return result

        return call

    for name in STEPS:
        setattr(os, name, wrap(getattr(os, name)))


def count_kills(
    stride: int,
    act: Callable[[], Any],
    check: Callable[[int], None],
    prepare: Callable[[], None] = lambda: None,
) -> int:
    """Kills an act at its steps in turn, checks what is left each time; gives the number of the
    steps.
    """
    for step in range(0, 1000, stride):
        prepare()
        killed = kill_at(step, act)
        check(step)
        if not killed:
            return step
    raise RuntimeError("the act never got through")
