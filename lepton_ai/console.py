"""Shows a run on the terminal: one line a stage, and a live bar where someone watches."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

MARKS = {
    "done": ("done", "green"),
    "green": ("pass", "green"),
    "red": ("STOP", "bold red"),
    "failed": ("FAIL", "bold red"),
}
NAME_WIDTH = 14
PLAIN_INTERVAL_S = 5.0


class ConsoleProgress:
    """Shows a run's stages on standard error.

    Args:
        console: Where they are shown.
        on_step: Called whenever something is to be shown; what it raises ends the run.

    Attributes:
        durations_s: Wall time of each stage so far, in seconds, that of starting a Prefect server
            included.
    """

    def __init__(self, console: Console, on_step: Callable[[], None] = lambda: None) -> None:
        self._console = console
        self._on_step = on_step
        self._live: Progress | None = None
        self._bar: TaskID | None = None
        self._said_at = time.monotonic()
        self.durations_s: dict[str, float] = {}

    def begin(self, stage: str) -> None:
        """Starts the stage's bar, or on a plain output nothing yet."""
        self._on_step()
        self._said_at = time.monotonic()
        if not self._console.is_terminal:
            return
        self._live = _make_bar(self._console)
        self._live.start()
        self._bar = self._live.add_task(stage.ljust(NAME_WIDTH), total=None, note="")

    def advance(self, stage: str, done: int, total: int | None, note: str) -> None:
        """Moves the bar; a plain output hears of it every few seconds."""
        self._on_step()
        if self._live is not None and self._bar is not None:
            self._live.update(self._bar, completed=done, total=total, note=note)
        elif time.monotonic() - self._said_at >= PLAIN_INTERVAL_S:
            self._said_at = time.monotonic()
            counted = f"{done}/{total or '?'} " if done or total else ""
            self._console.print(
                f"  ...  {stage.ljust(NAME_WIDTH)} {counted}{note}",
                highlight=False,
                markup=False,
                soft_wrap=True,
            )

    def end(self, stage: str, outcome: str, note: str, duration_s: float) -> None:
        """Leaves the stage's one line."""
        if self._live is not None:
            self._live.stop()
            self._live = self._bar = None
        self.durations_s[stage] = duration_s
        word, style = MARKS[outcome]
        line = Text.assemble(
            ("  " + word, style),
            "  ",
            stage.ljust(NAME_WIDTH),
            (f"{duration_s:6.1f} s  ", "dim"),
            note,
        )
        self._console.print(line, soft_wrap=True, highlight=False)


def _make_bar(console: Console) -> "Progress":
    # Imported where someone watches a run: every other command starts without it.
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[note]}"),
        console=console,
        transient=True,
    )
