"""The metric log of a training: a line of JSON each step and epoch, each of them once."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from storage.base.local_errors import translate_faults
from storage.base.store import Store
from tasks.training.job import METRICS


class MetricLog:
    """Lines of JSON, one a record.

    After a resume it holds every step once: what the lost attempt wrote behind it is dropped.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.path = Path(store.address(METRICS))

    def write(self, record: Mapping[str, Any]) -> None:
        """Appends a record; "start" first drops what lies behind the step that is resumed from."""
        if record["event"] == "start":
            # A new file each time: whoever follows it sees by that where this attempt begins.
            self.store.write(METRICS, self._keep_until(record.get("resumed_step") or 0))
        line = {name: None if value != value else value for name, value in record.items()}
        with translate_faults(str(self.path)), self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def _keep_until(self, step: int) -> bytes:
        """Return the lines of earlier attempts that still hold, without one that was cut short."""
        if step == 0 or not self.path.exists():
            return b""
        whole = self.path.read_bytes().rpartition(b"\n")[0]
        return b"".join(
            line + b"\n" for line in whole.splitlines() if json.loads(line).get("step", 0) <= step
        )
