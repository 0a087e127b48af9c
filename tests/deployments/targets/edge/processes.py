"""A real agent in a process of its own, and a client that remembers what it acknowledged."""

import http.client
import json
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from deployments.targets.trust.keys import KeyRing
from deployments.targets.trust.uplink import UplinkBatch, parse_name, read_batch
from storage.base.store import Store
from tests.deployments.targets.serve.test_answers import write_npy

MAIN = ["-c", "from lepton_ai.cli import main; main()"]
WATCHED = [
    "-c",
    "import atexit, json, os, sys; from lepton_ai.cli import main; "
    "atexit.register(lambda: open(os.environ['LEPTON_MODULES'], 'w').write("
    "json.dumps(sorted(sys.modules)))); main()",
]
"""The same; when it ends it writes the names of what it imported to $LEPTON_MODULES."""
DEADLY = ["-m", "tests.deployments.targets.edge.deadly"]


class Agent:
    """`lepton edge run` in a process of its own."""

    def __init__(
        self,
        folder: Path,
        *options: str,
        python: str = sys.executable,
        start: list[str] | None = None,
        env: dict[str, str] | None = None,
        uplink: str | None = None,
    ) -> None:
        self.process = subprocess.Popen(
            [
                *(python, *(start or MAIN), "edge", "run", "--id", "d1", "--class", "default"),
                *("--channel", str(folder / "workspace" / "channels" / "edge")),
                *("--state", str(folder / "state"), "--port", "0"),
                *("--uplink", uplink or str(folder / "workspace" / "uplinks")),
                *options,
            ],
            stderr=subprocess.PIPE,
            text=True,
            env=env,
        )
        self.said: list[str] = []
        self.address = ("", 0)
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            if line.startswith("ready http://"):
                url = urlsplit(line.split()[1])
                self.address = (str(url.hostname), int(url.port or 0))
                break
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    def _listen(self) -> None:
        assert self.process.stderr is not None
        self.said += self.process.stderr

    @property
    def messages(self) -> str:
        return "".join(self.said)

    def get_health(self) -> dict[str, Any]:
        connection = http.client.HTTPConnection(*self.address, timeout=10)
        try:
            connection.request("GET", "/health")
            return dict(json.loads(connection.getresponse().read()))
        finally:
            connection.close()

    def wait_sent(self, timeout_s: float = 60) -> None:
        """Waits until nothing is kept any more."""
        deadline = time.monotonic() + timeout_s
        while self.get_health()["spool"]["records"]:
            assert time.monotonic() < deadline, self.messages
            time.sleep(0.05)

    def kill(self) -> None:
        self.process.kill()
        self.finish()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.finish()

    def finish(self) -> int:
        status = self.process.wait(60)
        self._listener.join(30)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return status


@dataclass
class Ledger:
    """What an agent acknowledged: inputs by answer id, truths by the id that they were told of."""

    answers: dict[str, bytes] = field(default_factory=dict)
    twice: list[str] = field(default_factory=list)
    truths: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, answer_id: str, rows: Any) -> None:
        with self._lock:
            node, _, first = answer_id.partition(":")
            for place, row in enumerate(rows):
                name = f"{node}:{int(first) + place}"
                if name in self.answers:
                    self.twice.append(name)
                self.answers[name] = row.tobytes()


class Client:
    """Asks an agent without pause, from one connection, until the agent is gone."""

    def __init__(self, agent: Agent, ledger: Ledger, seed: int) -> None:
        self._agent, self._ledger = agent, ledger
        self._draws = np.random.default_rng(seed)
        self._number = seed * 10**6
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def join(self) -> None:
        self._thread.join(60)

    def _run(self) -> None:
        connection = http.client.HTTPConnection(*self._agent.address, timeout=10)
        try:
            while self._ask(connection):
                pass
        except (OSError, http.client.HTTPException):
            pass  # Whatever was not acknowledged may be lost.
        finally:
            connection.close()

    def _ask(self, connection: http.client.HTTPConnection) -> bool:
        row = self._draws.integers(0, 16, (1, 8, 8)).astype(np.uint8)
        connection.request("POST", "/predict/digits", write_npy(row))
        reply = connection.getresponse()
        data = reply.read()
        if reply.status != 200:
            return False
        answer_id = json.loads(data)["answer_id"]
        self._ledger.note(answer_id, [row])
        self._number += 1
        truth = f"truth {self._number}"
        body = json.dumps({"answer_id": answer_id, "truth": truth})
        connection.request("POST", "/feedback", body, {"Content-Type": "application/json"})
        reply = connection.getresponse()
        if json.loads(reply.read()) == {"accepted": 1} and reply.status == 200:
            self._ledger.truths.append(truth)
        return True


TRAINS = (
    "dask",
    "distributed",
    "fastapi",
    "flows",
    "gates",
    "great_expectations",
    "lightning_modules",
    "onnx",
    "pandas",
    "prefect",
    "pyarrow",
    "pytorch_lightning",
    "scipy",
    "sklearn",
    "tasks",
    "torch",
    "yaml",
    "zarr",
)
"""What trains and judges, and is no device's."""


def check_modules(file: Path) -> None:
    """An agent imported nothing that trains."""
    imported = {name.partition(".")[0] for name in json.loads(file.read_text())}
    assert imported.isdisjoint(TRAINS)
    assert {"onnxruntime", "uvicorn", "deployments"} <= imported


def read_all(workspace: Path, keys: KeyRing) -> list[UplinkBatch]:
    """All batches of a workspace, verified, in their order."""
    store = Store(workspace)
    names = store.child("uplinks").list()
    batches = [read_batch(store, name, keys) for name in names if parse_name(name) is not None]
    return sorted(batches, key=lambda batch: batch.first)


def check_ledger(ledger: Ledger, batches: list[UplinkBatch]) -> None:
    """Nothing that was acknowledged is lost or doubled, and nothing arrived changed."""
    assert ledger.twice == []
    assert [b.first for b in batches] == [1, *(b.last + 1 for b in batches[:-1])]
    answers: dict[str, bytes] = {}
    truths: list[str] = []
    for batch in batches:
        inputs = iter(batch.inputs)
        for record in batch.records:
            if record.kind == "answer":
                assert record.answer_id not in answers
                answers[record.answer_id] = next(inputs).tobytes()
            else:
                truths.append(str(record.truth))
    assert {name: answers.get(name) for name in ledger.answers} == ledger.answers
    assert len(set(truths)) == len(truths)
    assert set(ledger.truths) <= set(truths)
