"""The metric log of a training, read while it grows."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

OnMetrics = Callable[[dict[str, Any]], None]


class Follower:
    """Hands on the lines of a growing file, each once and whole.

    An attempt replaces the file when it starts, with the lines that still hold: what is there
    before is not its own.
    """

    def __init__(self, path: Path, on_line: OnMetrics | None) -> None:
        self.path = path
        self.on_line = on_line
        self._stale = path.stat().st_ino if path.exists() else None
        self._offset = 0

    def follow(self) -> None:
        """Hands on what was written since the last call."""
        if self.on_line is None or not self.path.exists() or self.path.stat().st_ino == self._stale:
            return
        with self.path.open("rb") as file:
            file.seek(self._offset)
            whole, newline, _ = file.read().rpartition(b"\n")
        self._offset += len(whole) + len(newline)
        for line in whole.splitlines():
            self.on_line(json.loads(line))
