"""What an endpoint is asked under measurement, and how often it answers."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

CONNECTIONS = 64
OVERLOAD = 5
PIXELS = [int(value) for value in np.random.default_rng(0).integers(0, 17, 64)]


def make_request(path: str, document: object) -> bytes:
    """A whole HTTP request."""
    body = json.dumps(document, separators=(",", ":")).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def make_binary_request() -> bytes:
    """The same question with its tensor as bytes, as the protocol's clients send it."""
    size = {"binary_data_size": len(PIXELS)}
    tensor = {"name": "image", "shape": [1, 1, 8, 8], "datatype": "UINT8", "parameters": size}
    document = {"inputs": [tensor], "parameters": {"binary_data_output": True}}
    text = json.dumps(document, separators=(",", ":")).encode()
    body = text + bytes(PIXELS)
    head = (
        "POST /v2/models/digits/infer HTTP/1.1\r\nhost: x\r\n"
        f"inference-header-content-length: {len(text)}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


REQUESTS = {
    "Lepton, infer": make_request(
        "/v2/models/digits/infer",
        {"inputs": [{"name": "image", "shape": [1, 1, 8, 8], "datatype": "UINT8", "data": PIXELS}]},
    ),
    "Lepton, infer binary": make_binary_request(),
    "Lepton, predict": make_request("/predict/digits", np.reshape(PIXELS, (8, 8)).tolist()),
    "LitServe": make_request("/predict", {"data": PIXELS}),
}


def run_load(
    port: int, request: bytes, folder: Path, seconds: float, connections: int = CONNECTIONS
) -> dict[str, Any]:
    """Asks in a process of its own; only of more connections than are usual some may be shed."""
    file = folder / "request"
    file.write_bytes(request)
    command = [sys.executable, "-m", "benchmarks.http_load", "127.0.0.1", str(port), str(file)]
    done = subprocess.run(
        [*command, "--seconds", str(seconds), "--connections", str(connections)],
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    if found["faults"] or (found["shed"] and connections <= CONNECTIONS):
        raise RuntimeError(f"every request must be answered; got {found}")
    return found


def measure_overload(port: int, folder: Path, seconds: float) -> dict[str, float]:
    """Asks over five times as many connections, each again as soon as it is answered or refused."""
    request = REQUESTS["Lepton, infer"]
    usual = run_load(port, request, folder, seconds)
    found = run_load(port, request, folder, seconds, OVERLOAD * CONNECTIONS)
    after = run_load(port, request, folder, seconds)
    least = min(usual["answers_a_second"], after["answers_a_second"])
    most = max(usual["answers_a_second"], after["answers_a_second"])
    return {
        "goodput": found["answers_a_second"] / ((least + most) / 2),
        "p99_ms": found["p99_ms"],
        "p99_usual_ms": max(usual["p99_ms"], after["p99_ms"]),
        "shed": found["shed"],
        "answers": found["answers"],
    }


def measure_session(artifact: Path, seconds: float) -> float:
    """Measures runs a second of one row in onnxruntime, in a process that does nothing else."""
    code = (
        "import sys, time, numpy as np, onnxruntime as o\n"
        "s = o.SessionOptions(); s.intra_op_num_threads = 1\n"
        "s = o.InferenceSession(sys.argv[1], s, providers=['CPUExecutionProvider'])\n"
        "x = {'image': np.zeros((1, 1, 8, 8), np.uint8)}; n = 0\n"
        "began_s = time.perf_counter()\n"
        "while time.perf_counter() < began_s + float(sys.argv[2]):\n"
        "    s.run(['label', 'probabilities'], x); n += 1\n"
        "print(n / (time.perf_counter() - began_s))"
    )
    command = [sys.executable, "-c", code, str(artifact), str(seconds)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
