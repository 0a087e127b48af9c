"""`lepton serve` beside LitServe: `python -m benchmarks.serve` writes the section "Endpoint" of
RESULTS.md.

Both answer one picture of 8 x 8 as JSON over 64 connections, from the same ONNX artifact with one
thread, a network so small that HTTP is what costs. They take turns. CPU a request is the processor
time of the server and of all its children, of which LitServe has several, by the requests that
were answered. Then releases are published while the endpoint is under load.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.peers import make_environment
from benchmarks.results import describe_machine, make_table, write_section
from benchmarks.serve_load import OVERLOAD, REQUESTS, measure_overload, measure_session, run_load
from benchmarks.server_process import Server
from deployments.targets.publish.channel import open_channel
from tests.deployments.targets.material import make_channel, make_onnx, publish_model

PEER = ("litserve==0.2.19", "onnxruntime==1.31.1", "numpy==2.4.6")
ORACLE = ("tritonclient[http]==2.73.0", "numpy==2.4.6")
GOALS = {"Lepton, infer": 12.0, "Lepton, infer binary": 20.0}
SERVE = [sys.executable, "-c", "from lepton_ai.cli import main; main()", "serve"]


def measure(name: str, server: Server, port: int, folder: Path, seconds: float) -> dict[str, Any]:
    """Figures of one turn."""
    before_s = server.measure_cpu_s()
    found = run_load(port, REQUESTS[name], folder, seconds)
    found["cpu_us"] = 1e6 * (server.measure_cpu_s() - before_s) / found["answers"]
    return found


@contextmanager
def start_lepton(workspace: Path, *options: str) -> Iterator[tuple[Server, int]]:
    command = [*SERVE, "--channel", "cloud", "--workspace", str(workspace), "--port", "0"]
    server = Server([*command, *options], stderr=subprocess.PIPE, text=True)
    try:
        assert server.process.stderr is not None
        line = next(line for line in server.process.stderr if line.startswith("ready"))
        yield server, int(line.rpartition(":")[2])
    finally:
        status = server.stop()
    if status != 0:
        raise RuntimeError(f"the endpoint must end with 0; got {status}")


@contextmanager
def start_peer(artifact: Path) -> Iterator[tuple[Server, int]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    program = Path(__file__).with_name("serve_peer.py")
    python = make_environment(PEER)
    server = Server(
        [str(python), str(program), str(artifact), str(port)],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        cwd=artifact.parent,
    )
    try:
        _wait_healthy(port)
        yield server, port
    finally:
        server.stop()


def _wait_healthy(port: int) -> None:
    deadline_s = time.monotonic() + 120
    while time.monotonic() < deadline_s:
        with (
            suppress(OSError),
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as reply,
        ):
            if reply.status == 200:
                return
        time.sleep(0.2)
    raise RuntimeError("the peer must answer within two minutes; got no answer")


def ask_oracle(port: int) -> str:
    """Lets another's client of the protocol ask, and holds what it understood against an answer by
    the other route.
    """
    program = Path(__file__).with_name("serve_oracle.py")
    command = [str(make_environment(ORACLE)), "-P", str(program), f"127.0.0.1:{port}", "digits"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    picture = json.dumps((np.arange(64) % 17).reshape(8, 8).tolist()).encode()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/predict/digits", picture) as reply:
        (said,) = json.load(reply)["predictions"]
    label = int(np.argmax(found["probabilities"][0]))
    held = {
        "live": found["live"] and found["ready"] and found["model_ready"],
        "id": found["id"] == "7",
        "label": found["label"] == [label] and str(label) == said["label"],
        "confidence": np.isclose(max(found["probabilities"][0]), said["confidence"]),
        "binary": found["binary"] == [True] * 4,
        "outputs": found["filtered"] == ["probabilities"] and found["same"],
        "error": found["refused"].startswith("[404] model (nothing)"),
    }
    if not all(held.values()):
        raise RuntimeError(f"the client must understand every answer; got {held}: {found}")
    return f"{ORACLE[0].replace('==', ' ')} understands {', '.join(held)}"


def measure_swaps(
    workspace: Path, server: Server, port: int, folder: Path, swaps: int
) -> dict[str, Any]:
    """Publishes releases under load."""
    channel = open_channel(str(workspace), "cloud")
    quiet = run_load(port, REQUESTS["Lepton, infer"], folder, 5.0)
    before_bytes = server.measure_rss_bytes()
    found: list[dict[str, Any]] = []
    seconds = 1.0 * swaps
    asking = threading.Thread(
        target=lambda: found.append(run_load(port, REQUESTS["Lepton, infer"], folder, seconds))
    )
    asking.start()
    seen = set()
    for number in range(swaps):
        publish_model(channel, 100 + number, number + 1)
        deadline_s = time.monotonic() + 30
        while read_release(port) != number + 2:
            if time.monotonic() > deadline_s:
                raise RuntimeError("the endpoint must follow its channel; got no swap in 30 s")
            time.sleep(0.02)
        seen.add(read_release(port))
    lasted = asking.is_alive()
    asking.join()
    if not found:
        raise RuntimeError("no request may fail while models are swapped; got one that did")
    if not lasted:
        raise RuntimeError("the load must last until the last swap; got its end before")
    return {
        "swaps": len(seen),
        "answers": found[0]["answers"],
        "p99_quiet_ms": quiet["p99_ms"],
        "p99_ms": found[0]["p99_ms"],
        "grown_bytes": server.measure_rss_bytes() - before_bytes,
    }


def read_release(port: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10) as reply:
        return int(json.load(reply)["release"])


def report(
    turns: dict[str, list[dict[str, Any]]],
    swapped: dict[str, Any],
    checked: str,
    pressed: dict[str, float],
    sessions: list[float],
) -> str:
    """The section."""

    def middle(name: str, figure: str) -> float:
        return median(turn[figure] for turn in turns[name])

    rows = [
        [
            name,
            f"{middle(name, 'cpu_us'):,.0f} us",
            f"{middle(name, 'answers_a_second'):,.0f}",
            f"{middle(name, 'p50_ms'):.1f} ms",
            f"{middle(name, 'p99_ms'):.1f} ms",
        ]
        for name in turns
    ]
    return (
        "## Endpoint\n\n`python -m benchmarks.serve`. "
        f"{describe_machine(['uvicorn', 'httptools', 'uvloop', 'orjson', 'onnxruntime'])} One 8 x "
        f"8 picture, as JSON unless binary, 64 connections, the same artifact; "
        f"{PEER[0].replace('==', ' ')}, as JSON; {len(sessions)} rounds in turn, median; CPU with "
        "all children of a server; the client shares the machine.\n\n"
        + make_table(["", "CPU a request", "requests/s", "p50", "p99"], rows)
        + "\n\nCPU a request, LitServe over Lepton, paired by round: "
        + "; ".join(_compare(turns, name, goal) for name, goal in GOALS.items())
        + f". Requests/s of binary infer over runs/s of one onnxruntime session that does nothing "
        f"else: **{middle('Lepton, infer binary', 'answers_a_second') / median(sessions):.2f}**; "
        f"goal >= 0.5.\n\n{_tell_overload(pressed)}\n\n"
        f"{swapped['swaps']} swaps under the same load: {swapped['answers']:,} requests, 0 failed; "
        f"p99 {swapped['p99_ms']:.1f} ms, without swaps {swapped['p99_quiet_ms']:.1f} ms; resident "
        f"memory {swapped['grown_bytes'] / 2**20:+.1f} MiB. Open Inference Protocol: {checked}."
    )


def _compare(turns: dict[str, list[dict[str, Any]]], name: str, goal: float) -> str:
    """How many times as much the peer costs."""
    ratios = [
        peer["cpu_us"] / own["cpu_us"]
        for peer, own in zip(turns["LitServe"], turns[name], strict=True)
    ]
    ratio = median(ratios)
    return (
        f"{name.partition(', ')[2]} **{ratio:.1f}** ({min(ratios):.1f} .. {max(ratios):.1f}), goal "
        f">= {goal:.0f} {'reached' if ratio >= goal else 'missed'}"
    )


def _tell_overload(found: dict[str, float]) -> str:
    return (
        f"{OVERLOAD} times as many connections, each asking again at once: goodput "
        f"**{found['goodput']:.2f}** of the usual load's before and after (goal >= 0.9), p99 of "
        f"what was answered {found['p99_ms']:.0f} ms beside {found['p99_usual_ms']:.0f} ms; "
        f"{found['answers']:,} answered, {found['shed']:,} refused with 429, none lost."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--swaps", type=int, default=20)
    given = parser.parse_args()
    turns: dict[str, list[dict[str, Any]]] = {name: [] for name in REQUESTS}
    sessions: list[float] = []
    with tempfile.TemporaryDirectory(prefix="lepton-bench-") as name:
        folder = Path(name)
        os.environ["LEPTON_CONFIG_DIR"] = str(folder / "config")
        os.environ["LEPTON_CACHE_DIR"] = str(folder / "cache")
        workspace, artifact = folder / "workspace", folder / "model.onnx"
        artifact.write_bytes(make_onnx(1))
        publish_model(make_channel(workspace, "cloud"), 1, None)
        with start_lepton(workspace) as own, start_peer(artifact) as peer:
            for turn in range(given.rounds + 1):  # The first one warms up.
                for label in REQUESTS if turn % 2 else reversed(REQUESTS):
                    server, port = peer if label == "LitServe" else own
                    found = measure(label, server, port, folder, given.seconds)
                    if turn:
                        turns[label].append(found)
                    print(label, {key: round(value, 1) for key, value in found.items() if value})
                if turn:
                    sessions.append(measure_session(artifact, 1.0))
            pressed = measure_overload(own[1], folder, given.seconds)
            print(sessions, pressed)
        with start_lepton(workspace, "--interval-s", "0.2") as (server, port):
            checked = ask_oracle(port)
            swapped = measure_swaps(workspace, server, port, folder, given.swaps)
    print(swapped, checked)
    write_section("Endpoint", report(turns, swapped, checked, pressed, sessions))


if __name__ == "__main__":
    main()
