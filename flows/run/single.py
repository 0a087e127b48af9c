"""Carries out a stage of a flow that keeps no journal: timed, and shown."""

import time
from typing import Any

from prefect import Task
from prefect.client.schemas.objects import State

from gates.engine.report import GateReport
from tasks.runtime.errors import StageStopped
from tasks.runtime.outcomes import Judged
from tasks.runtime.progress import current_progress


def carry_out(task: Task[..., Any], *args: Any) -> Any:
    """Carry out one stage, which is timed and shown.

    Raises:
        StageStopped: A gate is red.
    """
    progress, started, word = current_progress(), time.monotonic(), "failed"
    note = ""
    progress.begin(task.name)
    try:
        done: Any = task(*args)
        # A task that names its state, as a red gate does, hands back the state.
        done = done.result() if isinstance(done, State) else done
        told = Judged(report=done) if isinstance(done, GateReport) else done
        word, note = getattr(told, "word", "done"), ", ".join(told.facts)
    except StageStopped as stopped:
        word, note = "red", "; ".join(stopped.reasons[:1])
        raise
    finally:
        progress.end(task.name, word, note, time.monotonic() - started)
    return done
