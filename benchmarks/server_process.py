"""A server under measurement: its processes, what they cost, and that none of them is left."""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

TICKS = os.sysconf("SC_CLK_TCK")


class Server:
    """A server in a session of its own, so that its children are known."""

    def __init__(self, command: list[str], **options: Any) -> None:
        self.process = subprocess.Popen(command, start_new_session=True, **options)

    def list_members(self) -> list[int]:
        """Ids of the processes that it started and that are left, its own first."""
        found = []
        for path in Path("/proc").iterdir():
            if path.name.isdigit():
                with suppress(OSError, ValueError):
                    if _read_stat(path)[3] == str(self.process.pid):
                        found.append(int(path.name))
        return sorted(found)

    def measure_cpu_s(self) -> float:
        """Processor time so far of all of them."""
        total = 0.0
        for pid in self.list_members():
            with suppress(OSError):
                stat = _read_stat(Path("/proc", str(pid)))
                total += (int(stat[11]) + int(stat[12])) / TICKS
        return total

    def measure_rss_bytes(self) -> int:
        """Resident memory of the first process."""
        text = Path("/proc", str(self.process.pid), "status").read_text()
        return int(text.split("VmRSS:")[1].split()[0]) * 1024

    def stop(self) -> int:
        """Ends it and whatever it leaves behind."""
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(20)
        except subprocess.TimeoutExpired:
            status = -1
        for pid in self.list_members():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(20)
        return status


def _read_stat(folder: Path) -> list[str]:
    """Fields of a process's stat from its state on; its name may hold anything."""
    return (folder / "stat").read_text().rpartition(")")[2].split()
