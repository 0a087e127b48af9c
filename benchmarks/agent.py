"""The agent: `python -m benchmarks.agent` writes the section "Agent" of RESULTS.md.

A device's install, made by links into this environment, follows a channel with a small model: how
long from the start of the process to `ready`, how much memory it holds, what a request costs. Then
the spool alone: rows a second on this disk, one at a time and gathered.
"""

import argparse
import http.client
import io
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from benchmarks.results import describe_machine, make_table, write_section
from deployments.targets.edge.spool import Spool
from deployments.targets.edge.spool_rows import SpoolRow
from tests.device_install import make_device_python

ROUNDS = 7
REQUESTS = 500
SPOOL_BYTES = 64 * 2**20
GOAL_START_S, GOAL_RSS_MB = 1.5, 120.0
MAIN = ["-P", "-c", "from lepton_ai.cli import main; main()"]


@dataclass
class Start:
    """One start of an agent."""

    wall_s: float
    cpu_s: float
    rss_mb: float
    rss_after_mb: float
    request_cpu_us: float


def make_workspace(folder: Path) -> Path:
    """A workspace with the digits recipe's release on channel `edge`; takes half a minute."""
    command = [sys.executable, *MAIN[1:], "run", "digits", "--workspace", str(folder / "workspace")]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return folder / "workspace"


def start_agent(python: Path, workspace: Path, state: Path) -> Start:
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "LEPTON_PLUGINS")}
    started = time.perf_counter()
    process = subprocess.Popen(
        [
            *(str(python), *MAIN, "edge", "run", "--id", "d1", "--state", str(state)),
            *("--channel", str(workspace / "channels" / "edge")),
            *("--uplink", str(workspace / "uplinks"), "--port", "0"),
        ],
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        assert process.stderr is not None
        line = next(line for line in process.stderr if line.startswith("ready "))
        wall_s, cpu_s = time.perf_counter() - started, read_cpu(process.pid)
        rss_mb = read_rss(process.pid)
        ask(line.split()[1], REQUESTS)
        cost_us = (read_cpu(process.pid) - cpu_s) / REQUESTS * 1e6
        return Start(wall_s, cpu_s, rss_mb, read_rss(process.pid), cost_us)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def ask(url: str, count: int) -> None:
    """One client after another answer, each recorded before it is given."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port)
    sample = io.BytesIO()
    np.save(sample, np.zeros((1, 8, 8), np.uint8))
    for _ in range(count):
        connection.request("POST", "/predict/digits", sample.getvalue())
        reply = connection.getresponse()
        assert reply.status == 200, reply.read()
        reply.read()
    connection.close()


def read_cpu(pid: int) -> float:
    """Processor time of a process so far, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def read_rss(pid: int) -> float:
    """Resident memory of a process, in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024 / 1e6


def make_row(sequence: int) -> SpoolRow:
    return SpoolRow(
        sequence=sequence,
        kind="answer",
        at="2026-01-01T00:00:00+00:00",
        model_id="ab" * 32,
        probability=1.0,
        reason="all",
        answer_id=f"d1:{sequence}",
        said='{"confidence":0.5,"label":"7"}',
        dtype="uint8",
        shape="[1,8,8]",
        data=bytes(64),
    )


def measure_spool(folder: Path, waiting: int, count: int) -> float:
    """Rows a second, where so many callers each wait for their row before they bring another."""
    spool = Spool(folder / f"spool-{waiting}.sqlite", SPOOL_BYTES)

    def keep(calls: int) -> None:
        for _ in range(calls):
            spool.record(1, lambda first: [make_row(first)]).result()

    try:
        with ThreadPoolExecutor(waiting) as threads:
            started = time.perf_counter()
            list(threads.map(keep, [count // waiting] * waiting))
            return count / (time.perf_counter() - started)
    finally:
        spool.close()


def describe(workspace: Path | None) -> str:
    with tempfile.TemporaryDirectory(prefix="lepton-bench-") as name:
        folder = Path(name)
        at = workspace or make_workspace(folder)
        python = make_device_python(folder / "venv", ["serve"])
        start_agent(python, at, folder / "state")  # Compiles what is imported; takes the model.
        starts = [start_agent(python, at, folder / "state") for _ in range(ROUNDS)]
        alone = statistics.median(measure_spool(folder, 1, 300) for _ in range(3))
        gathered = statistics.median(measure_spool(folder, 64, 6400) for _ in range(3))
    return render(starts, alone, gathered)


def render(starts: list[Start], alone: float, gathered: float) -> str:
    def median(figure: str) -> float:
        return statistics.median(getattr(start, figure) for start in starts)

    least = min(start.wall_s for start in starts)
    rows = [
        [
            "from the process's start to `ready`, s",
            f"{median('wall_s'):.2f} (least {least:.2f})",
            f"<= {GOAL_START_S}",
        ],
        ["of which processor time, s", f"{median('cpu_s'):.2f}", ""],
        ["resident memory when ready, MB", f"{median('rss_mb'):.0f}", f"<= {GOAL_RSS_MB:.0f}"],
        [f"after {REQUESTS} requests, MB", f"{median('rss_after_mb'):.0f}", ""],
        [
            "processor time of a request, recorded before it is answered, us",
            f"{median('request_cpu_us'):.0f}",
            "",
        ],
        ["spool: rows/s, one at a time", f"{alone:,.0f}", ""],
        ["spool: rows/s, 64 that wait at a time", f"{gathered:,.0f}", ""],
        ["gathered rows for one alone", f"{gathered / alone:.1f}", ""],
    ]
    return (
        f"The digits recipe's int8 model on a device's install, median of {ROUNDS} starts with the "
        "model verified before; every start asks the channel, verifies all bytes, loads the model "
        "and tests it on its golden samples. A row is committed (`synchronous=FULL`) before its "
        f"caller goes on.\n\n{make_table(['', 'measured', 'goal'], rows)}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspace", type=Path, help="one that has a digits release already")
    options = parser.parse_args()
    machine = describe_machine(["onnxruntime", "numpy", "uvicorn"])
    text = f"## Agent\n\n`python -m benchmarks.agent`. {machine}\n\n{describe(options.workspace)}"
    write_section("agent", text)
    print(text)


if __name__ == "__main__":
    main()
